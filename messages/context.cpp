#include <troupe/messages/context.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <xxhash.h>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

void append_escaped(std::string& out, std::string_view segment) {
  for (const char c : segment) {
    if (c == '~')
      out += "~0";
    else if (c == '/')
      out += "~1";
    else
      out += c;
  }
}

bool same_run(const version_entry& a, const version_entry& b) noexcept {
  return a.origin == b.origin && a.incarnation == b.incarnation;
}

/// The position of an incarnation among sorted entries.
template <class Entries>
auto find_run(Entries& entries, const node_id& origin, std::uint64_t incarnation) {
  return std::lower_bound(entries.begin(), entries.end(), std::tie(origin, incarnation),
                          [](const version_entry& entry, const auto& run) {
                            return std::tie(entry.origin, entry.incarnation) < run;
                          });
}

/// Whether a text is a path in which each byte is ASCII and stands for itself. Most paths are; the
/// others are looked at step by step.
bool is_plain(std::string_view text) noexcept {
  if (text.size() > path::max_bytes || text.empty() || text.front() != '/') return false;
  char before = ' ';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0 || byte >= 0x80 || c == '~' || (c == '/' && before == '/')) return false;
    before = c;
  }
  return before != '/';
}

}  // namespace

result<path> path::parse(std::string_view text) {
  if (is_plain(text)) {
    path parsed;
    parsed.text_ = text;
    return parsed;
  }
  const auto start = utf8_prefix(text, 80);
  const auto quoted = [&] {
    return "\"" + std::string{start} + (start.size() < text.size() ? "…\"" : "\"");
  };
  if (text.size() > max_bytes)
    return fail(error_code::invalid_argument, "a path of " + std::to_string(text.size()) +
                                                  " bytes is too long; at most " +
                                                  std::to_string(max_bytes) + " are accepted");
  if (!is_utf8(text)) return fail(error_code::invalid_argument, "a path is not UTF-8");
  if (!text.empty() && text.front() != '/')
    return fail(
        error_code::invalid_argument,
        "the path " + quoted() + " must start with '/', such as \"/" + std::string{start} + "\"");
  if (text.size() > 1 && text.back() == '/')
    return fail(error_code::invalid_argument,
                "the path " + quoted() + " ends with '/'; leave that out");
  if (text.find("//") != std::string_view::npos)
    return fail(error_code::invalid_argument,
                "the path " + quoted() + " has an empty name between two '/'");
  if (text.find('\0') != std::string_view::npos)
    return fail(error_code::invalid_argument, "a path contains a zero byte");
  for (auto tilde = text.find('~'); tilde != std::string_view::npos;
       tilde = text.find('~', tilde + 1)) {
    const char next = tilde + 1 < text.size() ? text[tilde + 1] : ' ';
    if (next != '0' && next != '1')
      return fail(error_code::invalid_argument,
                  "the path " + quoted() + " has a bare '~'; write '~0' for '~' and '~1' for '/'");
  }
  path parsed;
  if (text != "/") parsed.text_ = text;
  return parsed;
}

path path::from_checked(std::string text) noexcept {
  path made;
  made.text_ = std::move(text);
  return made;
}

path::path(std::string_view text) {
  auto parsed = parse(text);
  if (!parsed) throw std::invalid_argument{parsed.error().message};
  *this = std::move(*parsed);
}

result<path> path::child(std::string_view name) const {
  if (name.empty())
    return fail(error_code::invalid_argument, "an empty name cannot be part of a path");
  std::string text = text_ + '/';
  append_escaped(text, name);
  return parse(text);
}

path path::parent() const {
  path up;
  if (!text_.empty()) up.text_ = text_.substr(0, text_.rfind('/'));
  return up;
}

std::vector<std::string> path::segments() const {
  std::vector<std::string> all;
  for (std::size_t i = 0; i < text_.size(); ++i) {
    if (text_[i] == '/')
      all.emplace_back();
    else if (text_[i] == '~')
      all.back() += text_[++i] == '0' ? '~' : '/';
    else
      all.back() += text_[i];
  }
  return all;
}

bool path::contains(const path& other) const noexcept {
  return other.text_.starts_with(text_) &&
         (other.text_.size() == text_.size() || other.text_[text_.size()] == '/');
}

std::string to_string(const dot& id) {
  return to_string(id.origin) + "/" + std::to_string(id.incarnation) + "/" + std::to_string(id.seq);
}

