// Runs blocking work (libpqxx, libpq, disk) on a few threads and resumes the caller on its own loop.
#pragma once

#include "runtime/task.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace batchd {

class BlockingPool {
 public:
  explicit BlockingPool(std::size_t threads) : threads_(threads) {}
  ~BlockingPool() { join(); }
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  /// Runs `work()` on a pool thread and returns (or rethrows) what it gave. The work is never cancelled: its result
  /// is always awaited, because a cancellation slot must not cross from the loop to another executor.
  template <class Work>
  Task<std::invoke_result_t<Work>> run(Work work) {
    co_return co_await asio::co_spawn(threads_, call(std::move(work)),
                                      asio::bind_cancellation_slot(asio::cancellation_slot{}, asio::use_awaitable));
  }

  /// Waits for what is running; nothing may be started afterwards.
  void join() { threads_.join(); }

 private:
  template <class Work>
  static Task<std::invoke_result_t<Work>> call(Work work) {
    co_return work();
  }
  asio::thread_pool threads_;
};

}  // namespace batchd
