#include <troupe/messages/assert.hpp>

#include <cstdio>
#include <cstdlib>

namespace troupe::detail {

void assertion_failed(std::string_view condition, std::string_view meaning, std::string_view file,
                      int line) noexcept {
  const auto size = [](std::string_view text) { return static_cast<int>(text.size()); };
  std::fprintf(stderr, "troupe: a defect: %.*s, but (%.*s) is false, in %.*s:%d\n", size(meaning),
               meaning.data(), size(condition), condition.data(), size(file), file.data(), line);
  std::abort();
}

}  // namespace troupe::detail
