#pragma once

#include <string>

#include <CLI/CLI.hpp>

#include <troupe/messages/error.hpp>

namespace troupe::cli {

/// What is wrong with the words that the program was given: names the word, the nearest that is
/// known, and where help is.
/// @param program After it has parsed as much as it could. @param problem What it ended with.
error explain_mistake(const CLI::App& program, const CLI::ParseError& problem);

/// The same for a word that looks like an option of a command whose further words are its own
/// business, such as `exec`, and is none. @param name Of the command, with those around it.
error unknown_option(const CLI::App& command, const std::string& name, const std::string& word);

}  // namespace troupe::cli
