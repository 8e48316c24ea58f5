#include <doctest/doctest.h>

#include <stdexcept>

#include <caf/exit_reason.hpp>
#include <caf/init_global_meta_objects.hpp>
#include <caf/pec.hpp>
#include <caf/sec.hpp>

#include <troupe/actors/kernel/errors.hpp>

using namespace troupe;

namespace {

void register_messages() {
  caf::core::init_global_meta_objects();
  caf::init_global_meta_objects<caf::id_block::troupe_messages>();
}

}  // namespace

TEST_CASE("an error crosses between actors with its code, its message and its detail") {
  register_messages();
  const error failure{error_code::permission_denied, "no", "\x80"};
  CHECK(from_caf(to_caf(failure)) == failure);
}

TEST_CASE("an error of CAF without a message keeps its code") {
  register_messages();
  CHECK(from_caf(caf::error{error_code::not_found}) == error{error_code::not_found, {}, {}});
}

TEST_CASE("the failures of CAF itself get the code that says the same") {
  register_messages();
  CHECK(from_caf(caf::error{}).code == error_code::none);
  CHECK(from_caf(caf::sec::request_timeout).code == error_code::deadline_exceeded);
  CHECK(from_caf(caf::sec::request_receiver_down).code == error_code::unavailable);
  CHECK(from_caf(caf::sec::broken_promise).code == error_code::unavailable);
  CHECK(from_caf(caf::sec::unexpected_message).code == error_code::internal);
  CHECK(from_caf(caf::pec::unexpected_eof).code == error_code::internal);
  CHECK(from_caf(caf::exit_reason::kill).code == error_code::unavailable);
}

TEST_CASE("the end of an actor has words, whatever its reason is") {
  register_messages();
  CHECK(end_reason({}) == "it ended by itself");
  CHECK(end_reason(caf::exit_reason::normal) == "it ended by itself");
  CHECK(end_reason(caf::exit_reason::kill) == "it was killed");
  CHECK(end_reason(caf::exit_reason::user_shutdown) == "it was asked to end");
  CHECK(end_reason(caf::exit_reason::out_of_workers).starts_with("it ended: "));
  CHECK(end_reason(to_caf({error_code::internal, "the disk is gone", {}})) == "the disk is gone");
}

TEST_CASE("what is thrown becomes an error with its words") {
  CHECK(from_exception(std::make_exception_ptr(std::runtime_error{"no memory"})) ==
        error{error_code::internal, "a handler threw: no memory", {}});
  CHECK(from_exception(std::make_exception_ptr(7)).message ==
        "a handler threw something other than an exception");
}

TEST_CASE("a handler returns the value or the error of its outcome") {
  register_messages();
  auto failed = reply(result<int>{fail(error_code::cancelled, "no")});
  CHECK(from_caf(caf::get<caf::error>(failed.get_data())).code == error_code::cancelled);
  auto done = reply(result<int>{7});
  CHECK(caf::get<caf::message>(done.get_data()).get_as<int>(0) == 7);
  CHECK(caf::get<caf::message>(reply(result<void>{}).get_data()).empty());
}
