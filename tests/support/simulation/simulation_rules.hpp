#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace troupe::test::simulation {

/// A rule that the simulated world has seen broken.
class violation : public std::runtime_error {
public:
  using std::runtime_error::runtime_error;
};

/// @param rule in words that say what went wrong.
inline void must(bool holds, std::string_view rule) {
  if (!holds) throw violation{std::string{rule}};
}

}  // namespace troupe::test::simulation
