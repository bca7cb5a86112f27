// What becomes of a request after a round through a batch: settled, or sent round again with a delay.
// The one place where attempts are counted (DESIGN.md 3, "attempt").
#pragma once

#include "core/backoff.hpp"
#include "core/output_line.hpp"
#include "core/shard.hpp"

#include <cstdint>
#include <variant>

namespace batchd {

struct RoundPolicy {
  int max_attempts = 5;
  BackoffPolicy backoff;
};

using Decision = std::variant<Settlement, Return>;

/// `attempts` were used up before this round.
Decision decide(LineReading reading, int attempts, const RoundPolicy& policy);

/// The reading of a member that neither file mentions.
LineReading absent(RequestId request, int attempts, const Shard& shard);

}  // namespace batchd
