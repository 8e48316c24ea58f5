#pragma once

#include <string>

namespace troupe {

/// Why a node should stop.
struct stop_request {
  std::string reason;   ///< For the operator.
  bool failed = false;  ///< An essential part has ended by itself; otherwise somebody has asked.
};

}  // namespace troupe
