// Whether calls of somebody who fails again and again are worth making. After so many failures in a row they are withheld for a
// while that grows; then one call at a time may find out how things are, and a success lets the others follow. Owned by whoever
// makes the calls and tells how they ended; it knows neither what is called nor why it failed.
#pragma once

#include "core/backoff.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace batchd {

struct CircuitPolicy {
  int opens_after = 5;               ///< failures in a row
  BackoffPolicy open{};              ///< how long it stays open, by how often in a row it has opened
  Milliseconds most_asked{600'000};  ///< a longer wish of the other side is cut: it may be about one call only
};

class Circuit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  enum class Permit {
    call,   ///< it is closed
    probe,  ///< this one call may be made to find out; no other until it is answered, or has taken as long as the circuit was
            ///< open
    none,
  };

  Circuit(CircuitPolicy policy, std::uint64_t seed) : policy_(policy), seed_(seed) {}

  bool open() const { return until_.has_value(); }
  /// How long nothing is to be called from now on; 0 when a call or a probe would be permitted.
  Milliseconds withheld_for(TimePoint now) const;
  /// To be asked right before a call.
  Permit permit(TimePoint now);

  // How calls ended. While the circuit is open nothing is believed: they are calls from before that.
  /// The other side has answered: that closes an open circuit, on probation. One more failure opens it again, for longer; one
  /// more answer, and all is forgotten.
  void succeeded(TimePoint now);
  /// `asked`: how long the other side wants to be left alone; `at_once`: this failure is enough to open. True when it has opened.
  bool failed(TimePoint now, std::optional<Milliseconds> asked, bool at_once = false);

 private:
  CircuitPolicy policy_;
  std::uint64_t seed_;
  int failures_ = 0;  // in a row
  int openings_ = 0;  // in a row, without an ordinary success between them
  std::optional<TimePoint> until_;
  TimePoint probe_ends_{};
};

}  // namespace batchd
