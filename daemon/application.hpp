// `batchd serve`: builds every object once, in order of dependence, runs the loops, and stops them.
#pragma once

#include "config.hpp"
#include "db/store.hpp"
#include "log.hpp"
#include "provider/provider.hpp"

#include <stop_token>

namespace batchd {

/// Stands between the daemon and its ports. This one changes nothing and is the only one in batchd itself; the fault tests bring
/// one that makes every verb fail, or the process end, at will (tests/fault/). What it returns must outlive serve().
class PortWrapper {
 public:
  virtual ~PortWrapper() = default;
  virtual Store& wrap(Store& store) { return store; }
  virtual Provider& wrap(Provider& provider) { return provider; }
  /// Asked right before each call of a provider is sent: whether it may be, which is `trusted` (the lease still holds).
  virtual bool may_call(bool trusted) { return trusted; }
};

/// Runs the daemon until SIGTERM or SIGINT, or until a loop fails. Returns the exit code: 0 after a stop that was asked for,
/// 1 after a failure, 2 for settings that only turn out unusable here (an address in use, an unusable CA file), 4 when the
/// database's schema does not fit this program.
int serve(const Config& config);

/// The same inside of another command, on a thread of its own: it also ends when `stop` is asked for, and `log` hears of it.
int serve(const Config& config, Log& log, std::stop_token stop);
int serve(const Config& config, Log& log, std::stop_token stop, PortWrapper& wrapper);

}  // namespace batchd
