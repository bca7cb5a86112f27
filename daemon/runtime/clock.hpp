// Time as the loops see it: a monotonic now and a way to wait that ends at once when the loop is asked to stop.
#pragma once

#include "core/types.hpp"
#include "runtime/task.hpp"

#include <chrono>

namespace batchd {

class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  /// Completes after `delay`; throws boost::system::system_error(operation_aborted) when its task is cancelled.
  virtual Task<void> sleep_for(Milliseconds delay) = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  Task<void> sleep_for(Milliseconds delay) override;
};

}  // namespace batchd
