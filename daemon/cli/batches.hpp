// What the two halves of `batches` share: ours from the database, and what the providers list.
#pragma once

#include "cli/commands.hpp"

#include <cstdint>
#include <string>

namespace batchd {

/// `batches --remote`.
int run_remote_batches(const CommonOptions& common, const BatchesOptions& options);

std::string padded(std::string text, std::size_t width);
/// "45s", "12m", "5h", "3d".
std::string short_age(std::int64_t seconds);
/// "2026-01-31T12:00:00Z"
std::string utc_time(std::int64_t unix_seconds);

}  // namespace batchd
