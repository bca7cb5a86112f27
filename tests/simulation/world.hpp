// Virtual time, and the only place where it passes: coroutines run until each of them waits, then the clock jumps to the next
// event. One thread, no real clock, no chance: the same actions give the same run.
#pragma once

#include "runtime/task.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>

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
  /// Names an event that has not happened yet; the empty one names none.
  using Key = std::pair<Time, std::uint64_t>;

  World() = default;
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  asio::io_context& loop() { return loop_; }
  Time now() const { return now_; }

  void at(Time when, std::function<void()> action);
  /// Lets the next event happen, and all that follows from it at once. False when there is none.
  bool step();

  /// A wait of `owner` until `when`; completes with operation_aborted when its task is cancelled. `key` is set while it lasts.
  template <class Token>
  auto async_until(Owner& owner, Time when, Key& key, Token&& token);
  /// Ends a wait before its time, as if it had come; without effect when it is over.
  void wake(const Key& key) { end_wait(key, {}); }

  /// Ends an owner as SIGKILL ends a process: nothing of it goes on, and its coroutines are unwound. Not to be called by one of
  /// its own coroutines.
  void kill(Owner& owner);
  /// Puts off all that the owner waits for, as SIGSTOP does; it goes on at `until`, late.
  void pause(Owner& owner, Time until);

 private:
  /// A coroutine that waits.
  class Sleeper {
   public:
    virtual ~Sleeper() = default;
    virtual void wake(boost::system::error_code ended) = 0;
  };
  template <class Handler>
  class SleeperOf;
  struct Event {
    Owner* owner = nullptr;
    Key* key = nullptr;  // where whoever waits keeps it
    std::unique_ptr<Sleeper> sleeper;
    std::function<void()> action;
  };

  void add(Time when, Event event);
  void end_wait(const Key& key, boost::system::error_code ended);
  void settle();

  // No lock is needed: there is one thread.
  asio::io_context loop_{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
  Time now_{0};
  std::uint64_t next_ = 1;
  std::map<Key, Event> events_;
};

template <class Handler>
class World::SleeperOf final : public World::Sleeper {
 public:
  SleeperOf(asio::io_context& loop, Handler handler) : loop_(loop), handler_(std::move(handler)) {}
  void wake(boost::system::error_code ended) override {
    asio::post(loop_, [handler = std::move(handler_), ended]() mutable { std::move(handler)(ended); });
  }

 private:
  asio::io_context& loop_;
  Handler handler_;
};

template <class Token>
auto World::async_until(Owner& owner, Time when, Key& key, Token&& token) {
  return asio::async_initiate<Token, void(boost::system::error_code)>(
      [this, &owner, when, &key](auto handler) {
        using Handler = decltype(handler);
        auto slot = asio::get_associated_cancellation_slot(handler);
        Event event;
        event.owner = &owner;
        event.key = &key;
        event.sleeper = std::make_unique<SleeperOf<Handler>>(loop_, std::move(handler));
        add(when, std::move(event));
        if (!slot.is_connected()) return;
        slot.assign([this, &key](asio::cancellation_type) { end_wait(key, asio::error::operation_aborted); });
      },
      token);
}

}  // namespace batchd::simulation
