// Runs a coroutine to its end on an io_context of the test's own, and gives back (or rethrows) what it gave.
#pragma once

#include "runtime/task.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

namespace batchd::testing {

/// A pool's thread that let go of the last work of an earlier task may be about to stop the loop, and then stops it only after it
/// was started for this one. There are few such threads, and a loop without work returns at once: whoever gives up after so many
/// starts has nothing to wait for.
inline void run_until(asio::io_context& io, const bool& ended) {
  for (int start = 0; start < 100 && !ended; ++start) {
    io.restart();
    io.run();
  }
  if (!ended) throw std::logic_error("the task waits for something that nobody will do");
}

template <class T>
T run_task(asio::io_context& io, Task<T> task) {
  std::optional<T> value;
  std::exception_ptr failure;
  bool ended = false;
  asio::co_spawn(io, std::move(task), [&](std::exception_ptr f, T v) {
    failure = f;
    if (!f) value.emplace(std::move(v));
    ended = true;
    io.stop();
  });
  run_until(io, ended);
  if (failure) std::rethrow_exception(failure);
  return std::move(*value);
}

inline void run_task(asio::io_context& io, Task<void> task) {
  std::exception_ptr failure;
  bool ended = false;
  asio::co_spawn(io, std::move(task), [&](std::exception_ptr f) {
    failure = f;
    ended = true;
    io.stop();
  });
  run_until(io, ended);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace batchd::testing
