// `submit --dry-run`: what a file would come to, without a row being written.
#pragma once

#include "cli/commands.hpp"
#include "cli/input_file.hpp"

namespace batchd {

/// Prints rows, tokens, files, cost and when they would be answered, from the configuration and what the database has learned.
/// Returns the exit code.
int dry_submit(const CommonOptions& common, const SubmitOptions& options, const InputFile& input);

}  // namespace batchd