change_id change_record::id() const {
  std::array<std::uint8_t, 32> name{};
  std::memcpy(name.data(), dot.origin.id.bytes.data(), 16);
  const auto numbers = little_endian(dot.incarnation, dot.seq);
  std::memcpy(name.data() + 16, numbers.data(), 16);
  const XXH128_hash_t hash = XXH3_128bits(name.data(), name.size());
  // Version 8: a UUID with a layout of our own (RFC 9562).
  uuid made = make_random_uuid(little_endian(hash.high64, hash.low64));
  made.bytes[6] = static_cast<std::uint8_t>((made.bytes[6] & 0x0f) | 0x80);
  return {made};
}

std::uint64_t change_record::weight() const noexcept {
  constexpr std::uint64_t of_record = 400, of_claim = 48, of_path = 56, of_entry = 40;
  auto bytes = of_record + path.text().size() + new_value.msgpack().size() + principal.size() +
               counts.bytes.size() + observed.size() * of_claim + after.size() * of_entry;
  for (const auto& each : below)
    bytes += of_path + each.path.text().size() + each.changes.size() * of_claim;
  return bytes;
}

version_vector::version_vector(std::vector<version_entry> entries) : entries_(std::move(entries)) {
  std::sort(entries_.begin(), entries_.end());
  std::size_t kept = 0;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (i + 1 < entries_.size() && same_run(entries_[i], entries_[i + 1]))
      continue;  // the higher one follows
    if (entries_[i].seq > 0) entries_[kept++] = entries_[i];
  }
  entries_.resize(kept);
}

std::uint64_t version_vector::at(const node_id& origin, std::uint64_t incarnation) const noexcept {
  const auto found = find_run(entries_, origin, incarnation);
  const bool there =
      found != entries_.end() && found->origin == origin && found->incarnation == incarnation;
  return there ? found->seq : 0;
}

bool version_vector::covers(const version_vector& other) const noexcept {
  return std::all_of(other.entries_.begin(), other.entries_.end(), [&](const version_entry& entry) {
    return entry.seq <= at(entry.origin, entry.incarnation);
  });
}

void version_vector::raise(const node_id& origin, std::uint64_t incarnation, std::uint64_t seq) {
  if (seq == 0) return;
  const auto found = find_run(entries_, origin, incarnation);
  const bool there =
      found != entries_.end() && found->origin == origin && found->incarnation == incarnation;
  if (!there)
    entries_.insert(found, version_entry{origin, incarnation, seq});
  else if (found->seq < seq)
    found->seq = seq;
}

std::span<const version_entry> version_vector::of(const node_id& origin) const noexcept {
  const auto found = std::ranges::equal_range(entries_, origin, {}, &version_entry::origin);
  return {found.begin(), found.end()};
}

std::string to_string(const state_hash& hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high),
                static_cast<unsigned long long>(hash.low));
  return text;
}

// -- the msgpack form -----------------------------------------------------------------------------

bool read(msgpack_reader& in, path& x, codec::problem& why) {
  const auto text = in.read_string();
  if (!text) return codec::expected(why, "a path (a string)");
  auto got = path::parse(*text);
  if (!got) return why.what = "is not a path: " + got.error().message, false;
  x = std::move(*got);
  return true;
}

void write(msgpack_writer& out, const version_vector& x) { codec::write(out, x.entries()); }

bool read(msgpack_reader& in, version_vector& x, codec::problem& why) {
  std::vector<version_entry> entries;
  if (!codec::read(in, entries, why)) return false;
  x = version_vector{std::move(entries)};
  return true;
}

// -- versions -------------------------------------------------------------------------------------

result<value_version> value_version::parse(std::string_view text) {
  constexpr std::size_t half = 16;
  value_version version;
  const auto digits = [&](std::size_t from, std::uint64_t& into) {
    const auto* const begin = text.data() + from;
    const auto [end, problem] = std::from_chars(begin, begin + half, into, 16);
    return problem == std::errc{} && end == begin + half;
  };
  if (text.size() == 2 * half && digits(0, version.writes.high) && digits(half, version.writes.low))
    return version;
  return fail(error_code::invalid_argument,
              "a version is 32 hexadecimal digits, as a read has returned it");
}

std::string to_string(const value_version& version) { return to_string(version.writes); }

void write(msgpack_writer& out, const value_version& x) { out.string(to_string(x)); }

bool read(msgpack_reader& in, value_version& x, codec::problem& why) {
  const auto text = in.read_string();
  const auto parsed = text ? value_version::parse(*text) : result<value_version>{};
  if (!text || !parsed) return codec::expected(why, "a version (32 hexadecimal digits)");
  x = *parsed;
  return true;
}

}  // namespace troupe
