#pragma once

#include <vector>

#include <troupe/actors/context/sync/sync_session.hpp>

namespace troupe::test {

/// What a session is to read of its replica.
struct view_values {
  version_vector committed;
  state_hash root;
  bool takes_pushes = true;
  std::vector<node_id> links;
  std::vector<incarnation_id> declined;
  std::vector<dot_range> missing;
};

/// Shows a session values that a test changes.
class view_of_values final : public sync_view {
public:
  explicit view_of_values(const view_values& values) : values_(values) {}

  const version_vector& committed() const override { return values_.committed; }
  state_hash root() const override { return values_.root; }
  bool takes_pushes() const override { return values_.takes_pushes; }
  const std::vector<node_id>& links() const override { return values_.links; }
  std::vector<incarnation_id> declined() const override { return values_.declined; }
  std::vector<dot_range> missing() const override { return values_.missing; }

private:
  const view_values& values_;
};

}  // namespace troupe::test
