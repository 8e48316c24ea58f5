#include <troupe/actors/links/session/served_requests.hpp>

#include <string>

#include <troupe/messages/assert.hpp>

namespace troupe {

result<void> served_requests::check_room(std::size_t bytes) const {
  if (serving_.size() >= most_)
    return fail(error_code::overloaded, std::to_string(serving_.size()) +
                                            " requests are in progress, " +
                                            std::to_string(serving_.size() - awaited_.size()) +
                                            " of them cancelled or expired; try again later");
  if (bytes_ + bytes > most_bytes_)
    return fail(error_code::overloaded, "the requests in progress have " + std::to_string(bytes_) +
                                            " bytes of parameters; at most " +
                                            std::to_string(most_bytes_) +
                                            " are accepted at once; wait for answers");
  return {};
}

request_serial served_requests::accept(std::uint32_t id, std::size_t bytes, time_point deadline) {
  TROUPE_ASSERT(serving_.size() < most_, "a request is accepted when there is room for it");
  // Serials wrap around. A request may outlive that.
  do ++last_;
  while (serving_.contains(last_));
  serving_.emplace(last_, served_request{id, bytes, deadline});
  const bool is_new = awaited_.emplace(id, last_).second;
  TROUPE_ASSERT(is_new, "an id names one awaited request");
  bytes_ += bytes;
  return last_;
}

std::optional<std::uint32_t> served_requests::finish(request_serial request) {
  const auto found = serving_.find(request);
  if (found == serving_.end()) return std::nullopt;
  const auto served = found->second;
  serving_.erase(found);
  bytes_ -= served.bytes;
  if (served.is_answered) return std::nullopt;
  const auto erased = awaited_.erase(served.id);
  TROUPE_ASSERT(erased == 1, "a request without a reply is awaited");
  return served.id;
}

std::optional<request_serial> served_requests::answer_early(std::uint32_t id) {
  const auto found = awaited_.extract(id);
  if (!found) return std::nullopt;
  const auto serial = found.mapped();
  const auto served = serving_.find(serial);
  TROUPE_ASSERT(served != serving_.end(), "an awaited request is worked on");
  served->second.is_answered = true;
  return serial;
}

std::vector<std::uint32_t> served_requests::expired(time_point now) const {
  std::vector<std::uint32_t> found;
  for (const auto& [id, serial] : awaited_)
    if (serving_.at(serial).deadline <= now) found.push_back(id);
  return found;
}

std::vector<request_serial> served_requests::clear() {
  std::vector<request_serial> awaited;
  for (const auto& [id, serial] : awaited_) awaited.push_back(serial);
  serving_.clear();
  awaited_.clear();
  bytes_ = 0;
  return awaited;
}

}  // namespace troupe
