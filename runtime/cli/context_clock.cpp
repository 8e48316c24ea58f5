#include <troupe/runtime/cli/context_clock.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <troupe/messages/context_upkeep.hpp>

namespace troupe::cli {

result<void> check_clock_of(app_state& app, client& node, bool correct) {
  auto checked =
      correct ? node.call(correct_clock{}, app.deadline) : node.call(check_clock{}, app.deadline);
  if (!checked) return fail(std::move(checked.error()));
  if (app.json) return print_json(to_value(*checked)), result<void>{};
  if (checked->ahead_ms > 0)
    std::printf("this node's changes are %s ahead of its clock, %s\n",
                show_milliseconds(checked->ahead_ms).c_str(), show_time(checked->now_ms).c_str());
  else
    std::printf("this node's changes have the times of its clock, %s\n",
                show_time(checked->now_ms).c_str());
  for (const auto& each : checked->others)
    std::printf("those of node %s are %s ahead\n", to_string(each.node).c_str(),
                show_milliseconds(each.ahead_ms).c_str());
  const auto differs = [&](std::int64_t ahead_ms) {
    return show_milliseconds(static_cast<std::uint64_t>(std::abs(ahead_ms))) +
           (ahead_ms > 0 ? " ahead of" : " behind");
  };
  if (checked->clock_ahead_ms != 0)
    std::printf("the clock is %s those of most of its peers\n",
                differs(checked->clock_ahead_ms).c_str());
  for (const auto& each : checked->clocks)
    std::printf("the clock of node %s is %s %s\n", to_string(each.node).c_str(),
                differs(each.ahead_ms).c_str(),
                checked->clock_ahead_ms != 0 ? "those of most" : "this node's");
  if (correct && checked->clock_ahead_ms != 0)
    confirm(app,
            "the next start corrects it: set this machine's clock right, then stop the node "
            "and start it again");
  else if (correct)
    confirm(app, "the next start corrects it: stop the node and start it again");
  else if (checked->clock_ahead_ms != 0)
    remark(app, "set this machine's clock right");
  else if (checked->ahead_ms > 0)
    remark(app, "they win conflicts until then; end that with --correct");
  return {};
}

}  // namespace troupe::cli
