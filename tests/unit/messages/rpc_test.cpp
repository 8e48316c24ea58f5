#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <string>
#include <string_view>
#include <variant>

#include <troupe/messages/wire/rpc.hpp>
#include <troupe/tests/support/value_samples.hpp>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;
using namespace std::string_literals;

namespace {

template <class Frame>
Frame parsed(std::string_view bytes) {
  auto got = rpc::parse(bytes);
  REQUIRE_MESSAGE(got.has_value(), got.error().message);
  REQUIRE(std::holds_alternative<Frame>(*got));
  return std::get<Frame>(*got);
}

std::string refusal(std::string_view bytes) {
  auto got = rpc::parse(bytes);
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code == error_code::protocol_violation);
  return got.error().message;
}

}  // namespace

TEST_CASE("a request is written as the specification of MessagePack-RPC says") {
  std::string out = "x";
  rpc::append_request(out, 300, "add",
                      "\x81\xa1"
                      "a\x01");
  CHECK(out ==
        "x\x94\x00\xcd\x01\x2c\xa3"
        "add\x91\x81\xa1"
        "a\x01"s);
  const std::string bytes = out.substr(1);
  const auto request = parsed<rpc::request>(bytes);
  CHECK(request.id == 300);
  CHECK(request.method == "add");
  CHECK(request.params ==
        "\x81\xa1"
        "a\x01");
}

TEST_CASE("a response is written as the specification says") {
  std::string out;
  rpc::append_response(out, 7, "\xa2ok");
  CHECK(out == "\x94\x01\x07\xc0\xa2ok");
  const auto response = parsed<rpc::response>(out);
  CHECK(response.id == 7);
  CHECK(response.failure.code == error_code::none);
  CHECK(response.payload == "\xa2ok");
}

TEST_CASE("a failure is a response with an error and without a result") {
  std::string out;
  rpc::append_failure(out, 7, {error_code::overloaded, "wait", "\x81\xa1r\x05"});
  const auto response = parsed<rpc::response>(out);
  CHECK(response.id == 7);
  CHECK(response.failure == error{error_code::overloaded, "wait", "\x81\xa1r\x05"});
  CHECK(response.payload == rpc::nil);
}

TEST_CASE("a notification is written as the specification says") {
  std::string out;
  rpc::append_notification(out, "log", rpc::no_params);
  CHECK(out == "\x93\x02\xa3log\x91\x80");
  const auto notification = parsed<rpc::notification>(out);
  CHECK(notification.method == "log");
  CHECK(notification.params == rpc::no_params);
}

TEST_CASE("an empty array of parameters stands for none") {
  CHECK(parsed<rpc::request>("\x94\x00\x01\xa1m\x90"s).params == rpc::no_params);
  CHECK(parsed<rpc::notification>("\x93\x02\xa1m\x90").params == rpc::no_params);
}

TEST_CASE("ids have all of their 32 bits") {
  CHECK(parsed<rpc::request>("\x94\x00\xce\xff\xff\xff\xff\xa1m\x90"s).id == 0xffffffff);
}

TEST_CASE("what is none of the three frames is refused, and the error says what a frame is") {
  CHECK(refusal("\x90").ends_with(
      "send [0, msgid, method, [params]], [1, msgid, error, result] or [2, method, [params]]"));
  for (const auto& bytes :
       {"\x01"s, "\x80"s, "\x94\x03\x01\xa1m\x90"s, "\x93\x00\x01\xa1m"s, "\x94\x02\x01\xa1m\x90"s,
        "\x95\x00\x01\xa1m\x90\xc0"s, "\x93\x01\x01\xc0"s, "\x94\xa1x\x01\xa1m\x90"s,
        "\x94\xff\x01\xa1m\x90"s})
    CHECK(refusal(bytes).starts_with("a message is not a MessagePack-RPC frame"));
}

TEST_CASE("a request must have an id, a method and a map of parameters") {
  for (const auto& bytes :
       {"\x94\x00\xff\xa1m\x90"s, "\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa1m\x90"s,
        "\x94\x00\xa1x\xa1m\x90"s, "\x94\x00\x01\x05\x90"s, "\x94\x00\x01\xa1m\xc0"s,
        "\x94\x00\x01\xa1m\x80"s, "\x94\x00\x01\xa1m\x91\x01"s, "\x94\x00\x01\xa1m\x92\x80\x80"s})
    CHECK(refusal(bytes).starts_with("a request frame is malformed"));
}

