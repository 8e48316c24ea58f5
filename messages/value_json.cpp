// The JSON side of `value`, apart from the rest so that nlohmann-json is parsed by one translation unit.
#include <troupe/messages/value.hpp>

#include <cmath>
#include <string>

#include <nlohmann/json.hpp>

#include <troupe/messages/msgpack_reader.hpp>

namespace troupe {

namespace {

/// Ordered, so that text made from a value keeps the order of its keys without sorting again.
using json = nlohmann::ordered_json;

std::string base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t group = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j) bits = bits << 8 | (j < group ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j) text += j <= group ? digits[bits >> (18 - 6 * j) & 63] : '=';
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
      // Keys are unique already; pushing onto the underlying vector avoids a linear search for each.
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

/// Builds a value while nlohmann's parser reads, so that depth and size are checked before anything deep exists.
class value_builder : public nlohmann::json_sax<nlohmann::json> {
public:
  explicit value_builder(const codec_limits& limits) : limits_(limits) {}

  bool null() override { return add(value{}); }
  bool boolean(bool flag) override { return add(value{flag}); }
  bool number_integer(std::int64_t number) override { return add(value{number}); }
  bool number_unsigned(std::uint64_t number) override { return add(value{number}); }
  bool number_float(double number, const std::string&) override { return add(value{number}); }
  bool string(std::string& text) override { return add(value{text}); }
  bool binary(nlohmann::json::binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(true); }
  bool start_array(std::size_t) override { return open(false); }
  bool key(std::string& name) override { return open_.back().key = name, true; }
  bool end_array() override {
    auto closed = std::move(open_.back());
    open_.pop_back();
    return add(value::array(closed.elements));
  }
  bool end_object() override {
    auto closed = std::move(open_.back());
    open_.pop_back();
    try {
      return add(value::map(std::move(closed.members)));
    } catch (const std::invalid_argument& twice) {
      problem_ = twice.what();
      return false;
    }
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."; people need what follows the bracket.
    problem_ = error.what();
    if (const auto bracket = problem_.find("] "); bracket != std::string::npos) problem_.erase(0, bracket + 2);
    return false;
  }

  result<value> take() && {
    if (!problem_.empty()) return fail(error_code::invalid_argument, "not valid JSON: " + problem_);
    return std::move(root_);
  }

private:
  struct container {
    bool is_map;
    std::string key;
    std::vector<value> elements;
    std::vector<value::member> members;
  };

  bool open(bool is_map) {
    if (open_.size() >= limits_.depth) {
      problem_ = "nested deeper than " + std::to_string(limits_.depth) + " levels";
      return false;
    }
    open_.push_back({is_map, {}, {}, {}});
    return true;
  }
  bool add(value next) {
    if (++elements_ > limits_.elements) {
      problem_ = "more than " + std::to_string(limits_.elements) + " elements";
      return false;
    }
    if (open_.empty()) root_ = std::move(next);
    else if (open_.back().is_map) open_.back().members.emplace_back(open_.back().key, std::move(next));
    else open_.back().elements.push_back(std::move(next));
    return true;
  }

  const codec_limits& limits_;
  std::vector<container> open_;
  std::uint64_t elements_ = 0;
  value root_;
  std::string problem_;
};

}  // namespace

std::string value::to_json(json_style style) const {
  msgpack_reader reader{bytes_};
  return to_json_tree(reader).dump(style == json_style::pretty ? 2 : -1);
}

result<value> value::from_json(std::string_view text, const codec_limits& limits) {
  value_builder builder{limits};
  if (!nlohmann::json::sax_parse(text, &builder)) {
    auto outcome = std::move(builder).take();
    if (!outcome) return outcome;
    return fail(error_code::invalid_argument, "not valid JSON");
  }
  return std::move(builder).take();
}

}  // namespace troupe
