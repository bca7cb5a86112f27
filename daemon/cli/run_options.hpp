// The options of `batchd run`, and what its help says.
#pragma once

#include "cli/commands.hpp"

#include <CLI/App.hpp>

namespace batchd {

extern const char* const run_help;

void add_run_options(CLI::App& command, RunOptions& to);

}  // namespace batchd
