#include "db/hint_listener.hpp"

#include "db/transaction.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <unistd.h>

#include <algorithm>
#include <memory>

namespace batchd {
namespace {

using ListenLink = std::optional<Link<BulkConnection>>;

constexpr Milliseconds check_interval{10'000};
constexpr Milliseconds longest_answer{5'000};
constexpr char still_listening[] =
    "SELECT FROM pg_listening_channels() AS c WHERE c = 'batchd_request' AND NOT pg_is_in_recovery()";

struct Alarm {
  bool off = false;
  bool rang = false;
};

/// Runs a statement in bounded time; true when it gave what was expected.
bool run(Database& database, Link<BulkConnection>& link, const char* sql, ExecStatusType wanted, int rows) {
  const Watch watch(database.pools().watchdog, link.socket, longest_answer);
  const BulkResult result(PQexec(link.connection.get(), sql));
  return PQresultStatus(result.get()) == wanted && PQntuples(result.get()) == rows;
}

/// A listening connection, or none when there cannot be one now.
ListenLink listen(Database& database) {
  try {
    ListenLink link = connect_bulk(database, database.pools().listen_conninfo);
    if (run(database, *link, "LISTEN batchd_request", PGRES_COMMAND_OK, 0)) return link;
  } catch (const StoreError&) {
    // whoever does the work says what is wrong with the database
  }
  return std::nullopt;
}

}  // namespace

void HintListener::drop() {
  socket_.reset();
  link_.reset();
}

bool HintListener::collect() {
  PGconn* const connection = link_->connection.get();
  if (PQconsumeInput(connection) == 0) {
    drop();
    return false;
  }
  bool heard = false;
  while (PGnotify* note = PQnotifies(connection)) {
    heard = true;
    PQfreemem(note);
  }
  return heard;
}

Task<void> HintListener::see_to_connection(BlockingPool& pool) {
  if (link_ && std::chrono::steady_clock::now() - checked_ >= check_interval) {
    auto check = [&db = database_, &link = *link_] { return run(db, link, still_listening, PGRES_TUPLES_OK, 1); };
    if (!co_await pool.run(check)) drop();
    checked_ = std::chrono::steady_clock::now();
  }
  if (link_) co_return;
  auto connect = [&db = database_] { return listen(db); };
  link_ = co_await pool.run(connect);
  checked_ = std::chrono::steady_clock::now();
  if (!link_) co_return;
  const int copy = ::dup(PQsocket(link_->connection.get()));
  if (copy < 0) {
    drop();
  } else {
    auto executor = co_await asio::this_coro::executor;
    socket_.emplace(executor, copy);
  }
}

Task<bool> HintListener::wait(BlockingPool& pool, Milliseconds most) {
  auto executor = co_await asio::this_coro::executor;
  co_await see_to_connection(pool);
  if (link_ && collect()) co_return true;
  asio::steady_timer timer(executor, std::min(most, check_interval));
  if (!link_) {
    co_await timer.async_wait(asio::use_awaitable);
    co_return false;
  }
  // The alarm may already be on its way when the wait ends for another reason, so what it touches is its own.
  const auto state = std::make_shared<Alarm>();
  timer.async_wait([this, state](const boost::system::error_code& error) {
    if (error || state->off) return;
    state->rang = true;
    socket_->cancel();
  });
  boost::system::error_code error;
  co_await socket_->async_wait(asio::posix::stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
  state->off = true;
  timer.cancel();
  if (state->rang) co_return false;
  if (error) throw boost::system::system_error(error);
  co_return collect();
}

}  // namespace batchd
