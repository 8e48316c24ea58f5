#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <troupe/messages/error.hpp>
#include <troupe/messages/ids.hpp>
#include <troupe/messages/value.hpp>
#include <troupe/messages/wire/codec.hpp>
#include <troupe/messages/wire/field.hpp>

namespace troupe {

/// What a parameter accepts.
enum class parameter_type : std::uint8_t {
  any,
  boolean,
  integer,
  floating,
  string,
  binary,
  array,
  map
};

template <>
struct enum_names<parameter_type> {
  static constexpr std::array<enumerator<parameter_type>, 8> names{
      {{parameter_type::any, "any"},
       {parameter_type::boolean, "boolean"},
       {parameter_type::integer, "integer"},
       {parameter_type::floating, "floating"},
       {parameter_type::string, "string"},
       {parameter_type::binary, "binary"},
       {parameter_type::array, "array"},
       {parameter_type::map, "map"}}};
};

/// One parameter of a command.
struct parameter_spec {
  std::string name;
  parameter_type type = parameter_type::any;
  std::string summary;
  std::optional<value> default_value;  ///< Without one, the parameter is required.
  std::optional<double> minimum;  ///< Of a number, or of the length of a string, binary or array.
  std::optional<double> maximum;
  std::vector<std::string> choices;  ///< The accepted strings. Empty accepts every string.
  std::string
      pattern;  ///< An RE2 regular expression that the whole string matches. Empty for none.

  static constexpr auto fields() {
    return std::tuple{required("name", &parameter_spec::name),
                      required("type", &parameter_spec::type),
                      optional("summary", &parameter_spec::summary),
                      optional("default", &parameter_spec::default_value),
                      optional("minimum", &parameter_spec::minimum),
                      optional("maximum", &parameter_spec::maximum),
                      optional("choices", &parameter_spec::choices),
                      optional("pattern", &parameter_spec::pattern)};
  }
  friend bool operator==(const parameter_spec&, const parameter_spec&) = default;
};

/// The validated arguments of one execution: parameter names and values, as a flat list.
class arguments {
public:
  /// One parameter and its value.
  using entry = std::pair<std::string, value>;

  arguments() = default;
  arguments(std::initializer_list<entry> entries) : entries_(entries) {}
  /// @param entries Kept as they are. Names should differ; `find` returns the first of equal ones.
  explicit arguments(std::vector<entry> entries) : entries_(std::move(entries)) {}

  /// The value of this parameter, or null.
  const value* find(std::string_view name) const noexcept;
  /// Adds or replaces.
  void set(std::string_view name, value given);

  /// The value as `bool`, an integer type, `double`, `std::string` or `value`.
  /// @throws std::out_of_range when it is absent, std::invalid_argument when it has another type.
  /// The dispatcher turns both into an error of the command.
  template <class T>
  T get(std::string_view name) const;
  /// As `get`, with `fallback` when the parameter is absent.
  template <class T>
  T get_or(std::string_view name, T fallback) const {
    return find(name) != nullptr ? get<T>(name) : fallback;
  }

  /// All arguments, in the order given.
  const std::vector<entry>& entries() const noexcept { return entries_; }
  std::vector<entry>& entries() noexcept { return entries_; }
  friend bool operator==(const arguments&, const arguments&) = default;

  /// A map of at most `max_arguments` parameter names to values. A larger map is refused by its
  /// announced length.
  friend void write(msgpack_writer& out, const arguments& x);
  friend bool read(msgpack_reader& in, arguments& x, codec::problem& why);

private:
  [[noreturn]] static void wrong_type(std::string_view name, const value& given,
                                      std::string_view wanted);
  const value& require(std::string_view name) const;

