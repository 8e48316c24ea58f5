#include <troupe/actors/links/link_greeting.hpp>

#include <utility>

#include <troupe/actors/kernel/log.hpp>
#include <troupe/messages/assert.hpp>
#include <troupe/messages/text/utf8.hpp>
#include <troupe/messages/wire/codec.hpp>

namespace troupe {

namespace {

result<void> check_name(std::string_view name) {
  if (name.size() <= max_session_name_bytes) return {};
  return fail(error_code::invalid_argument,
              "the name of the other side has " + std::to_string(name.size()) + " bytes; at most " +
                  std::to_string(max_session_name_bytes) + " are accepted");
}

result<void> check_accepted(const session_accepted& answer, const session_open& said) {
  if (answer.protocol < said.protocol.at(0) || answer.protocol > said.protocol.at(1))
    return fail(error_code::version_mismatch, "the other side answered with protocol version " +
                                                  std::to_string(answer.protocol) +
                                                  ", which was not offered");
  if (answer.node.is_nil())
    return fail(error_code::protocol_violation, "the other side did not send its node id");
  if (!answer.cluster.is_nil() && answer.cluster != said.cluster)
    return fail(error_code::permission_denied,
                "the other side is of the cluster " + to_string(answer.cluster) + ", not of " +
                    to_string(said.cluster) +
                    "; nodes of one cluster are started with the same --cluster");
  return check_name(answer.node_name);
}

}  // namespace

link_greeting::link_greeting(session_gate gate, std::optional<session_open> introduction)
    : gate_(std::move(gate)), introduction_(std::move(introduction)) {
  TROUPE_ASSERT(!gate_ || !introduction_, "a side either accepts or dials");
  TROUPE_ASSERT(!introduction_ || introduction_->protocol.size() == 2,
                "an introduction offers a lowest and a highest protocol version");
}

result<link_greeting::opening> link_greeting::admit(std::string_view method,
                                                    std::string_view params) const {
  if (!gate_)
    return fail(error_code::protocol_violation,
                "this side dialed; it asks first, and was asked " + printable(method, 64));
  if (method != session_open::method)
    return fail(error_code::protocol_violation,
                "the first request must be session.open, not " + printable(method, 64));
  auto opened = decode_checked<session_open>(params);
  if (!opened) return fail(std::move(opened.error()));
  const auto agreed = agree_on_protocol(opened->protocol);
  if (!agreed) return fail(agreed.error());
  if (auto checked = check_name(opened->name); !checked) return fail(std::move(checked.error()));
  auto granted = gate_(*opened);
  if (!granted) return fail(std::move(granted.error()));
  granted->answer.protocol = *agreed;
  return opening{std::move(*granted),
                 {.kind = opened->kind,
                  .node = opened->node,
                  .name = std::move(opened->name),
                  .incarnation = opened->incarnation,
                  .address = std::move(opened->address)}};
}

result<link_greeting::opening> link_greeting::check_acceptance(std::string_view answer) const {
  TROUPE_ASSERT(introduction_, "only the dialing side expects an acceptance");
  auto accepted = decode_checked<session_accepted>(answer);
  if (!accepted) return fail(std::move(accepted.error()));
  if (auto checked = check_accepted(*accepted, *introduction_); !checked)
    return fail(std::move(checked.error()));
  session_began session{.kind = session_kind::peer,
                        .node = accepted->node,
                        .name = accepted->node_name,
                        .incarnation = accepted->incarnation,
                        .address = {},
                        .dialed = true};
  principal peer{.name = to_string(accepted->node), .kind = principal_kind::peer};
  return opening{{std::move(peer), std::move(*accepted)}, std::move(session)};
}

}  // namespace troupe
