#include <cstdlib>
#include <filesystem>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <troupe/actors/commands/dispatcher.hpp>
#include <troupe/bench/bare_system.hpp>
#include <troupe/bench/bare_types.hpp>
#include <troupe/bench/pipeline.hpp>
#include <troupe/bench/suites.hpp>
#include <troupe/runtime/caf.hpp>

namespace troupe::bench {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t in_flight = 256;
constexpr std::size_t piped_requests = 400'000;
constexpr std::size_t single_requests = 100'000;
constexpr std::size_t host_requests = 20'000;
constexpr double target = 0.5;

const std::string command = "bench.echo";

command_spec echo_spec() {
  return command_spec{command}.summary("Answers with its text").param<std::string>("text");
}

// -- beside: a bare typed actor -------------------------------------------------------------------

using bare_actor = caf::typed_actor<caf::result<std::string>(bare_request)>;

bare_actor spawn_bare(caf::actor_system& system) {
  return system.spawn([](bare_actor::pointer) -> bare_actor::behavior_type {
    return {[](bare_request& wanted) { return std::move(wanted.text); }};
  });
}

bare_request make_bare_request(std::uint64_t number) {
  return {std::string{view(echo_text_of(number))}};
}

bool is_right_bare_answer(std::uint64_t number, const std::string& answer) {
  return is_echo_text_of(number, answer);
}

// -- ours: the dispatcher -------------------------------------------------------------------------

result<dispatcher_actor> spawn_dispatcher_with_echo(caf::actor_system& system) {
  auto dispatcher = spawn_dispatcher(system, {}, log_target{});
  const auto echo = [](arguments& given, const command_context&) -> result<value> {
    return std::move(given.entries().front().second);
  };
  result<void> added;
  caf::scoped_actor self{system};
  self->request(dispatcher, 10s, add_command{echo_spec(), inline_handler{echo}, {}})
      .receive([] {}, [&](const caf::error& why) { added = fail(from_caf(why)); });
  if (!added) return fail(std::move(added.error()));
  return dispatcher;
}

/// A caller that needs its capability, as a plugin or another program does; the host itself is let
/// through at once.
principal_ptr make_caller() {
  return std::make_shared<const principal>(principal{.name = "bench",
                                                     .kind = principal_kind::client,
                                                     .capabilities = {"command.execute:bench.*"}});
}

bool is_right_answer(std::uint64_t number, const value& answer) {
  const auto text = answer.as_string();
  return text && is_echo_text_of(number, *text);
}

result<void> compare_dispatcher(harness& with, caf::actor_system& system,
                                const dispatcher_actor& dispatcher, bare_system& beside,
                                const bare_actor& bare, std::string name, pipeline plan) {
  const auto make = [caller = make_caller()](std::uint64_t number) {
    arguments given;
    given.entries().emplace_back("text", value{view(echo_text_of(number))});
    return execute_command{command, std::move(given), caller, 30s, {uuid{{1, 2, 3, 4}}}};
  };
  return with.compare({
      .suite = "commands",
      .name = std::move(name),
      .unit = "commands/s",
      .ours = {"dispatcher",
               [&] {
                 return run_pipeline<value>(system, dispatcher, plan, make, is_right_answer);
               }},
      .beside = {"bare CAF actor",
                 [&] {
                   return run_pipeline<std::string>(beside.caf(), bare, plan, make_bare_request,
                                                    is_right_bare_answer);
                 }},
      .target = target,
  });
}

result<void> compare_dispatcher(harness& with) {
  system_config settings;
  caf::actor_system system{settings};
  const auto dispatcher = spawn_dispatcher_with_echo(system);
  if (!dispatcher) return fail(dispatcher.error());
  bare_system beside;
  const auto bare = spawn_bare(beside.caf());
  auto done =
      compare_dispatcher(with, system, *dispatcher, beside, bare, "inline command, one at a time",
                         {with.operations(single_requests), 1});
  if (done)
    done =
        compare_dispatcher(with, system, *dispatcher, beside, bare, "inline command, 256 in flight",
                           {with.operations(piped_requests), in_flight});
  caf::anon_send_exit(*dispatcher, caf::exit_reason::user_shutdown);
  caf::anon_send_exit(bare, caf::exit_reason::user_shutdown);
  return done;
}

// -- ours: a host ---------------------------------------------------------------------------------

/// A directory that is deleted with this object.
class scratch_directory {
public:
  static result<scratch_directory> make() {
    auto name = (std::filesystem::temp_directory_path() / "troupe-bench-XXXXXX").native();
    if (::mkdtemp(name.data()) == nullptr)
      return fail(error_code::storage_failure,
                  "no directory can be made in " + std::filesystem::temp_directory_path().native());
    return scratch_directory{std::move(name)};
  }
  scratch_directory(scratch_directory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  scratch_directory& operator=(scratch_directory&&) = delete;
  ~scratch_directory() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const noexcept { return path_; }

private:
  explicit scratch_directory(std::filesystem::path path) : path_(std::move(path)) {}

  std::filesystem::path path_;
};

/// Calls `ask_once(number)`, which says whether the answer was right, one after the other on this
/// thread.
template <class AskOnce>
result<double> run_serially(std::size_t requests, AskOnce&& ask_once) {
  const auto began = std::chrono::steady_clock::now();
  for (std::uint64_t number = 0; number < requests; ++number)
    if (result<void> right = ask_once(number); !right) return fail(std::move(right.error()));
  return static_cast<double>(requests) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

result<void> right_or_not(bool right) {
  if (!right) return fail(error_code::corrupt_data, "an answer is wrong");
  return {};
}

result<void> execute_once(host& on, std::uint64_t number) {
  const auto answer = on.execute(command, {{"text", value{view(echo_text_of(number))}}});
  if (!answer) return fail(answer.error());
  return right_or_not(is_right_answer(number, *answer));
}

result<void> request_once(caf::scoped_actor& self, const bare_actor& bare, std::uint64_t number) {
  result<void> outcome;
  self->request(bare, caf::infinite, make_bare_request(number))
      .receive(
          [&](const std::string& answer) {
            outcome = right_or_not(is_right_bare_answer(number, answer));
          },
          [&](const caf::error& why) { outcome = fail(from_caf(why)); });
  return outcome;
}

result<void> compare_host(harness& with) {
  const auto directory = scratch_directory::make();
  if (!directory) return fail(directory.error());
  host host{
      config{.data_dir = directory->path(), .sandbox = sandbox_kind::none, .serve_clients = false}};
  auto added = host.commands().add(
      echo_spec(), [](const arguments& given) -> result<value> { return *given.find("text"); },
      run_on::dispatcher);
  if (!added) return added;
  bare_system beside;
  caf::scoped_actor self{beside.caf()};
  const auto bare = spawn_bare(beside.caf());
  const auto requests = with.operations(host_requests);
  auto done = with.compare({
      .suite = "commands",
      .name = "host.execute, one thread",
      .unit = "commands/s",
      .ours = {"host.execute",
               [&] {
                 return run_serially(
                     requests, [&](std::uint64_t number) { return execute_once(host, number); });
               }},
      .beside = {"bare CAF scoped actor",
                 [&] {
                   return run_serially(requests, [&](std::uint64_t number) {
                     return request_once(self, bare, number);
                   });
                 }},
      .target = target,
  });
  self->send_exit(bare, caf::exit_reason::user_shutdown);
  return done;
}

}  // namespace

result<void> measure_commands(harness& with) {
  if (auto done = compare_dispatcher(with); !done) return done;
  return compare_host(with);
}

}  // namespace troupe::bench
