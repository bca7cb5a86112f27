// What can go on at once, in the order in which it became ready. It is to a schedule what an io_context is to the daemon, without
// the threads, the locks and the reactor that virtual time has no use for. Owned by the world; it never waits.
#pragma once

#include <boost/asio/execution.hpp>
#include <boost/asio/execution_context.hpp>

#include <deque>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace batchd::simulation {

namespace asio = boost::asio;

class ReadyQueue final : public asio::execution_context {
 public:
  class Executor;

  ReadyQueue() = default;
  ~ReadyQueue();
  Executor get_executor();

  /// Something that runs after everything that is ready already.
  template <class F>
  void add(F&& work) {
    if constexpr (std::is_copy_constructible_v<std::decay_t<F>>) {
      ready_.emplace_back(std::forward<F>(work));
    } else {
      auto shared = std::make_shared<std::decay_t<F>>(std::forward<F>(work));
      ready_.emplace_back([shared] { (*shared)(); });
    }
  }
  /// Runs `first`, then all that is ready, and all that becomes so meanwhile. Not to be called from what it runs.
  template <class F>
  void run(F&& first) {
    running_ = true;
    std::forward<F>(first)();
    drain();
    running_ = false;
  }
  void run() {
    if (!ready_.empty()) run([] {});
  }

 private:
  void drain();

  std::deque<std::function<void()>> ready_;
  bool running_ = false;
};

/// As io_context's: what is dispatched from within runs at once, what is posted runs in its turn.
class ReadyQueue::Executor {
 public:
  explicit Executor(ReadyQueue& queue) : queue_(&queue) {}

  template <class F>
  void execute(F&& work) const {
    if (at_once_ && queue_->running_) {
      std::decay_t<F> now(std::forward<F>(work));
      std::move(now)();
    } else {
      queue_->add(std::forward<F>(work));
    }
  }

  asio::execution_context& query(asio::execution::context_t) const noexcept { return *queue_; }
  asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
    if (at_once_) return asio::execution::blocking.possibly;
    return asio::execution::blocking.never;
  }
  Executor require(asio::execution::blocking_t::possibly_t) const { return Executor(*queue_); }
  Executor require(asio::execution::blocking_t::never_t) const {
    Executor later(*queue_);
    later.at_once_ = false;
    return later;
  }
  friend bool operator==(const Executor& a, const Executor& b) noexcept = default;

 private:
  ReadyQueue* queue_;
  bool at_once_ = true;
};

inline ReadyQueue::Executor ReadyQueue::get_executor() {
  return Executor(*this);
}

}  // namespace batchd::simulation
