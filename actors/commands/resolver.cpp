#include <troupe/actors/commands/resolver.hpp>

#include <troupe/actors/commands/validation/argument_problem.hpp>

namespace troupe {

error resolver::not_found(std::string_view name, const std::vector<std::string>& suggestions) {
  const std::vector<value> listed(suggestions.begin(), suggestions.end());
  return error{error_code::not_found,
               "there is no command " + in_quotes(name) + did_you_mean(suggestions),
               value::map({{"suggestions", value::array(listed)}}).msgpack()};
}

}  // namespace troupe
