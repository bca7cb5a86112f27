// Virtual time, and the only place where it passes: coroutines run until each of them waits, then the clock jumps to the next
// event. One thread, no real clock, no chance: the same actions give the same run.
#pragma once

#include "runtime/task.hpp"
#include "simulation/ready.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace batchd::simulation {

/// Since the beginning of the schedule.
using Time = std::chrono::microseconds;

/// Whose waits end together when a process dies, and are put off together when it is paused.
struct Owner {
  bool dead = false;
  Time paused_until{0};
};

class World {
 public:
  class Wait;

  World() = default;
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  ReadyQueue::Executor executor() { return ready_.get_executor(); }
  Time now() const { return now_; }

  void at(Time when, std::function<void()> action);
  /// Lets the next event happen, and all that follows from it at once. False when there is none.
  bool step();

  /// A wait of `owner` until `when`, to be awaited at once; ends with operation_aborted when its task is cancelled. `wait` lives
  /// in the coroutine that waits.
  auto until(Owner& owner, Time when, Wait& wait) {
    return asio::async_initiate<const asio::deferred_t, void(boost::system::error_code)>(
        [this, &owner, when, &wait](auto handler) { begin(owner, when, wait, std::move(handler)); }, asio::deferred);
  }
  /// Ends a wait before its time, as if it had come; without effect when it is over.
  void wake(Wait& wait) { end(wait, {}); }

  /// Ends an owner as SIGKILL ends a process: nothing of it goes on, and its coroutines are unwound. Not to be called by one of
  /// its own coroutines.
  void kill(Owner& owner);
  /// Puts off all that the owner waits for, as SIGSTOP does; it goes on at `until`, late.
  void pause(Owner& owner, Time until);

 private:
  /// Later ones of the same time have higher numbers.
  struct Key {
    Time when{0};
    std::uint64_t number = 0;
    auto operator<=>(const Key&) const = default;
  };
  class Sleeper;
  template <class Handler>
  class SleeperOf;
  struct Waiting {
    Key key;
    Wait* wait;
  };

  template <class Handler>
  void begin(Owner& owner, Time when, Wait& wait, Handler handler);
  Key key(Time when) { return {std::max(when, now_), next_++}; }
  void add(Time when, Wait& wait);
  void end(Wait& wait, boost::system::error_code ended);
  std::vector<Wait*> take(const Owner& owner, Time last);

  ReadyQueue ready_;
  Time now_{0};
  std::uint64_t next_ = 1;
  std::vector<Waiting> waiting_;  // the next one is the last: most waits are short, and end up near it
  std::map<Key, std::function<void()>> actions_;
};

/// Whoever waits: it goes on, or is dropped, which unwinds it.
class World::Sleeper {
 public:
  virtual ~Sleeper() = default;
  /// Goes on right here; the sleeper is gone then, and what waited may be.
  virtual void resume(Wait& wait) = 0;
};

class World::Wait {
 public:
  Wait() = default;
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

 private:
  friend class World;
  struct InPlace {
    void operator()(Sleeper* sleeper) const { sleeper->~Sleeper(); }
  };

  Key key_;  // its number is 0 when it is over
  Owner* owner_ = nullptr;
  boost::system::error_code ended_;
  std::unique_ptr<Sleeper, InPlace> sleeper_;  // in `room_`
  alignas(std::max_align_t) std::byte room_[48];
};

template <class Handler>
class World::SleeperOf final : public World::Sleeper {
 public:
  explicit SleeperOf(Handler&& handler) : handler_(std::move(handler)) {}
  void resume(Wait& wait) override {
    Handler handler = std::move(handler_);
    wait.sleeper_.reset();
    std::move(handler)(wait.ended_);
  }

 private:
  Handler handler_;
};

template <class Handler>
void World::begin(Owner& owner, Time when, Wait& wait, Handler handler) {
  static_assert(sizeof(SleeperOf<Handler>) <= sizeof(wait.room_));
  auto slot = asio::get_associated_cancellation_slot(handler);
  wait.owner_ = &owner;
  wait.ended_ = {};
  wait.sleeper_.reset(new (wait.room_) SleeperOf<Handler>(std::move(handler)));
  add(when, wait);
  if (slot.is_connected()) slot.assign([this, &wait](asio::cancellation_type) { end(wait, asio::error::operation_aborted); });
}

}  // namespace batchd::simulation
