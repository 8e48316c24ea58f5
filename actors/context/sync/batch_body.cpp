#include <troupe/actors/context/sync/batch_body.hpp>

#include <algorithm>
#include <optional>
#include <utility>

#include <troupe/actors/context/state/incarnation_of.hpp>
#include <troupe/actors/context/state/tree/path_order.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/text/utf8.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

constexpr std::uint32_t parts = 5;             // of a body
constexpr std::uint32_t parts_of_change = 7;   // without what it overwrote
constexpr std::uint32_t numbers_of_claim = 3;  // place of the incarnation, seq, content
constexpr std::uint32_t numbers_of_entry = 2;  // place of the incarnation, seq
constexpr std::uint32_t numbers_of_run = 4;    // place, index, count, weight
constexpr std::size_t max_principal_bytes = 256;
/// How far back a table is searched for an entry that is there already.
constexpr std::size_t searched = 8;

/// The place of an entry in a table, where it is added if it is not among the latest.
template <class T>
std::size_t place_in(std::vector<T>& table, const T& wanted) {
  const auto from = table.size() - std::min(table.size(), searched);
  const auto found =
      std::find(table.begin() + static_cast<std::ptrdiff_t>(from), table.end(), wanted);
  if (found != table.end()) return static_cast<std::size_t>(found - table.begin());
  table.push_back(wanted);
  return table.size() - 1;
}

/// How many bytes the two begin with alike, without parting a character.
std::size_t shared_characters(std::string_view a, std::string_view b) noexcept {
  auto shared = common_prefix(a, b);
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  while (shared > 0 && shared < b.size() && continues(b[shared])) --shared;
  return shared;
}

}  // namespace

// -- writing --------------------------------------------------------------------------------------

std::size_t batch_body_writer::bytes_with(const change_record& record) const noexcept {
  constexpr std::size_t of_change = 24, of_claim = 16, of_path = 8;
  constexpr std::size_t of_source = 28, of_trace = 18, of_number = 9;
  auto bytes = changes_.size() + traces_.size() * of_trace + sources_.size() * of_source +
               of_change + record.path.text().size() + record.principal.size() + of_trace +
               record.new_value.msgpack().size() + record.observed.size() * of_claim +
               record.counts.bytes.size() + record.after.size() * (of_source + of_number);
  for (const auto& each : record.below)
    bytes += of_path + each.path.text().size() + each.changes.size() * of_claim;
  return bytes;
}

void batch_body_writer::write_path(const path& where, std::string_view& before) {
  const std::string_view text = where.text();
  const auto shared = shared_characters(before, text);
  out_.unsigned_integer(shared);
  out_.string(text.substr(shared));
  before = text;
}

void batch_body_writer::write_observed(const std::vector<observed_change>& changes) {
  for (const auto& each : changes) {
    out_.unsigned_integer(place_in(sources_, incarnation_of(each.dot)));
    out_.unsigned_integer(each.dot.seq);
    out_.unsigned_integer(each.content);
  }
}

void batch_body_writer::add(const change_record& record) {
  const auto& place = record.transaction;
  const bool goes_on = count_ > 0 && place_.count == place.count && place_.index + 1 == place.index;
  if (place.count > 1 && !goes_on) transactions_.push_back({count_, place});
  place_ = place;
  ++count_;

  const std::uint32_t more = !record.after.empty()          ? 4
                             : !record.counts.bytes.empty() ? 3
                             : !record.below.empty()        ? 2
                             : !record.observed.empty()     ? 1
                                                            : 0;
  out_.array(parts_of_change + more);
  out_.unsigned_integer(static_cast<std::uint64_t>(record.operation));
  out_.integer(static_cast<std::int64_t>(record.timestamp.ticks -
                                         std::exchange(ticks_, record.timestamp.ticks)));
  write_path(record.path, path_);
  out_.unsigned_integer(place_in<std::string_view>(principals_, record.principal));
  out_.unsigned_integer(record.trace.is_nil() ? 0 : place_in(traces_, record.trace) + 1);
  out_.raw(record.new_value.msgpack());
  if (more < 1) return;
  out_.array(record.observed.size() * numbers_of_claim);
  write_observed(record.observed);
  if (more < 2) return;
  out_.array(record.below.size());
  auto before = path_;
  for (const auto& each : record.below) {
    out_.array(2 + each.changes.size() * numbers_of_claim);
    write_path(each.path, before);
    write_observed(each.changes);
  }
  if (more < 3) return;
  out_.binary(record.counts.bytes);
  if (more < 4) return;
  out_.array(record.after.size() * numbers_of_entry);
  for (const auto& each : record.after) {
    out_.unsigned_integer(place_in(sources_, incarnation_of(each)));
    out_.unsigned_integer(each.seq);
  }
}

