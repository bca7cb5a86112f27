// The pace at which calls of one kind may be made: so many in a time, a few of them together. Pure; whoever calls waits as long
// as it is told. It is one replica's own: several replicas share a provider's limit, and its 429 tells them.
#pragma once

#include "core/types.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace batchd {

/// A provider's documented limit.
struct CallRate {
  std::int64_t calls = 0;
  Milliseconds per{};
  std::int64_t burst = 1;  ///< how many may go out at once after a rest
};

/// A token bucket, kept as the one time at which it will be full again.
class CallPace {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit CallPace(CallRate rate)
      : interval_(std::chrono::nanoseconds(rate.per) / rate.calls), reserve_(interval_ * (rate.burst - 1)) {}

  /// Takes the next place; returns how long to wait for it.
  Milliseconds take(TimePoint now) {
    full_at_ = std::max(full_at_, now);
    const auto wait = std::max(full_at_ - now - reserve_, std::chrono::nanoseconds{0});
    full_at_ += interval_;
    return std::chrono::ceil<Milliseconds>(wait);
  }

 private:
  std::chrono::nanoseconds interval_;
  std::chrono::nanoseconds reserve_;
  TimePoint full_at_{};
};

}  // namespace batchd
