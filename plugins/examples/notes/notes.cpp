#include <troupe/plugins/examples/notes/notes.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::examples {

namespace {

constexpr std::int64_t most_found = 1000;
constexpr double longest_text = 64 * 1024;
/// What one answer carries, so that it fits into a message and the plugin into its memory.
constexpr std::size_t most_bytes = std::size_t{4} << 20;

const path notes_root{"/plugins/notes/notes"};
const path counters_root{"/plugins/notes/counters"};

/// Twenty digits hold every 64-bit number, so that the order of the texts is the order of the
/// numbers.
std::string padded(std::uint64_t number) {
  const auto digits = std::to_string(number);
  return std::string(20 - digits.size(), '0') + digits;
}

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string lower(std::string_view text) {
  std::string made{text};
  for (char& c : made) c = lower(c);
  return made;
}

/// Gives out an id that no other note ever has, and that sorts behind the ids of all notes known
/// here.
///
/// It is a number and the id of this node. The number is one above every node's counter, as in
/// Lamport's logical clocks, and is kept as this node's counter, which no other node writes, before
/// it is used: an id is not given out again after a restart, or after its note was erased. A plugin
/// runs one command at a time, so no two meet here.
result<std::string> next_id(sdk::call& call) {
  std::uint64_t highest = 0;
  const auto note_counter = [&](const context_entry& counter) {
    highest = std::max(highest, counter.value.as_unsigned().value_or(0));
    return true;
  };
  if (const auto seen = call.context().for_each(counters_root, note_counter); !seen)
    return fail(seen.error());
  if (highest == std::numeric_limits<std::uint64_t>::max())
    return fail(error_code::limit_exceeded,
                "the counters below " + counters_root.text() + " are used up");
  const auto node = to_string(call.host().node);
  const auto next = highest + 1;
  call.context().set(path{counters_root.text() + '/' + node}, next).value();
  return padded(next) + '-' + node;
}

result<value> add(const arguments& given, sdk::call& call) {
  const auto tags = given.get<value>("tags");
  for (const auto& tag : tags.elements())
    if (!tag.as_string())
      return fail(error_code::invalid_argument, "every tag must be a string, not " + tag.to_json());
  const auto id = next_id(call).value();
  const auto note = value::map({{"text", given.get<std::string>("text")}, {"tags", tags}});
  call.context().set(path{notes_root.text() + '/' + id}, note).value();
  return value::map({{"id", id}});
}

result<value> find(const arguments& given, sdk::call& call) {
  const auto wanted = lower(given.get<std::string>("text"));
  const auto limit = given.get<std::size_t>("limit");
  std::vector<value> found;
  std::size_t bytes = 0;
  const auto take = [&](const context_entry& note) {
    const auto text = note.value.find("text").value_or(value{});
    if (lower(text.as_string().value_or("")).find(wanted) == std::string::npos) return true;
    found.push_back(value::map({{"id", note.path.segments().back()},
                                {"text", text},
                                {"tags", note.value.find("tags").value_or(value::array({}))}}));
    bytes += found.back().msgpack().size();
    return found.size() < limit && bytes <= most_bytes;
  };
  if (const auto searched = call.context().for_each(notes_root, take); !searched)
    return fail(searched.error());
  if (bytes > most_bytes && found.size() > 1)
    return fail(error_code::limit_exceeded,
                "these notes are more than one answer carries; lower `limit` below " +
                    std::to_string(found.size()) + " or give more of the text");
  return value::array(found);
}

result<value> count(const arguments&, sdk::call& call) {
  std::uint64_t notes = 0;
  const auto counted =
      call.context().for_each(notes_root, [&](const context_entry&) { return ++notes, true; });
  if (!counted) return fail(counted.error());
  return notes;
}

parameter_spec text_parameter() {
  parameter_spec text;
  text.name = "text";
  text.type = parameter_type::string;
  text.summary = "What to remember.";
  text.maximum = longest_text;
  return text;
}

parameter_spec limit_parameter() {
  parameter_spec limit;
  limit.name = "limit";
  limit.type = parameter_type::integer;
  limit.summary = "How many notes to return at most.";
  limit.default_value = 20;
  limit.minimum = 1;
  limit.maximum = most_found;
  return limit;
}

parameter_spec tags_parameter() {
  parameter_spec tags;
  tags.name = "tags";
  tags.type = parameter_type::array;
  tags.summary = "Words to file the note under.";
  tags.default_value = value::array({});
  tags.maximum = 32;
  return tags;
}

}  // namespace

sdk::plugin notes_plugin() {
  sdk::plugin notes{"notes", "0.1.0"};
  notes.command(command_spec{"add"}
                    .summary("Keeps a note and returns its id")
                    .param(text_parameter())
                    .param(tags_parameter()),
                add);
  notes.command(command_spec{"find"}
                    .summary("Finds notes by a part of their text, oldest first")
                    .param<std::string>(
                        "text", "The part, in upper or lower case; an empty one finds every note.")
                    .param(limit_parameter()),
                find);
  notes.command(command_spec{"count"}.summary("Tells how many notes there are"), count);
  return notes;
}

}  // namespace troupe::examples
