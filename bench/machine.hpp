#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::bench {

/// The commit that this program was built from, `unknown` outside a repository; ends in `-dirty`
/// when files had changed.
extern const std::string_view built_from_commit;

/// Facts by name, in the order in which they are shown.
using facts = std::vector<std::pair<std::string, std::string>>;

/// What the figures were measured on: processor, number of processors, memory, kernel.
facts describe_machine();

/// What was measured: versions of Troupe, CAF, compiler and allocator, the build type and the
/// commit.
facts describe_versions();

}  // namespace troupe::bench
