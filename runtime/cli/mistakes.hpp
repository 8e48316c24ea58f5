#pragma once

#include <CLI/CLI.hpp>

#include <troupe/messages/error.hpp>

namespace troupe::cli {

/// What is wrong with the words that the program was given: names the word, the nearest that is known, and where help is.
/// @param program After it has parsed as much as it could. @param problem What it ended with.
error explain_mistake(const CLI::App& program, const CLI::ParseError& problem);

}  // namespace troupe::cli
