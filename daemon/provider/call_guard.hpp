// Stands before every call of one provider: withholds calls while it does not answer (one List goes out now and then to find
// out), or while it has asked for fewer of that kind, and keeps to its documented pace. Made by the wiring, one for each
// provider; it makes no call itself and waits only for the pace.
#pragma once

#include "core/call_pace.hpp"
#include "core/circuit.hpp"
#include "core/error.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "provider/classify.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"

#include <map>
#include <optional>
#include <string>

namespace batchd {

struct CallPolicy {
  BackoffPolicy open{};  ///< how long calls are withheld
  std::map<Operation, CallRate> rates{};
};

/// What an answer, or its want, says about the provider as a whole.
struct CallEnd {
  bool answered = true;         ///< false: no whole answer came, or it was 408 or 5xx
  bool throttled = false;       ///< 429
  bool leave_it_alone = false;  ///< `x-should-retry: false`
  std::optional<Milliseconds> retry_after{};
  std::string reason{};  ///< one line for people, "" when all is well
};

class CallGuard {
 public:
  enum class Turn { call, probe };

  CallGuard(std::string provider, const CallPolicy& policy, Clock& clock, Metrics& metrics, Log& log);

  /// How long calls of this kind are withheld from now on.
  Milliseconds withheld_for(Operation operation) const;
  /// Waits until the pace allows a call. `probe`: a List call first, and this one only if it was answered.
  /// The error is for a call that must not be made now, with `calls_withheld` as its code.
  Task<ProviderResult<Turn>> turn(Operation operation);
  /// Whatever was permitted has ended so.
  void ended(Operation operation, const CallEnd& end);
  /// The error of a call that is withheld.
  ProviderError refusal(Operation operation) const;

 private:
  std::string provider_;
  CallPolicy policy_;
  std::uint64_t seed_;
  Clock& clock_;
  Metrics& metrics_;
  Log& log_;
  Circuit whole_;                           // of the provider as such
  std::map<Operation, Circuit> throttles_;  // of each kind of call
  std::map<Operation, CallPace> paces_;
  std::string reason_;  // why the last call failed
};

}  // namespace batchd
