// doctor's look at the providers: whether each answers and takes the key, and how many files it may still be given.
#pragma once

#include "cli/doctor_database.hpp"
#include "cli/finding.hpp"
#include "config.hpp"

namespace batchd {

/// All of them side by side, each within `limit`; the database has told which files are ours.
Findings examine_providers(const Config& config, const DatabaseExamination& database, Milliseconds limit);

}  // namespace batchd
