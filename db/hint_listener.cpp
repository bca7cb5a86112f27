#include "db/hint_listener.hpp"

#include "db/transaction.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <unistd.h>

namespace batchd {
namespace {

/// A listening connection, or none when there cannot be one now.
BulkConnection listen(Database& database) {
  BulkConnection connection(PQconnectdb(database.pools().listen_conninfo.c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) return nullptr;
  PQsetNoticeProcessor(
      connection.get(), [](void*, const char*) {}, nullptr);
  const BulkResult result(PQexec(connection.get(), "LISTEN batchd_request"));
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) return nullptr;
  return connection;
}

}  // namespace

bool HintListener::collect() {
  if (PQconsumeInput(connection_.get()) == 0) {
    socket_.reset();
    connection_.reset();
    return false;
  }
  bool heard = false;
  while (PGnotify* note = PQnotifies(connection_.get())) {
    heard = true;
    PQfreemem(note);
  }
  return heard;
}

Task<bool> HintListener::wait(BlockingPool& pool, Milliseconds most) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer timer(executor, most);
  if (!connection_) {
    auto connect = [&db = database_] { return listen(db); };
    connection_ = co_await pool.run(connect);
    if (connection_) {
      const int copy = ::dup(PQsocket(connection_.get()));
      if (copy < 0) {
        connection_.reset();
      } else {
        socket_.emplace(executor, copy);
      }
    }
  }
  if (connection_ && collect()) co_return true;
  if (!connection_) {
    co_await timer.async_wait(asio::use_awaitable);
    co_return false;
  }
  bool expired = false;
  timer.async_wait([this, &expired](const boost::system::error_code& error) {
    if (error) return;  // the wait below was over first
    expired = true;
    socket_->cancel();
  });
  boost::system::error_code error;
  co_await socket_->async_wait(asio::posix::stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
  timer.cancel();
  if (expired) co_return false;
  if (error) throw boost::system::system_error(error);
  co_return collect();
}

}  // namespace batchd
