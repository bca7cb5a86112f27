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
  io.restart();
  io.run();
  if (!ended) throw std::logic_error("the task waits for something that nobody will do");
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
  io.restart();
  io.run();
  if (!ended) throw std::logic_error("the task waits for something that nobody will do");
  if (failure) std::rethrow_exception(failure);
}

}  // namespace batchd::testing
