#include <deque>

#include <caf/io/broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_response_promise.hpp>

#include <troupe/actors/links/connection_shell.hpp>
#include <troupe/actors/links/link.hpp>
#include <troupe/bench/bare_system.hpp>
#include <troupe/bench/bare_types.hpp>
#include <troupe/bench/echo_peer.hpp>
#include <troupe/bench/pipeline.hpp>
#include <troupe/bench/suites.hpp>
#include <troupe/messages/msgpack/msgpack_reader.hpp>
#include <troupe/messages/msgpack/msgpack_writer.hpp>
#include <troupe/runtime/node.hpp>

namespace troupe::bench {

namespace {

using namespace std::chrono_literals;

constexpr std::size_t in_flight = 256;
constexpr std::size_t calls = 200'000;

// -- ours: a link ---------------------------------------------------------------------------------

call_remote make_call(std::uint64_t number) {
  call_remote call{.method = "bench.echo", .deadline = 30s, .trace = {uuid{{1, 2, 3, 4}}}};
  call.params.bytes.reserve(80);
  msgpack_writer params{call.params.bytes};
  params.map(1);
  params.string("text");
  params.string(view(echo_text_of(number)));
  return call;
}

bool is_right_reply(std::uint64_t number, const payload& reply) {
  msgpack_reader in{reply.msgpack.bytes};
  const auto text = in.read_string();
  return text && in.at_end() && is_echo_text_of(number, *text);
}

// -- beside it: a bare broker ---------------------------------------------------------------------

/// Sends the frames of requests as they are and answers the oldest request with the next frame that
/// arrives. Reads as much at once as a link does.
class bare_broker_state {
public:
  bare_broker_state(caf::io::broker* self, unique_fd socket)
      : self_(self), socket_(std::move(socket)) {}

  caf::behavior make_behavior() {
    connection_ = self_->add_scribe(socket_.release());
    self_->configure_read(connection_, caf::io::receive_policy::at_most(max_read_bytes));
    return {
        [this](const bare_frame& frame) -> caf::result<bare_frame> {
          self_->write(connection_, frame.text.size(), frame.text.data());
          self_->flush(connection_);
          return waiting_.emplace_back(self_->make_response_promise<bare_frame>());
        },
        [this](const caf::io::new_data_msg& data) {
          take({reinterpret_cast<const char*>(data.buf.data()), data.buf.size()});
        },
        [this](const caf::io::connection_closed_msg&) { self_->quit(); },
    };
  }

private:
  void take(std::string_view bytes) {
    const bool continuing = !arrived_.empty();
    if (continuing) arrived_.append(bytes);
    std::string_view rest = continuing ? std::string_view{arrived_} : bytes;
    for (bare_frame answer; rest.size() >= answer.text.size();
         rest.remove_prefix(answer.text.size())) {
      std::memcpy(answer.text.data(), rest.data(), answer.text.size());
      waiting_.front().deliver(answer);
      waiting_.pop_front();
    }
    arrived_ = std::string{rest};
  }

  caf::io::broker* self_;
  unique_fd socket_;  ///< Until the broker runs.
  caf::io::connection_handle connection_;
  std::string arrived_;  ///< The beginning of the next frame.
  std::deque<caf::typed_response_promise<bare_frame>> waiting_;
};

caf::actor spawn_bare_broker(caf::actor_system& system, unique_fd socket) {
  using broker = caf::stateful_actor<bare_broker_state, caf::io::broker>;
  caf::actor_config config{&system.middleman().backend()};
  return system.spawn_impl<broker, caf::no_spawn_options>(config, std::move(socket));
}

}  // namespace

result<void> measure_network(harness& with) {
  auto our_pair = connected_pair();
  if (!our_pair) return fail(our_pair.error());
  auto bare_pair = connected_pair();
  if (!bare_pair) return fail(bare_pair.error());

  system_config settings;
  caf::actor_system system{settings};
  bare_system beside;
  // The peers end before the system does, and with them the connections and their actors.
  const echo_peer our_peer{std::move(our_pair->second), answer_rpc};
  const echo_peer bare_peer{std::move(bare_pair->second), answer_raw};
  const auto link = spawn_link(system, our_pair->first.release(), {.label = "bench"});
  const auto bare = spawn_bare_broker(beside.caf(), std::move(bare_pair->first));

  const pipeline plan{with.operations(calls), in_flight};
  return with.compare({
      .suite = "network",
      .name = "64-byte calls over a link, 256 in flight",
      .unit = "calls/s",
      .ours = {"link",
               [&] {
                 return run_pipeline<payload>(system, link, plan, make_call, is_right_reply);
               }},
      .beside = {"bare CAF broker",
                 [&] {
                   return run_pipeline<bare_frame>(
                       beside.caf(), bare, plan,
                       [](std::uint64_t number) { return bare_frame{echo_text_of(number)}; },
                       [](std::uint64_t number, const bare_frame& reply) {
                         return is_echo_text_of(number, view(reply.text));
                       });
                 }},
      .target = 0.6,
      .sufficient = 300'000,
  });
}

}  // namespace troupe::bench
