// How long to wait after a failure: doubling, capped, with jitter from a seed (so that replicas do not march in step).
#pragma once

#include "core/types.hpp"

#include <cstdint>
#include <optional>

namespace batchd {

struct BackoffPolicy {
  Milliseconds base{10'000};
  Milliseconds max{3'600'000};
};

/// The delay before try number `failures + 1`, in [half, whole] of base * 2^(failures-1), at most `max`.
/// A longer `asked` (Retry-After) wins, itself at most 24 h.
Milliseconds backoff(const BackoffPolicy& policy, int failures, std::uint64_t seed,
                     std::optional<Milliseconds> asked = std::nullopt);

}  // namespace batchd
