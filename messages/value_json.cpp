// The JSON side of `value`. In a file of its own, so that one translation unit compiles
// nlohmann-json.
#include <troupe/messages/value.hpp>

#include <algorithm>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>

#include <nlohmann/json.hpp>

#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

/// Ordered, so that the text of a value keeps the order of its keys without sorting again.
using json = nlohmann::ordered_json;

std::string base64(std::string_view bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t group = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (j < group ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= group ? digits[bits >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

/// Reads one canonical element. Depth was bounded when the value was made.
json to_json_tree(msgpack_reader& reader) {
  switch (reader.peek()) {
    case msgpack_kind::boolean: return *reader.read_bool();
    case msgpack_kind::unsigned_integer: return *reader.read_unsigned();
    case msgpack_kind::signed_integer: return *reader.read_signed();
    case msgpack_kind::floating: return *reader.read_double();
    case msgpack_kind::string: return std::string{*reader.read_string()};
    case msgpack_kind::binary: return "base64:" + base64(*reader.read_binary());
    case msgpack_kind::array: {
      auto all = json::array();
      for (auto left = *reader.read_array(); left > 0; --left) all.push_back(to_json_tree(reader));
      return all;
    }
    case msgpack_kind::map: {
      // Keys are unique. Appending to the underlying vector avoids a linear search for each.
      json::object_t all;
      for (auto left = *reader.read_map(); left > 0; --left) {
        std::string key{*reader.read_string()};
        all.emplace_back(std::move(key), to_json_tree(reader));
      }
      return json(std::move(all));
    }
    default: reader.skip(); return nullptr;
  }
}

/// JSON leaves the control characters above U+001F as they are, but terminals obey some of them.
std::string with_controls_escaped(std::string json) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string escaped;
  std::size_t copied = 0;
  for (std::size_t at = 0; at < json.size(); ++at) {
    const auto byte = static_cast<unsigned char>(json[at]);
    const bool is_two =
        byte == 0xc2 && static_cast<unsigned char>(json[at + 1]) < 0xa0;  // U+0080 to U+009F
    if (byte != 0x7f && !is_two) continue;
    const auto code = is_two ? static_cast<unsigned char>(json[at + 1]) : byte;
    escaped.append(json, copied, at - copied)
        .append("\\u00")
        .append({digits[code >> 4], digits[code & 15]});
    at += is_two ? 1 : 0;
    copied = at + 1;
  }
  return copied == 0 ? std::move(json) : escaped.append(json, copied);
}

/// Walks text and knows its position, so that each problem can be placed.
class tracked_position {
public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  tracked_position(const char* at, const char*& reached) : at_(at), reached_(&reached) {}

  reference operator*() const { return *at_; }
  tracked_position& operator++() {
    *reached_ = at_++;
    return *this;
  }
  friend bool operator==(const tracked_position& a, const tracked_position& b) {
    return a.at_ == b.at_;
  }
  friend bool operator!=(const tracked_position& a, const tracked_position& b) {
    return a.at_ != b.at_;
  }

private:
  const char* at_;
  const char** reached_;
};

/// `"line 2, column 7"` of a byte, both counted from 1.
std::string place_in(std::string_view text, const char* at) {
  const auto before = text.substr(0, static_cast<std::size_t>(at - text.data()));
  const auto line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return "line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n')) +
         ", column " + std::to_string(1 + before.size() - line_start);
}

/// Builds a value while nlohmann's parser reads, so that depth and size are checked before anything
/// deep exists.
class value_builder : public nlohmann::json_sax<nlohmann::json> {
public:
  value_builder(std::string_view text, const codec_limits& limits)
      : text_(text), reached_(text.data()), limits_(limits) {}

  result<value> build() && {
    const char* const end = text_.data() + text_.size();
    nlohmann::json::sax_parse(tracked_position{text_.data(), reached_},
                              tracked_position{end, reached_}, this);
    if (!problem_) check_length("bytes", root_.msgpack().size(), limits_.frame_bytes);
    if (problem_) return fail(std::move(*problem_));
    return std::move(root_);
  }

  bool null() override { return add(value{}); }
  bool boolean(bool flag) override { return add(value{flag}); }
  bool number_integer(std::int64_t number) override { return add(value{number}); }
  bool number_unsigned(std::uint64_t number) override { return add(value{number}); }
  bool number_float(double number, const std::string& digits) override {
    const bool is_integer = digits.find_first_of(".eE") == std::string::npos;  // beyond 64 bits
    return is_integer ? refuse_number(digits) : add(value{number});
  }
  bool string(std::string& text) override {
    return check_length("bytes in a string", text.size(), limits_.string_bytes) && add(value{text});
  }
  bool binary(nlohmann::json::binary_t&) override { return false; }  // JSON text has none
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool key(std::string& name) override {
    open_.back().key = name;
    return check_length("bytes in a string", name.size(), limits_.string_bytes) && count_element();
  }
  bool end_array() override { return add(value::array(close().elements)); }
  bool end_object() override {
    try {
      return add(value::map(close().members));
    } catch (const std::invalid_argument& twice) {
      return stop(error_code::invalid_argument, std::string{"not valid JSON: "} + twice.what());
    }
  }
  bool parse_error(std::size_t, const std::string& token,
                   const nlohmann::json::exception& error) override {
    constexpr int number_overflow = 406;
    if (error.id == number_overflow) return refuse_number(token);
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...": `stop`
    // adds the place.
    std::string_view what = error.what();
    what.remove_prefix(what.find("] ") + 2);
    if (what.starts_with("parse error at")) what.remove_prefix(what.find(": ") + 2);
    return stop(error_code::invalid_argument, "not valid JSON: " + std::string{what});
  }

private:
  struct container {
    bool is_map;
    std::string key;
    std::vector<value> elements;
    std::vector<value::member> members;
  };

  bool open(bool is_map) {
    if (open_.size() >= std::min(limits_.depth, codec_limits{}.depth))
      return stop(error_code::limit_exceeded, "the JSON text is nested too deep; at most " +
                                                  std::to_string(open_.size()) +
                                                  " levels are accepted");
    open_.push_back({is_map, {}, {}, {}});
    return true;
  }
  container close() {
    auto closed = std::move(open_.back());
    open_.pop_back();
    return closed;
  }
  bool add(value next) {
    if (!count_element()) return false;
    if (open_.empty())
      root_ = std::move(next);
    else if (open_.back().is_map)
      open_.back().members.emplace_back(open_.back().key, std::move(next));
    else
      open_.back().elements.push_back(std::move(next));
    return true;
  }
  bool count_element() { return check_length("elements", ++elements_, limits_.elements); }
  bool refuse_number(std::string_view digits) {
    constexpr std::size_t most = 64;
    return stop(error_code::limit_exceeded,
                "the JSON text has the number " + std::string{digits.substr(0, most)} +
                    (digits.size() > most ? "..." : "") + where() +
                    ", which is beyond 64 bits and would change; a string keeps it as it is");
  }
  /// `" at /a/0"`: the JSON Pointer (RFC 6901) of the element that is being read; empty for the
  /// whole text.
  std::string where() const {
    constexpr std::size_t most = 256;
    std::string pointer;
    for (const auto& each : open_) {
      pointer += '/';
      if (!each.is_map)
        pointer += std::to_string(each.elements.size());
      else
        for (const char letter : each.key)
          pointer += letter == '~' ? "~0" : letter == '/' ? "~1" : std::string(1, letter);
    }
    if (pointer.empty()) return {};
    return " at " + std::string{utf8_prefix(pointer, most)} + (pointer.size() > most ? "..." : "");
  }
  bool check_length(std::string_view what, std::uint64_t length, std::uint64_t bound) {
    if (length <= bound) return true;
    return stop(error_code::limit_exceeded, "the JSON text has too many " + std::string{what} +
                                                "; at most " + std::to_string(bound) +
                                                " are accepted");
  }
  bool stop(error_code code, std::string what) {
    problem_ = error{code, std::move(what) + " (at " + place_in(text_, reached_) + ")", {}};
    return false;
  }

  std::string_view text_;
  const char* reached_;  ///< The last byte that was read.
  const codec_limits& limits_;
  std::vector<container> open_;
  std::uint64_t elements_ = 0;
  value root_;
  std::optional<error> problem_;
};

}  // namespace

std::string value::to_json(json_style style) const {
  msgpack_reader reader{bytes_};
  return with_controls_escaped(to_json_tree(reader).dump(style == json_style::pretty ? 2 : -1));
}

result<value> value::from_json(std::string_view text, const codec_limits& limits) {
  return value_builder{text, limits}.build();
}

}  // namespace troupe
