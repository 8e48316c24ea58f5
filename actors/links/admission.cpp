#include <troupe/actors/links/admission.hpp>

namespace troupe {

result<void> admit_user(uid_t user, uid_t own) {
  if (user == own || user == 0) return {};
  return fail(error_code::permission_denied, "the client runs as another user");
}

result<session_grant> admit_client(const session_open& opening,
                                   const session_accepted& introduction) {
  if (opening.kind != session_kind::client)
    return fail(error_code::permission_denied, "this socket is for clients");
  return session_grant{{.name = "client:" + opening.name,
                        .kind = principal_kind::client,
                        .capabilities = {},
                        .same_user = true},
                       introduction};
}

result<session_grant> admit_peer(const session_open& opening, const session_open& own) {
  if (opening.kind != session_kind::peer)
    return fail(error_code::permission_denied,
                "this address is for peers; clients use the unix socket");
  if (opening.cluster != own.cluster)
    return fail(error_code::permission_denied,
                "the cluster id " + to_string(opening.cluster) + " is not this node's, " +
                    to_string(own.cluster) +
                    "; nodes of one cluster are started with the same --cluster");
  if (opening.node.is_nil())
    return fail(error_code::invalid_argument, "a peer must send its node id");
  if (opening.node == own.node && opening.incarnation != own.incarnation)
    return fail(error_code::already_exists,
                "the node id " + to_string(own.node) +
                    " is this node's own; the data directory was copied: give the copy its own");
  return session_grant{
      {.name = to_string(opening.node), .kind = principal_kind::peer, .capabilities = {}},
      {.node = own.node,
       .node_name = own.name,
       .incarnation = own.incarnation,
       .cluster = own.cluster,
       .capabilities = {}}};
}

}  // namespace troupe
