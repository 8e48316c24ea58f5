#pragma once

#include <string_view>

namespace troupe::detail {

/// Prints what was violated and where, then aborts.
[[noreturn]] void assertion_failed(std::string_view condition, std::string_view meaning,
                                   std::string_view file, int line) noexcept;

}  // namespace troupe::detail

/// Asserts an invariant in every build, the optimised one included: the state after a violation is
/// unknown, and going on would spread it. For cheap conditions. `meaning` says what must hold.
///
///     TROUPE_ASSERT(!answered_, "a request is answered once");
#define TROUPE_ASSERT(condition, meaning) \
  (static_cast<bool>(condition)           \
       ? void(0)                          \
       : ::troupe::detail::assertion_failed(#condition, meaning, __FILE__, __LINE__))

/// Asserts an invariant that costs more than a comparison, in builds without optimisation and under
/// the sanitizers: the test suite runs both.
#ifdef NDEBUG
#define TROUPE_ASSERT_SLOW(condition, meaning) void(0)
#else
#define TROUPE_ASSERT_SLOW(condition, meaning) TROUPE_ASSERT(condition, meaning)
#endif
