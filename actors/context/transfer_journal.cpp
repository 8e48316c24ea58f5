#include <troupe/actors/context/transfer_journal.hpp>

#include <algorithm>
#include <utility>

#include <troupe/actors/context/state/tree/stored_entry.hpp>
#include <troupe/actors/context/sync/packed_entries.hpp>

namespace troupe {

bool kept_transfer::add(std::string_view frame) {
  const auto unpacked = unpack_entries(frame);
  if (!unpacked) return false;
  for (const auto& [text, stored] : unpacked->entries) {
    const auto where = path::parse(text);
    const auto siblings = siblings_of(stored);
    if (!where || where->text() != text || !siblings) return false;
    const auto own = tree.find(*where);
    if (own && std::ranges::equal(own->siblings(), *siblings)) continue;
    tree.put(*where, *siblings);
    ++entries;
  }
  return true;
}

void transfer_journal::begin(bool goes_on) {
  if (!goes_on) drop();
}

void transfer_journal::add(const binary& frame) {
  const auto size = frame.bytes.size();
  if (is_off_ || waiting_bytes_ + size > max_waiting || bytes_ + size > max_bytes) return;
  waiting_.push_back(frame);
  waiting_bytes_ += size;
  bytes_ += size;
}

void transfer_journal::drop() {
  drops_ = has_file_ || is_writing_;
  is_off_ = false;
  waiting_.clear();
  waiting_bytes_ = 0;
  bytes_ = 0;
}

void transfer_journal::give_up() {
  drop();
  is_off_ = true;
}

std::optional<transfer_part> transfer_journal::next() {
  const bool has_enough = waiting_bytes_ >= write_at_;
  if (is_writing_ || !(drops_ || has_enough)) return std::nullopt;
  is_writing_ = true;
  transfer_part part{std::exchange(drops_, false), {}};
  if (has_enough) {
    part.frames = std::exchange(waiting_, {});
    waiting_bytes_ = 0;
  }
  is_removal_ = part.frames.empty();
  has_file_ = !part.frames.empty() || (has_file_ && !part.begins_anew);
  return part;
}

bool transfer_journal::done(bool is_written) {
  is_writing_ = false;
  if (is_written) return false;
  const bool is_news = !is_off_;
  has_file_ = true;
  give_up();
  drops_ = !is_removal_;  // what cannot be removed now is tried again later
  return is_news;
}

}  // namespace troupe
