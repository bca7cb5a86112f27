// Time as the loops see it: a monotonic now, and waits that end early when something happens or the loop is asked to stop.
#pragma once

#include "core/types.hpp"
#include "runtime/task.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <utility>

namespace batchd {

/// A bell between loops of one thread: whoever produced work rings it, whoever waits for work stops waiting.
/// A ring that nobody waits for is kept for the next one who does.
class Wakeup {
 public:
  void notify();

  /// Enlists a waiter for the life of the object. Used by clocks only.
  class Waiter {
   public:
    Waiter(Wakeup& wakeup, std::function<void()> ring)
        : wakeup_(wakeup), at_(wakeup.waiters_.insert(wakeup.waiters_.end(), std::move(ring))) {}
    ~Waiter() { wakeup_.waiters_.erase(at_); }
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

   private:
    Wakeup& wakeup_;
    std::list<std::function<void()>>::iterator at_;
  };
  /// True when a ring was kept; it is used up.
  bool take() { return std::exchange(pending_, false); }

 private:
  std::list<std::function<void()>> waiters_;
  bool pending_ = false;
};

class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  virtual TimePoint now() const = 0;
  /// Completes after `delay`; throws boost::system::system_error(operation_aborted) when its task is cancelled.
  virtual Task<void> sleep_for(Milliseconds delay) = 0;
  /// The same, but completes as soon as `wakeup` rings.
  virtual Task<void> sleep_for(Milliseconds delay, Wakeup& wakeup) = 0;
};

class SteadyClock final : public Clock {
 public:
  TimePoint now() const override { return std::chrono::steady_clock::now(); }
  Task<void> sleep_for(Milliseconds delay) override;
  Task<void> sleep_for(Milliseconds delay, Wakeup& wakeup) override;
};

}  // namespace batchd
