#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <caf/typed_actor.hpp>

#include <troupe/actors/commands/local_types.hpp>
#include <troupe/actors/kernel/log.hpp>

namespace troupe {

/// Runs one function after the other on a thread of its own, because the functions of a host may wait.
using worker_actor = caf::typed_actor<caf::result<void>(run_function)>;

/// Starts a worker and its thread, which ends with it.
worker_actor spawn_worker(caf::actor_system& system);

/// Calls the function of a command; what it throws becomes an error.
result<value> call_function(const command_function& run, const arguments& given, const command_context& about) noexcept;

/// Chooses the worker for each piece of work: an idle one, a new one while there may be more, else the least busy.
class worker_pool {
public:
  /// Workers are counted from 0, in the order in which they were started.
  using worker_index = std::size_t;

  /// @param max_workers how many workers there may be; at least 1.
  explicit worker_pool(std::size_t max_workers) : max_workers_(max_workers) {}

  /// The worker to use, which counts as busier from now on. The caller starts it when `index == size()` before.
  worker_index take();
  /// One piece of work of this worker has ended.
  void give_back(worker_index worker) { --load_[worker]; }

  /// How many workers have been started.
  std::size_t size() const noexcept { return load_.size(); }

private:
  std::size_t max_workers_;
  std::vector<std::uint64_t> load_;
};

}  // namespace troupe
