// doctor's look at the providers: whether each answers and takes the key, and how many files it may still be given.
#pragma once

#include "cli/finding.hpp"
#include "config.hpp"

#include <string>

namespace batchd {

/// All of them side by side, each within `limit`. `instance` names our own files, "" when it is not known.
Findings examine_providers(const Config& config, const std::string& instance, Milliseconds limit);

}  // namespace batchd
