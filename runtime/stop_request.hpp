#pragma once

#include <string>

namespace troupe {

/// Why a node should stop.
struct stop_request {
  std::string reason;   ///< For the operator.
  bool failed = false;  ///< An essential actor has failed. False: the stop was requested.
};

}  // namespace troupe
