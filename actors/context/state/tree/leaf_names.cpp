#include <troupe/actors/context/state/tree/leaf_names.hpp>

#include <algorithm>

namespace troupe {

namespace {

template <class Names, class Name>
std::optional<std::size_t> find_in(const Names& names, const Name& wanted) noexcept {
  const auto found = std::ranges::find(names, wanted);
  if (found == names.end()) return std::nullopt;
  return static_cast<std::size_t>(found - names.begin());
}

template <class Names>
bool begins_with(const Names& names, const Names& beginning) noexcept {
  return names.size() >= beginning.size() &&
         std::equal(beginning.begin(), beginning.end(), names.begin());
}

}  // namespace

std::optional<std::size_t> leaf_names::find_source(const incarnation_id& source) const noexcept {
  return find_in(sources_, source);
}

std::optional<std::size_t> leaf_names::find_principal(std::string_view principal) const noexcept {
  return find_in(principals_, principal);
}

bool leaf_names::extend(const leaf_names& other) const noexcept {
  return begins_with(sources_, other.sources_) && begins_with(principals_, other.principals_);
}

std::shared_ptr<const leaf_names> leaf_names::with(const incarnation_id& source,
                                                   std::string_view principal) const {
  auto more = std::make_shared<leaf_names>(*this);
  if (!find_source(source)) more->sources_.push_back(source);
  if (!find_principal(principal)) more->principals_.emplace_back(principal);
  return more;
}

}  // namespace troupe
