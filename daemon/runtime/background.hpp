// One piece of work that runs beside its owner until the owner asks for the result: writing the last chunk while the next
// one is read. The owner must call `join` before it ends, on every path; both run on the loop's thread.
#pragma once

#include "runtime/clock.hpp"
#include "runtime/task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace batchd {

template <class T>
class Background {
 public:
  explicit Background(Clock& clock) : clock_(clock) {}

  /// Starts `work`; nothing else of this object may be running.
  Task<void> start(Task<T> work) {
    state_ = std::make_shared<State>();
    const auto executor = co_await asio::this_coro::executor;  // by itself: g++ 12 destroys temporaries beside a co_await twice
    asio::co_spawn(executor, std::move(work),
                   asio::bind_cancellation_slot(asio::cancellation_slot{}, [state = state_](std::exception_ptr failure, T value) {
                     state->failure = failure;
                     state->value = std::move(value);
                     state->ended = true;
                     state->bell.notify();
                   }));
  }
  /// Waits for what was started and gives its result or rethrows; nothing when nothing was started since the last join.
  Task<std::optional<T>> join() {
    if (!state_) co_return std::nullopt;
    const auto state = std::exchange(state_, nullptr);
    while (!state->ended) co_await clock_.sleep_for(Milliseconds{60'000}, state->bell);
    if (state->failure) std::rethrow_exception(state->failure);
    co_return std::move(state->value);
  }

 private:
  struct State {
    Wakeup bell;
    bool ended = false;
    std::exception_ptr failure;
    T value{};
  };
  Clock& clock_;
  std::shared_ptr<State> state_;
};

}  // namespace batchd