  std::vector<entry> entries_;
};

/// A command as data: its name, its parameters, the capability that it needs and its bounds.
struct command_spec {
  std::string name;  ///< `area.verb`: lower-case words, digits, `_` and `-`, joined by dots.
  std::string summary_text;
  std::string description;
  std::vector<parameter_spec> parameters;
  std::string capability;  ///< A caller needs it. Empty means `command.execute:<name>`.
  std::chrono::milliseconds timeout{30'000};  ///< Upper bound of one execution, 1 ms to 1 day.
  std::uint32_t concurrency = 64;             ///< Executions at once; at least 1.
  std::uint32_t queue = 256;                  ///< Requests that may wait for an execution to end.
  bool idempotent = false;  ///< Running it twice has the effect of running it once.

  command_spec() = default;
  explicit command_spec(std::string command_name) : name(std::move(command_name)) {}

  /// One-line description.
  command_spec& summary(std::string text) & { return summary_text = std::move(text), *this; }
  command_spec&& summary(std::string text) && { return std::move(summary(std::move(text))); }
  /// Adds a parameter of the C++ type `T`: `bool`, an integer, a floating point number,
  /// `std::string` or `value`.
  template <class T>
  command_spec& param(std::string parameter, std::string text = {}) &;
  template <class T>
  command_spec&& param(std::string parameter, std::string text = {}) && {
    return std::move(param<T>(std::move(parameter), std::move(text)));
  }
  /// Adds a parameter described in full.
  command_spec& param(parameter_spec parameter) & {
    return parameters.push_back(std::move(parameter)), *this;
  }
  command_spec&& param(parameter_spec parameter) && {
    return std::move(param(std::move(parameter)));
  }
  /// Sets the upper bound of one execution.
  command_spec& with_timeout(std::chrono::milliseconds bound) & { return timeout = bound, *this; }
  command_spec&& with_timeout(std::chrono::milliseconds bound) && {
    return std::move(with_timeout(bound));
  }
  /// Sets how many executions may run at once, and how many requests may wait for a free place.
  command_spec& with_concurrency(std::uint32_t running, std::uint32_t waiting) & {
    return concurrency = running, queue = waiting, *this;
  }
  command_spec&& with_concurrency(std::uint32_t running, std::uint32_t waiting) && {
    return std::move(with_concurrency(running, waiting));
  }

  static constexpr auto fields() {
    return std::tuple{required("name", &command_spec::name),
                      optional("summary", &command_spec::summary_text),
                      optional("description", &command_spec::description),
                      optional("parameters", &command_spec::parameters),
                      optional("capability", &command_spec::capability),
                      optional("timeout_ms", &command_spec::timeout),
                      optional("concurrency", &command_spec::concurrency),
                      optional("queue", &command_spec::queue),
                      optional("idempotent", &command_spec::idempotent)};
  }
  friend bool operator==(const command_spec&, const command_spec&) = default;
};

/// How an execution ended.
enum class command_outcome : std::uint8_t {
  ok,
  invalid,
  denied,
  rejected,
  error,
  timeout,
  cancelled
};

template <>
struct enum_names<command_outcome> {
  static constexpr std::array<enumerator<command_outcome>, 7> names{
      {{command_outcome::ok, "ok"},
       {command_outcome::invalid, "invalid"},
       {command_outcome::denied, "denied"},
       {command_outcome::rejected, "rejected"},
       {command_outcome::error, "error"},
       {command_outcome::timeout, "timeout"},
       {command_outcome::cancelled, "cancelled"}}};
};

/// The performance of one command since the start or the last reset. Times are those of executions,
/// from their start to the caller's answer, without waiting.
struct command_metrics {
  std::string name;
  std::uint64_t execution_count = 0;  ///< Finished requests, whatever their outcome.
  std::chrono::nanoseconds total_execution_time{0};
  std::chrono::nanoseconds avg_execution_time{0};
  std::chrono::nanoseconds max_execution_time{0};
  std::chrono::nanoseconds min_execution_time{0};
  std::uint64_t error_count = 0;    ///< Requests with an outcome other than `ok`.
  double success_rate = 0.0;        ///< `ok` in percent of all; 0 without requests.
  std::chrono::nanoseconds p50{0};  ///< Quantiles with a relative error of at most 2 %.
  std::chrono::nanoseconds p90{0};
  std::chrono::nanoseconds p99{0};
  std::chrono::nanoseconds p999{0};
  std::vector<std::uint64_t> outcomes;  ///< A count for each `command_outcome`, in its order.

  static constexpr auto fields() {
    return std::tuple{required("name", &command_metrics::name),
                      required("execution_count", &command_metrics::execution_count),
                      required("total_execution_time_ns", &command_metrics::total_execution_time),
                      required("avg_execution_time_ns", &command_metrics::avg_execution_time),
                      required("max_execution_time_ns", &command_metrics::max_execution_time),
                      required("min_execution_time_ns", &command_metrics::min_execution_time),
                      required("error_count", &command_metrics::error_count),
                      required("success_rate", &command_metrics::success_rate),
                      required("p50_ns", &command_metrics::p50),
                      required("p90_ns", &command_metrics::p90),
                      required("p99_ns", &command_metrics::p99),
                      required("p999_ns", &command_metrics::p999),
                      required("outcomes", &command_metrics::outcomes)};
  }
  friend bool operator==(const command_metrics&, const command_metrics&) = default;
};

// -- implementation of the templates above --------------------------------------------------------

template <class T>
T arguments::get(std::string_view name) const {
  const value& given = require(name);
  if constexpr (std::is_same_v<T, value>) {
    return given;
  } else if constexpr (std::is_same_v<T, bool>) {
    if (auto boolean = given.as_bool()) return *boolean;
    wrong_type(name, given, "a boolean");
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_signed_v<T>) {
      if (auto number = given.as_integer(); number && std::in_range<T>(*number))
        return static_cast<T>(*number);
    } else {
      if (auto number = given.as_unsigned(); number && std::in_range<T>(*number))
        return static_cast<T>(*number);
    }
    wrong_type(name, given, "an integer in the range of its type");
  } else if constexpr (std::is_floating_point_v<T>) {
    if (auto number = given.as_double()) return static_cast<T>(*number);
    wrong_type(name, given, "a number");
  } else {
    static_assert(std::is_same_v<T, std::string>,
                  "use bool, an integer, double, std::string or troupe::value");
    if (auto text = given.as_string()) return std::string{*text};
    wrong_type(name, given, "a string");
  }
}

template <class T>
command_spec& command_spec::param(std::string parameter, std::string text) & {
  parameter_spec spec;
  spec.name = std::move(parameter);
  spec.summary = std::move(text);
  if constexpr (std::is_same_v<T, value>) {
    spec.type = parameter_type::any;
  } else if constexpr (std::is_same_v<T, bool>) {
    spec.type = parameter_type::boolean;
  } else if constexpr (std::is_integral_v<T>) {
    spec.type = parameter_type::integer;
  } else if constexpr (std::is_floating_point_v<T>) {
    spec.type = parameter_type::floating;
  } else {
    static_assert(std::is_same_v<T, std::string>,
                  "use bool, an integer, double, std::string or troupe::value");
    spec.type = parameter_type::string;
  }
  return param(std::move(spec));
}

}  // namespace troupe
