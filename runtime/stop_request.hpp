#pragma once

#include <string>

namespace troupe {

/// That a node should stop, and why.
struct stop_request {
  std::string reason;   ///< In words for the operator.
  bool failed = false;  ///< An essential part of the node has ended by itself; otherwise somebody
                        ///< has asked for it.
};

}  // namespace troupe
