#include "runtime/clock.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

namespace batchd {

void Wakeup::notify() {
  pending_ = waiters_.empty();
  for (const auto& ring : waiters_) ring();
}

Task<void> SteadyClock::sleep_for(Milliseconds delay) {
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, delay);
  co_await timer.async_wait(asio::use_awaitable);
}

Task<void> SteadyClock::sleep_for(Milliseconds delay, Wakeup& wakeup) {
  if (wakeup.take()) co_return;
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, delay);
  const Wakeup::Waiter waiter(wakeup, [&timer] { timer.cancel(); });
  boost::system::error_code ended;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ended));
  // A ring and a stop both cancel the timer; only the stop is recorded in the task.
  const auto state = co_await asio::this_coro::cancellation_state;
  if (state.cancelled() != asio::cancellation_type::none) throw boost::system::system_error(asio::error::operation_aborted);
}

}  // namespace batchd