TEST_CASE("a response must have an id and an error or nil") {
  for (const auto& bytes : {"\x94\x01\xff\xc0\xc0"s, "\x94\x01\xa1x\xc0\xc0"s,
                            "\x94\x01\x01\xa5wrong\xc0"s, "\x94\x01\x01\x90\xc0"s})
    CHECK(refusal(bytes).starts_with("a response frame is malformed"));
}

TEST_CASE("a notification must have a method and a map of parameters") {
  for (const auto& bytes : {"\x93\x02\x01\x90"s, "\x93\x02\xa1m\x91\x90"s, "\x93\x02\xa1m\xc0"s})
    CHECK(refusal(bytes).starts_with("a notification frame is malformed"));
}

TEST_CASE("an envelope stands beside the parameters of a request") {
  trace_id trace;
  trace.id.bytes.fill(9);
  const auto params = rpc::with_envelope(
      "\x81\xa1"
      "a\x01",
      {1500ms, trace});
  CHECK(params ==
        "\x83\xa1"
        "a\x01\xab"
        "deadline_ms\xcd\x05\xdc\xa5trace\xc4\x10" +
            std::string(16, '\x09'));
  const auto back = decode<rpc::envelope>(params);
  REQUIRE(back.has_value());
  CHECK(back->deadline == 1500ms);
  CHECK(back->trace == trace);
}

TEST_CASE("an envelope that says nothing adds nothing") {
  CHECK(rpc::with_envelope("\x81\xa1"
                           "a\x01",
                           {}) ==
        "\x81\xa1"
        "a\x01");
  CHECK(rpc::with_envelope(rpc::no_params, {5ms, {}}) ==
        "\x81\xab"
        "deadline_ms\x05");
}

TEST_CASE("an envelope fits beside any number of parameters") {
  for (const std::size_t count : {14, 15, 16, 65534, 65535, 65536}) {
    std::vector<value::member> members;
    for (std::size_t i = 0; i < count; ++i) members.emplace_back(std::to_string(i), true);
    const auto params = rpc::with_envelope(value::map(std::move(members)).msgpack(), {5ms, {}});
    const auto back = value::from_msgpack(params);
    REQUIRE(back.has_value());
    CHECK(back->size() == count + 1);
    CHECK(back->find("deadline_ms") == value{5});
  }
}

TEST_CASE("parameters without an envelope have no deadline and no trace") {
  const auto beside = decode<rpc::envelope>(
      "\x81\xa1"
      "a\x01");
  REQUIRE(beside.has_value());
  CHECK(beside->deadline == 0ms);
  CHECK(beside->trace.is_nil());
}

TEST_CASE("frames are parsed as they were written") {
  CHECK(rc::check("round trip", [] {
    const auto id = *rc::gen::arbitrary<std::uint32_t>();
    const auto method = draw_text();
    const auto params = value::map({{"p", draw_value(value_range::all)}});
    std::string request, response, notification;
    rpc::append_request(request, id, method, params.msgpack());
    rpc::append_response(response, id, params.msgpack());
    rpc::append_notification(notification, method, params.msgpack());
    const auto got_request = std::get<rpc::request>(*rpc::parse(request));
    const auto got_response = std::get<rpc::response>(*rpc::parse(response));
    const auto got_notification = std::get<rpc::notification>(*rpc::parse(notification));
    RC_ASSERT(got_request.id == id);
    RC_ASSERT(got_request.method == method);
    RC_ASSERT(got_request.params == params.msgpack());
    RC_ASSERT(got_response.id == id);
    RC_ASSERT(got_response.payload == params.msgpack());
    RC_ASSERT(got_notification.method == method);
    RC_ASSERT(got_notification.params == params.msgpack());
  }));
}

TEST_CASE("any bytes that are msgpack are parsed or refused") {
  CHECK(rc::check("parse", [] {
    const auto bytes = draw_value(value_range::all).msgpack();
    const auto got = rpc::parse(bytes);
    RC_ASSERT(got.has_value() || got.error().code == error_code::protocol_violation);
  }));
}
