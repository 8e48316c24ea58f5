#include <troupe/messages/wire/codec.hpp>

#include <troupe/messages/text/utf8.hpp>

namespace troupe::codec {

void write(msgpack_writer& out, const std::string& x) {
  if (is_utf8(x))
    out.string(x);
  else
    out.string(repaired_utf8(x));
}

bool read(msgpack_reader& in, value& x, problem& why) {
  const auto bytes = in.skip();
  if (!bytes) return expected(why, "a value");
  auto got = value::from_msgpack(*bytes);
  if (!got) return why.what = "is not a value: " + got.error().message, false;
  x = std::move(*got);
  return true;
}

void write(msgpack_writer& out, const error& x) {
  if (x.code == error_code::none) return out.nil();
  out.array(3);
  out.string(to_string(x.code));
  write(out, x.message);
  if (x.detail.empty())
    out.nil();
  else if (check_msgpack(x.detail, {}))
    out.raw(x.detail);
  else
    write(out, x.detail);
}

bool read(msgpack_reader& in, error& x, problem& why) {
  if (in.read_nil()) return x = error{error_code::none, {}, {}}, true;
  const auto count = in.read_array();
  const auto name = count && *count >= 2 ? in.read_string() : std::nullopt;
  const auto message = name ? in.read_string() : std::nullopt;
  if (!message) return expected(why, "an error ([code, message, detail])");
  // An unknown code, or the code for no error, is still an error of the other side.
  const auto code = parse_error_code(*name).value_or(error_code::none);
  x = error{
      code == error_code::none ? error_code::handler_failed : code, std::string{*message}, {}};
  for (std::uint32_t i = 2; i < *count; ++i) {
    const auto detail = in.skip();
    if (!detail) return expected(why, "an error ([code, message, detail])");
    if (i == 2 && *detail != "\xc0") x.detail = *detail;
  }
  return true;
}

error to_error(const problem& why) {
  std::string where = why.where.starts_with('.') ? why.where.substr(1) : why.where;
  if (where.empty()) where = "the message";
  return {error_code::invalid_argument, where + " " + why.what, {}};
}

}  // namespace troupe::codec
