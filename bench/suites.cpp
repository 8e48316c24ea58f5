#include <troupe/bench/suites.hpp>

#include <array>

namespace troupe::bench {

namespace {

constexpr std::array<suite, 3> suites{{
    {"commands", "Inline commands through the dispatcher, beside requests to a bare CAF actor",
     measure_commands},
    {"context", "The state of the context, beside a map behind a lock", measure_context},
    {"network", "Calls over a link, beside a bare CAF broker with frames of fixed length",
     measure_network},
}};

}  // namespace

std::span<const suite> all_suites() noexcept { return suites; }

}  // namespace troupe::bench