std::string batch_body_writer::finish() {
  std::string body;
  msgpack_writer out{body};
  out.array(parts);
  out.array(principals_.size());
  for (const auto each : principals_) out.string(each);
  codec::write(out, traces_);
  out.array(2 * sources_.size());
  for (const auto& [origin, incarnation] : sources_) {
    codec::write(out, origin);
    out.unsigned_integer(incarnation);
  }
  out.array(numbers_of_run * transactions_.size());
  for (const auto& [at, first] : transactions_)
    for (const std::uint64_t number :
         {std::uint64_t{at}, std::uint64_t{first.index}, std::uint64_t{first.count}, first.weight})
      out.unsigned_integer(number);
  out.array(count_);
  out.raw(changes_);
  return body;
}

// -- reading --------------------------------------------------------------------------------------

namespace {

/// Reads a body from front to back. Each step returns false when the body is not as it must be, and
/// `problem` says why.
class batch_body_reader {
public:
  batch_body_reader(std::string_view body, std::uint64_t max_weight) noexcept
      : in_(body), room_(max_weight) {}

  bool read(const dot& start, std::uint32_t count, std::vector<change_record>& into) {
    const bool fine =
        must(in_.read_array() == parts, "its body must be an array of five parts") &&
        read_principals() && read_traces() && read_sources() && read_transactions(count) &&
        must(in_.read_array() == count, "it must have as many changes as it announces");
    if (!fine) return false;
    into.reserve(std::min<std::size_t>(count, in_.rest().size() / parts_of_change));
    auto id = start;
    for (std::uint32_t at = 0; at < count; ++at, ++id.seq) {
      auto& record = into.emplace_back();
      record.dot = id;
      if (!read_change(record) || !take(record.weight())) {
        problem_ = "in change " + to_string(id) + ": " + problem_;
        return false;
      }
      take_place(at, record.transaction);
    }
    return must(in_.at_end(), "something follows its last change");
  }

  const std::string& problem() const noexcept { return problem_; }

private:
  struct run {
    std::uint64_t at;
    transaction_place next;
  };

  /// Memory for what was read.
  bool take(std::uint64_t weight) {
    const bool fits = weight <= room_;
    room_ -= fits ? weight : 0;
    return must(fits, "its changes take too much memory");
  }
  bool must(bool holds, const char* otherwise) {
    if (!holds && problem_.empty()) problem_ = otherwise;
    return holds;
  }

  bool read_principals() {
    const auto count = in_.read_array();
    if (!must(count.has_value(), "its principals must be an array")) return false;
    for (std::uint32_t i = 0; i < *count; ++i) {
      const auto text = in_.read_string();
      if (!must(text && text->size() <= max_principal_bytes && is_utf8(*text),
                "a principal must be a string of at most 256 bytes"))
        return false;
      principals_.push_back(*text);
    }
    return true;
  }
  bool read_traces() {
    codec::problem why;
    return must(codec::read(in_, traces_, why), "its traces must be an array of ids");
  }
  bool read_sources() {
    const auto count = in_.read_array();
    if (!must(count && *count % 2 == 0, "its incarnations must be pairs")) return false;
    codec::problem why;
    for (std::uint32_t i = 0; i < *count; i += 2) {
      incarnation_id source;
      const bool fine =
          codec::read(in_, source.origin, why) && codec::read(in_, source.incarnation, why);
      if (!must(fine, "an incarnation must be an id and a number")) return false;
      sources_.push_back(source);
    }
    return true;
  }
  bool read_transactions(std::uint32_t changes) {
    const auto count = in_.read_array();
    if (!must(count && *count % numbers_of_run == 0, "its transactions must be fours"))
      return false;
    for (std::uint32_t i = 0; i < *count; i += numbers_of_run) {
      const auto at = in_.read_unsigned(), index = in_.read_unsigned(), of = in_.read_unsigned(),
                 weight = in_.read_unsigned();
      const bool fine = at && index && of && weight && *of > 1 && *of <= UINT32_MAX &&
                        *index < *of && *at < changes && (runs_.empty() || *at > runs_.back().at);
      if (!must(fine, "a transaction must have its place, its index, its count and its weight"))
        return false;
      runs_.push_back(
          {*at, {static_cast<std::uint32_t>(*index), static_cast<std::uint32_t>(*of), *weight}});
    }
    return true;
  }

  /// The place in its transaction of the change at this place in the batch.
  void take_place(std::uint32_t at, transaction_place& place) {
    if (next_run_ < runs_.size() && runs_[next_run_].at == at) open_ = runs_[next_run_++].next;
    if (open_.index >= open_.count) return;
    place = open_;
    ++open_.index;
  }

