#include <troupe/messages/link.hpp>

#include <algorithm>

namespace troupe {

result<std::uint32_t> agree_on_protocol(const std::vector<std::uint32_t>& offered) {
  if (offered.size() != 2 || offered[0] > offered[1])
    return fail(error_code::invalid_argument, "protocol must be [lowest, highest], such as [1, 1]");
  const auto agreed = std::min(offered[1], highest_protocol);
  if (agreed < std::max(offered[0], lowest_protocol))
    return fail(error_code::version_mismatch,
                "no shared protocol version: this node speaks " + std::to_string(lowest_protocol) +
                    " to " + std::to_string(highest_protocol) + ", the other side " +
                    std::to_string(offered[0]) + " to " + std::to_string(offered[1]));
  return agreed;
}

}  // namespace troupe
