#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <troupe/messages/error.hpp>

namespace troupe::cli {

/// Explains wrong arguments: names the word, the nearest known one, and where help is.
/// @param program After it has parsed as much as it could. @param problem The error of the parser.
error explain_mistake(const CLI::App& program, const CLI::ParseError& problem);

/// The same for an unknown option of a command that parses its own arguments, such as `exec`.
/// @param name The command with its parents.
error unknown_option(const CLI::App& command, const std::string& name, const std::string& word);

}  // namespace troupe::cli