  bool read_change(change_record& record) {
    const auto length = in_.read_array();
    if (!must(length && *length >= parts_of_change && *length <= parts_of_change + 4,
              "a change must be an array of 7 to 11 parts"))
      return false;
    const auto what = in_.read_unsigned();
    if (!must(what && *what <= static_cast<std::uint64_t>(operation::increment),
              "an operation must be 0, 1, 2 or 3"))
      return false;
    record.operation = static_cast<operation>(*what);
    const auto later = in_.read_signed();
    if (!must(later.has_value(), "the time of a change must be a number")) return false;
    record.timestamp.ticks = ticks_ += static_cast<std::uint64_t>(*later);
    if (!read_path(path_, record.path)) return false;
    const auto by = in_.read_unsigned(), trace = in_.read_unsigned();
    if (!must(by && *by < principals_.size(), "a change must name a principal of the batch") ||
        !must(trace && *trace <= traces_.size(), "a change must name a trace of the batch"))
      return false;
    record.principal = principals_[*by];
    if (*trace > 0) record.trace = traces_[*trace - 1];
    codec::problem why;
    if (!codec::read(in_, record.new_value, why)) return must(false, "a value is malformed");
    if (*length == parts_of_change) return true;
    const auto observed = in_.read_array();
    if (!must(observed && *observed % numbers_of_claim == 0,
              "what a change overwrote must be triples"))
      return false;
    if (!read_observed(*observed / numbers_of_claim, record.observed)) return false;
    if (*length == parts_of_change + 1) return true;
    if (!read_below(record)) return false;
    if (*length == parts_of_change + 2) return true;
    const auto counts = in_.read_binary();
    if (!must(counts.has_value(), "what a change counts must be a binary")) return false;
    record.counts.bytes = *counts;
    return *length == parts_of_change + 3 || read_after(record.after);
  }

  bool read_after(std::vector<version_entry>& into) {
    const auto numbers = in_.read_array();
    if (!must(numbers && *numbers % numbers_of_entry == 0, "what a change follows must be pairs"))
      return false;
    into.reserve(std::min<std::size_t>(*numbers, in_.rest().size()) / numbers_of_entry);
    for (std::uint32_t i = 0; i < *numbers; i += numbers_of_entry) {
      const auto source = in_.read_unsigned(), seq = in_.read_unsigned();
      if (!must(source && *source < sources_.size() && seq,
                "what a change follows must be an incarnation of the batch and a number"))
        return false;
      const auto& [origin, incarnation] = sources_[*source];
      into.push_back({origin, incarnation, *seq});
    }
    return true;
  }

  bool read_path(std::string& before, path& into) {
    const auto shared = in_.read_unsigned();
    const auto rest = in_.read_string();
    if (!must(
            shared && rest && *shared <= before.size() && *shared + rest->size() <= path::max_bytes,
            "a path must be a part of the path before and the rest"))
      return false;
    before.resize(*shared);
    before += *rest;
    auto parsed = path::parse(before);
    if (!must(parsed.has_value(), "a path is malformed")) return false;
    into = std::move(*parsed);
    return true;
  }

  bool read_observed(std::uint32_t count, std::vector<observed_change>& into) {
    into.reserve(std::min<std::size_t>(count, in_.rest().size() / numbers_of_claim));
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto source = in_.read_unsigned(), seq = in_.read_unsigned(),
                 content = in_.read_unsigned();
      if (!must(
              source && *source < sources_.size() && seq && content,
              "a change that was overwritten must be an incarnation of the batch and two numbers"))
        return false;
      const auto& [origin, incarnation] = sources_[*source];
      into.push_back({{origin, incarnation, *seq}, *content});
    }
    return true;
  }

  bool read_below(change_record& record) {
    const auto paths = in_.read_array();
    if (!must(paths.has_value(), "what a subtree held must be an array of paths")) return false;
    auto before = path_;
    for (std::uint32_t i = 0; i < *paths; ++i) {
      const auto length = in_.read_array();
      if (!must(length && *length > 2 && (*length - 2) % numbers_of_claim == 0,
                "a path of a subtree must have its text and triples"))
        return false;
      if (!take(path_weight + before.size())) return false;
      auto& each = record.below.emplace_back();
      if (!read_path(before, each.path) ||
          !read_observed((*length - 2) / numbers_of_claim, each.changes))
        return false;
    }
    return true;
  }

  static constexpr std::uint64_t path_weight = 56;  // besides its text

  msgpack_reader in_;
  std::uint64_t room_;
  std::string problem_;
  std::vector<std::string_view> principals_;
  std::vector<trace_id> traces_;
  std::vector<incarnation_id> sources_;
  std::vector<run> runs_;
  std::size_t next_run_ = 0;
  transaction_place open_{0, 0, 0};  ///< The place of the next change, if it is in one.
  std::uint64_t ticks_ = 0;
  std::string path_;
};

}  // namespace

result<std::vector<change_record>> read_batch_body(std::string_view body, const dot& start,
                                                   std::uint32_t count, std::uint64_t max_weight) {
  std::vector<change_record> records;
  batch_body_reader reader{body, max_weight};
  if (!reader.read(start, count, records))
    return fail(error_code::protocol_violation,
                "a batch of changes is malformed: " + reader.problem());
  return records;
}

}  // namespace troupe
