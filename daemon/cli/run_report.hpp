// The end of a run: the output file in the order of the input's lines, and what the user is told.
#pragma once

#include "db/run_book.hpp"

#include <string>

namespace batchd {

/// Writes every line's result to `output` ("" for stdout), which appears when it is complete. Throws CommandError.
void write_results(RunBook& book, const std::string& job, std::int64_t lines, const std::string& output);

/// What became of the job, failures in groups, for people.
std::string run_summary(const RunTotals& totals, const std::string& output);
/// The same as one JSON object and a newline.
std::string run_summary_json(const RunTotals& totals, const std::string& output);

}  // namespace batchd
