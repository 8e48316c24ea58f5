// Noticing that the times of changes are ahead of the clock; see `clock_watch`.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include <troupe/actors/context/sync_manager.hpp>

namespace troupe {

namespace {

/// A time in words: in the largest unit of which there are at least two.
std::string in_words(std::uint64_t milliseconds) {
  constexpr std::uint64_t second = 1000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
  const auto count = [&](std::uint64_t unit, const char* name) {
    return std::to_string(milliseconds / unit) + " " + name;
  };
  if (milliseconds >= 2 * day) return count(day, "days");
  if (milliseconds >= 2 * hour) return count(hour, "hours");
  if (milliseconds >= 2 * minute) return count(minute, "minutes");
  return count(second, "seconds");
}

/// "2 days ahead of", or behind.
std::string in_words(std::int64_t ahead_ms) {
  return in_words(static_cast<std::uint64_t>(std::abs(ahead_ms))) +
         (ahead_ms > 0 ? " ahead of" : " behind");
}

sync_log_field field_of(std::int64_t ahead_ms) {
  return {ahead_ms > 0 ? "ahead_ms" : "behind_ms", static_cast<std::uint64_t>(std::abs(ahead_ms))};
}

}  // namespace

void sync_manager::watch_clock() {
  if (const auto ahead = clocks_.own(engine_.next_time(now_.wall_ms), now_.wall_ms))
    log(log_severity::warning, "context.clock_ahead", {{"ahead_ms", *ahead}});
  const auto differ = peer_clocks_.update(peers_.nodes(), now_.steady_ms);
  if (differ.own) log(log_severity::warning, "context.clock_wrong", {field_of(*differ.own)});
  for (const auto& [node, ahead] : differ.others)
    log(log_severity::warning, "context.peer_clock_wrong",
        {{"node", to_string(node)}, field_of(ahead)});
}

std::optional<error> sync_manager::refusal_to_correct_clock() const {
  if (auto refused = refusal_to_write()) return refused;
  if (clocks_.own_ahead_ms() > 0) return std::nullopt;
  return error{error_code::failed_precondition,
               "the times of this node's changes are not ahead of its clock: there is nothing to "
               "correct",
               {}};
}

clock_checked sync_manager::clock() const {
  return {now_.wall_ms, clocks_.own_ahead_ms(), clocks_.others(), peer_clocks_.own_ahead_ms(),
          peer_clocks_.others()};
}

std::vector<std::string> sync_manager::clock_problems() const {
  std::vector<std::string> all;
  const auto wrong_ms = peer_clocks_.own_ahead_ms();
  if (const auto ahead = clocks_.own_ahead_ms(); ahead > 0)
    all.push_back("the times of this node's changes are " + in_words(ahead) +
                  " ahead of its clock, which " + (wrong_ms != 0 ? "is wrong now, or " : "") +
                  "was wrong once, and they win conflicts. " +
                  (wrong_ms != 0 ? "Set the clock right first; if that is not enough, " : "") +
                  "'troupe context clock --correct' and a restart end that for later changes; "
                  "values keep their times until they are written again");
  for (const auto& [node, ahead] : clocks_.others())
    all.push_back("the times of the changes of node " + to_string(node) + " are " +
                  in_words(ahead) +
                  " ahead of this node's clock; one of the two clocks is or was wrong");
  if (wrong_ms != 0)
    all.push_back("this node's clock is " + in_words(wrong_ms) +
                  " those of most nodes with which it has links: set it right");
  for (const auto& [node, ahead] : peer_clocks_.others())
    all.push_back("the clock of node " + to_string(node) + " is " + in_words(ahead) +
                  (wrong_ms != 0 ? " those of most nodes: set it right"
                                 : " this node's clock; set the one right that is wrong"));
  return all;
}

value_explained sync_manager::explain(const path& where) const {
  auto told = engine_.explain(where);
  for (const auto& each : told.writes)
    if (const auto ahead = clock_watch::ahead(each.timestamp, now_.wall_ms); ahead && each.wins)
      told.rule += "; its time is " + in_words(*ahead) + " ahead of this node's clock";
  if (const auto ahead = peer_clocks_.own_ahead_ms(); ahead != 0)
    told.rule += "; this node's clock is " + in_words(ahead) + " those of most of its peers";
  return told;
}

}  // namespace troupe
