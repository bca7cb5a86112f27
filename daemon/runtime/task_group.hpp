// Owns the loops of a process: starts them, asks them to stop, waits for them.
// It is the only place that judges a cancellation: what a loop throws after a stop was asked for is its way of ending;
// what it throws, or that it returns, before that is a failure that stops all the others.
#pragma once

#include "runtime/task.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <functional>
#include <list>
#include <string>
#include <type_traits>
#include <utility>

namespace batchd {

class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor loop) : loop_(std::move(loop)) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  /// Starts `loop` (a callable returning Task<void>, handed over uncalled so that its captures live as long as the group).
  /// Does nothing once a stop was asked for.
  void spawn(std::string name, std::function<Task<void>()> loop);
  /// Asks every loop to stop at its next wait. Call on the loop's own thread. Idempotent.
  void request_stop();
  bool stopping() const { return stopping_; }
  /// True when every loop has ended.
  bool idle() const { return running_ == 0; }
  /// Called on the loop's thread whenever a loop has ended; set before the first spawn. `failure` is null for a loop that
  /// ended because it was asked to, and never null for the one whose end stopped all the others.
  std::function<void(const std::string& name, std::exception_ptr failure)> on_exit;

 private:
  struct Entry {
    std::string name;
    std::function<Task<void>()> body;
    asio::cancellation_signal stop;
    bool done = false;
  };
  void ended(Entry& entry, std::exception_ptr failure);

  asio::any_io_executor loop_;
  std::list<Entry> entries_;
  std::size_t running_ = 0;
  bool stopping_ = false;
};

/// Runs `step` to its end even when the surrounding task is cancelled meanwhile: what is begun is finished and recorded.
template <class T>
Task<T> shield(Task<T> step) {
  auto executor = co_await asio::this_coro::executor;
  co_return co_await asio::co_spawn(executor, std::move(step),
                                    asio::bind_cancellation_slot(asio::cancellation_slot{}, asio::use_awaitable));
}

}  // namespace batchd
