#include <troupe/actors/commands/registry.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include <troupe/messages/text/utf8.hpp>

namespace troupe {

namespace {

constexpr std::chrono::milliseconds min_timeout{1};
constexpr std::chrono::milliseconds max_timeout = std::chrono::hours{24};

constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }

constexpr bool is_word_character(char c) noexcept {
  return is_lower(c) || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/// `[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)*`
bool is_command_name(std::string_view name) noexcept {
  if (name.empty() || !is_lower(name.front()) || name.back() == '.') return false;
  if (name.find("..") != std::string_view::npos) return false;
  return std::ranges::all_of(name, [](char c) { return is_word_character(c) || c == '.'; });
}

std::size_t bytes_of(const command_spec& spec) {
  std::size_t bytes = spec.name.size() + spec.summary_text.size() + spec.description.size() +
                      spec.capability.size();
  for (const parameter_spec& each : spec.parameters) {
    bytes += sizeof each + each.name.size() + each.summary.size() + each.pattern.size();
    if (each.default_value) bytes += each.default_value->msgpack().size();
    for (const std::string& choice : each.choices) bytes += sizeof choice + choice.size();
  }
  return bytes;
}

std::optional<error> find_malformed(const command_spec& spec) {
  const auto wrong = [](std::string why) {
    return error{error_code::invalid_argument, std::move(why), {}};
  };
  if (!is_command_name(spec.name))
    return wrong(
        "a name is lower-case words of letters, digits, _ and - joined by dots, beginning with a "
        "letter");
  if (spec.timeout < min_timeout || spec.timeout > max_timeout)
    return wrong(
        fmt::format("its timeout is {} ms; it must be from 1 ms to 1 day", spec.timeout.count()));
  if (spec.concurrency == 0) return wrong("its concurrency is 0; it must be at least 1");
  if (!is_utf8(spec.summary_text)) return wrong("its summary is not UTF-8");
  if (!is_utf8(spec.description)) return wrong("its description is not UTF-8");
  for (const parameter_spec& each : spec.parameters) {
    if (!is_utf8(each.summary))
      return wrong(fmt::format("parameter {}: its summary is not UTF-8", in_quotes(each.name)));
    if (!std::ranges::all_of(each.choices, is_utf8))
      return wrong(fmt::format("parameter {}: a choice is not UTF-8", in_quotes(each.name)));
  }
  return std::nullopt;
}

std::optional<error> find_excess(const command_spec& spec) {
  const auto above = [](std::string_view what, std::size_t has, std::size_t limit) {
    return error{error_code::limit_exceeded,
                 fmt::format("its {} is {}; at most {} is accepted", what, has, limit),
                 {}};
  };
  if (spec.name.size() > registry::max_name_bytes)
    return above("name's length in bytes", spec.name.size(), registry::max_name_bytes);
  if (spec.concurrency > registry::max_concurrency)
    return above("concurrency", spec.concurrency, registry::max_concurrency);
  if (spec.queue > registry::max_queue) return above("queue", spec.queue, registry::max_queue);
  if (const auto bytes = bytes_of(spec); bytes > registry::max_spec_bytes)
    return above("specification's size in bytes", bytes, registry::max_spec_bytes);
  return std::nullopt;
}

std::size_t patterns_of(const command_spec& spec) {
  return static_cast<std::size_t>(std::ranges::count_if(
      spec.parameters, [](const parameter_spec& each) { return !each.pattern.empty(); }));
}

result<operation_request> needed_right(const command_spec& spec) {
  if (spec.capability.empty())
    return operation_request{capability_verb::command_execute, spec.name};
  return operation_request::parse(spec.capability);
}

}  // namespace

registry::registry(std::size_t capacity) : capacity_(capacity) {
  if (capacity == 0) throw std::invalid_argument{"a registry needs room for at least one command"};
}

result<command_index> registry::add(command_spec spec, std::vector<custom_check> checks) {
  const auto refuse = [name = in_quotes(spec.name)](error why) {
    return fail(why.code, fmt::format("command {}: {}", name, why.message), std::move(why.detail));
  };
  if (auto excess = find_excess(spec)) return refuse(*std::move(excess));
  if (auto malformed = find_malformed(spec)) return refuse(*std::move(malformed));
  if (find(spec.name) != nullptr)
    return refuse({error_code::already_exists, "a command of this name exists already", {}});
  if (size() == capacity_)
    return refuse({error_code::limit_exceeded,
                   fmt::format("there are {} commands already, which is the limit", capacity_),
                   {}});
  const auto bytes = bytes_of(spec), patterns = patterns_of(spec);
  if (bytes_ + bytes > max_total_bytes || patterns_ + patterns > max_total_patterns)
    return refuse(
        {error_code::limit_exceeded,
         fmt::format("with it, all specifications together have {} bytes and {} patterns; at most "
                     "{} and {} are accepted",
                     bytes_ + bytes, patterns_ + patterns, max_total_bytes, max_total_patterns),
         {}});
  auto needs = needed_right(spec);
  if (!needs) return refuse(std::move(needs.error()));

  auto shared = std::make_shared<const command_spec>(std::move(spec));
  auto compiled = validator::make(shared, std::move(checks));
  if (!compiled) return refuse(std::move(compiled.error()));

  const command_index index{free_slot(), ++last_serial_};
  auto& slot = slots_[index.slot];
  slot = std::make_unique<const registered_command>(
      registered_command{index, std::move(shared), *std::move(needs), *std::move(compiled)});
  by_name_.emplace(slot->spec->name, slot.get());
  bytes_ += bytes;
  patterns_ += patterns;
  return index;
}

std::uint32_t registry::free_slot() {
  if (free_.empty()) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  return slot;
}

result<command_index> registry::remove(std::string_view name) {
  const registered_command* known = find(name);
  if (known == nullptr)
    return fail(error_code::not_found,
                fmt::format("there is no command {} to remove", in_quotes(name)));
  const command_index index = known->index;
  bytes_ -= bytes_of(*known->spec);
  patterns_ -= patterns_of(*known->spec);
  by_name_.erase(known->spec->name);
  slots_[index.slot].reset();
  free_.push_back(index.slot);
  return index;
}

const registered_command* registry::find(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found != by_name_.end() ? found->second : nullptr;
}

const registered_command* registry::find(command_index index) const noexcept {
  if (index.slot >= slots_.size()) return nullptr;
  const registered_command* there = slots_[index.slot].get();
  return there != nullptr && there->index == index ? there : nullptr;
}

std::vector<std::shared_ptr<const command_spec>> registry::list() const {
  std::vector<std::shared_ptr<const command_spec>> all;
  all.reserve(size());
  for (const auto& [name, command] : by_name_) all.push_back(command->spec);
  std::ranges::sort(all, {}, [](const auto& spec) -> const std::string& { return spec->name; });
  return all;
}

}  // namespace troupe
