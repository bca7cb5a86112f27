// `batchd serve`: builds every object once, in order of dependence, runs the loops, and stops them.
#pragma once

#include "config.hpp"
#include "log.hpp"

#include <stop_token>

namespace batchd {

/// Runs the daemon until SIGTERM or SIGINT, or until a loop fails. Returns the exit code: 0 after a stop that was asked for,
/// 1 after a failure, 2 for settings that only turn out unusable here (an address in use, an unusable CA file), 4 when the
/// database's schema does not fit this program.
int serve(const Config& config);

/// The same inside of another command, on a thread of its own: it also ends when `stop` is asked for, and `log` hears of it.
int serve(const Config& config, Log& log, std::stop_token stop);

}  // namespace batchd
