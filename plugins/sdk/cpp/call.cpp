#include <troupe/plugins/sdk/cpp/call.hpp>

#include <algorithm>
#include <utility>

#include <troupe/messages/wire/plugin_protocol.hpp>
#include <troupe/plugins/sdk/cpp/connection.hpp>

namespace troupe::sdk {

// -- context_access -------------------------------------------------------------------------------

result<std::optional<value>> context_access::get(const path& where,
                                                 std::chrono::milliseconds timeout) {
  return node_->call(get_value{where}, timeout, request_).map([](value_found got) {
    return got.found ? std::optional{std::move(got.value)} : std::nullopt;
  });
}

result<change_id> context_access::set(const path& where, const value& what, enum durability when,
                                      std::chrono::milliseconds timeout) {
  return node_->call(set_value{where, what, when}, timeout, request_)
      .map([](const change_accepted& done) { return done.id; });
}

result<change_id> context_access::erase(const path& where, enum durability when,
                                        std::chrono::milliseconds timeout) {
  return node_->call(erase_value{where, when}, timeout, request_)
      .map([](const change_accepted& done) { return done.id; });
}

result<value_page> context_access::list(const path& prefix, const path& after, std::uint32_t limit,
                                        std::chrono::milliseconds timeout) {
  return node_->call(list_values{prefix, after, limit}, timeout, request_);
}

result<void> context_access::for_each(const path& prefix,
                                      const std::function<bool(const context_entry&)>& visit,
                                      std::chrono::milliseconds timeout) {
  path after;
  while (true) {
    auto page = list(prefix, after, 1000, timeout);
    if (!page) return fail(std::move(page.error()));
    for (const auto& entry : page->entries)
      if (!visit(entry)) return {};
    if (!page->more) return {};
    if (page->entries.empty())
      return fail(error_code::internal, "the node promised more entries of a list but sent none");
    after = std::move(page->entries.back().path);
  }
}

// -- call -----------------------------------------------------------------------------------------

const trace_id& call::trace() const noexcept { return request_->trace; }

result<value> call::execute(std::string_view command, const arguments& given,
                            std::chrono::milliseconds timeout) {
  return node_->call(execute_request{std::string{command}, given}, timeout, request_);
}

result<void> call::log(log_severity level, std::string_view message) {
  if (auto noted = node_->session().notify(
          log_line::method, encode(log_line{std::string{name_of(level)}, std::string{message}}));
      !noted)
    return noted;
  return node_->drain();
}

std::optional<std::chrono::milliseconds> call::remaining() const {
  if (!request_->deadline) return std::nullopt;
  const auto left = std::max(*request_->deadline - node_->now(), time_point::duration::zero());
  return std::chrono::ceil<std::chrono::milliseconds>(left);
}

bool call::cancelled() {
  const auto turned = node_->turn(node_->now());
  return request_->cancelled || node_->session().is_stopping() || !turned;
}

}  // namespace troupe::sdk
