#include <troupe/messages/wire/rpc.hpp>

namespace troupe::rpc {

namespace {

tl::unexpected<error> malformed(std::string_view what) {
  return fail(error_code::protocol_violation, std::string{what} +
                                                  "; send [0, msgid, method, [params]], [1, msgid, "
                                                  "error, result] or [2, method, [params]]");
}

/// Reads `[{...}]` at the end of a frame; an empty array stands for no parameters. The scanner has
/// found where the frame ends, so the map is all that is left of it.
std::optional<std::string_view> read_params(msgpack_reader& in) {
  const auto count = in.read_array();
  if (!count || *count > 1) return std::nullopt;
  if (*count == 0) return no_params;
  if (in.peek() != msgpack_kind::map) return std::nullopt;
  return in.rest();
}

std::optional<std::uint32_t> read_id(msgpack_reader& in) {
  const auto id = in.read_unsigned();
  if (!id || *id > 0xffffffffu) return std::nullopt;
  return static_cast<std::uint32_t>(*id);
}

result<frame> parse_request(msgpack_reader& in) {
  const auto id = read_id(in);
  const auto method = id ? in.read_string() : std::nullopt;
  const auto params = method ? read_params(in) : std::nullopt;
  if (!params) return malformed("a request frame is malformed");
  return request{*id, *method, *params};
}

result<frame> parse_response(msgpack_reader& in) {
  const auto id = read_id(in);
  response got{id.value_or(0), {}, {}};
  codec::problem why;
  if (!id || !codec::read(in, got.failure, why)) return malformed("a response frame is malformed");
  got.payload = in.rest();  // the scanner has found its end
  return got;
}

result<frame> parse_notification(msgpack_reader& in) {
  const auto method = in.read_string();
  const auto params = method ? read_params(in) : std::nullopt;
  if (!params) return malformed("a notification frame is malformed");
  return notification{*method, *params};
}

void append_params(msgpack_writer& writer, std::string_view params) {
  writer.array(1);
  writer.raw(params);
}

}  // namespace

result<frame> parse(std::string_view bytes) {
  msgpack_reader in{bytes};
  const auto count = in.read_array();
  const auto type = count ? in.read_unsigned() : std::nullopt;
  if (type == 0u && *count == 4) return parse_request(in);
  if (type == 1u && *count == 4) return parse_response(in);
  if (type == 2u && *count == 3) return parse_notification(in);
  return malformed("a message is not a MessagePack-RPC frame");
}

void append_request(std::string& out, std::uint32_t id, std::string_view method,
                    std::string_view params) {
  msgpack_writer writer{out};
  writer.array(4);
  writer.unsigned_integer(0);
  writer.unsigned_integer(id);
  writer.string(method);
  append_params(writer, params);
}

void append_response(std::string& out, std::uint32_t id, std::string_view payload) {
  msgpack_writer writer{out};
  writer.array(4);
  writer.unsigned_integer(1);
  writer.unsigned_integer(id);
  writer.nil();
  writer.raw(payload);
}

void append_failure(std::string& out, std::uint32_t id, const error& failure) {
  msgpack_writer writer{out};
  writer.array(4);
  writer.unsigned_integer(1);
  writer.unsigned_integer(id);
  codec::write(writer, failure);
  writer.nil();
}

void append_notification(std::string& out, std::string_view method, std::string_view params) {
  msgpack_writer writer{out};
  writer.array(3);
  writer.unsigned_integer(2);
  writer.string(method);
  append_params(writer, params);
}

namespace {

/// The names of an envelope's fields as msgpack strings.
constexpr std::string_view deadline_key{
    "\xab"
    "deadline_ms"};
constexpr std::string_view trace_key{
    "\xa5"
    "trace"};

}  // namespace

std::string with_envelope(std::string_view params, const envelope& beside) {
  msgpack_reader in{params};
  const auto pairs = in.read_map().value_or(0);
  const bool has_deadline = beside.deadline.count() > 0;
  const bool has_trace = !beside.trace.is_nil();
  std::string out;
  out.reserve(params.size() + 48);
  msgpack_writer writer{out};
  writer.map(pairs + has_deadline + has_trace);
  writer.raw(in.rest());
  if (has_deadline) {
    writer.raw(deadline_key);
    codec::write(writer, beside.deadline);
  }
  if (has_trace) {
    writer.raw(trace_key);
    codec::write(writer, beside.trace);
  }
  return out;
}

}  // namespace troupe::rpc
