// Connections that break, fall silent or lead to a server that cannot be written to: each is noticed in bounded time, and what
// shared its fate is not tried one by one.
#include "support/pg_store_fixture.hpp"

#include "db/bulk.hpp"
#include "db/conninfo.hpp"
#include "db/hint_listener.hpp"
#include "db/transaction.hpp"

#include <gmock/gmock.h>
#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace batchd::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

/// A database whose answers are overdue soon.
class Connections : public PgTest {
 protected:
  Connections()
      : database({.url = url,
                  .listen_url = "",
                  .connections = 4,
                  .statement_timeout = Milliseconds{400},
                  .bulk_timeout = Milliseconds{600},
                  .answer_margin = Milliseconds{200}}) {}

  int backend() {
    return transact(database, [](Transaction& tx) { return tx.run("SELECT pg_backend_pid()")[0][0].as<int>(); });
  }
  void touch() {
    transact(database, [](Transaction& tx) { tx.run("UPDATE batchd.instance SET id = id"); });
  }
  template <class Work>
  std::string failure_of(Work work) {
    try {
      work();
      return "";
    } catch (const StoreError& error) {
      return error.what();
    }
  }
  /// Leaves that many idle connections behind.
  void fill(int connections) {
    std::vector<std::thread> threads;
    for (int i = 0; i < connections; ++i) {
      threads.emplace_back([this] { transact(database, [](Transaction& tx) { tx.run("SELECT pg_sleep(0.1)"); }); });
    }
    for (std::thread& thread : threads) thread.join();
  }
  /// Waits for a process to be gone: the server forgets one a moment before it closes its socket.
  bool ends(int pid) {
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (::kill(pid, 0) == 0 && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return Clock::now() < deadline;
  }
  /// How many connections the server knows, as soon as it is `expected`: it needs a moment to see one closed.
  int idle(int expected) {
    const std::string count =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'batchd' AND datname = '" + database_name + "'";
    const auto deadline = Clock::now() + std::chrono::seconds(20);
    int found = static_cast<int>(sql.number(count));
    while (found != expected && Clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      found = static_cast<int>(sql.number(count));
    }
    return found;
  }

  Database database;
};

/// A server process that holds its socket open and says nothing, as behind a pooler that hangs.
class Frozen {
 public:
  explicit Frozen(int pid) : pid_(pid) { EXPECT_EQ(::kill(pid_, SIGSTOP), 0); }
  ~Frozen() { ::kill(pid_, SIGCONT); }

 private:
  int pid_;
};

TEST_F(Connections, AStatementThatIsNeverAnsweredFailsInBoundedTime) {
  const Frozen frozen(backend());
  const auto began = Clock::now();
  EXPECT_THAT(failure_of([this] { touch(); }), HasSubstr("no answer within 600 ms"));
  EXPECT_LT(Clock::now() - began, std::chrono::seconds(10));
  touch();  // on a new connection
}

TEST_F(Connections, AStreamThatIsNeverAnsweredFailsInBoundedTime) {
  int pid = 0;
  {
    BulkTransaction tx(database, database.settings().bulk_timeout);
    pid = std::stoi(std::string(tx.run("SELECT pg_backend_pid()").at(0, 0)));
    tx.commit();
  }
  const Frozen frozen(pid);
  EXPECT_THAT(failure_of([this] { BulkTransaction(database, database.settings().bulk_timeout).commit(); }),
              HasSubstr("no answer within 800 ms"));
  BulkTransaction(database, database.settings().bulk_timeout).commit();
}

TEST_F(Connections, OneThatFellSilentTakesTheIdleOnesWithIt) {
  fill(3);
  const Frozen frozen(backend());
  EXPECT_NE(failure_of([this] { touch(); }), "");
  EXPECT_EQ(idle(1), 1) << "the frozen process itself cannot go yet";
}

TEST_F(Connections, TimeOutsOfTheServerLeaveTheOthersAlone) {
  fill(3);
  ASSERT_EQ(idle(3), 3);
  EXPECT_THAT(failure_of([this] { transact(database, [](Transaction& tx) { tx.run("SELECT pg_sleep(60)"); }); }),
              HasSubstr("statement timeout"));
  sql.run("BEGIN");
  sql.run("LOCK batchd.instance");
  EXPECT_THAT(failure_of([this] { touch(); }), HasSubstr("lock timeout")) << "who waits for a lock is told so";
  sql.run("ROLLBACK");
  EXPECT_EQ(idle(1), 1);
  touch();
}

TEST_F(Connections, IdleOnesThatWereTerminatedAreNotTried) {
  fill(4);
  const auto terminated =
      sql.run("SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batchd'");
  for (const auto& row : terminated) ASSERT_TRUE(ends(std::stoi(row[0]))) << row[0];
  touch();
  EXPECT_EQ(idle(1), 1);
}

TEST_F(Connections, AServerThatBecameReadOnlyIsLeftAtTheFirstRefusal) {
  fill(3);
  sql.run("ALTER DATABASE " + database_name + " SET default_transaction_read_only = on");
  const int pid = backend();  // a session that began before; it is made read-only as a reload of the configuration would
  transact(database, [](Transaction& tx) { tx.run("SELECT set_config('default_transaction_read_only', 'on', false)"); });
  EXPECT_THAT(failure_of([this] { touch(); }), HasSubstr("read-only"));
  ASSERT_EQ(idle(0), 0);
  EXPECT_THAT(failure_of([this] { touch(); }), HasSubstr("session is read-only")) << "none is taken that cannot be written to";
  sql.run("SET default_transaction_read_only = off; ALTER DATABASE " + database_name + " RESET default_transaction_read_only");
  EXPECT_NE(backend(), pid);
  touch();
}

TEST(Conninfo, WantsAServerThatCanBeWrittenToUnlessToldOtherwise) {
  EXPECT_THAT(make_conninfo("postgresql://a,b/x", Milliseconds{1}),
              AllOf(HasSubstr("host='a,b'"), HasSubstr("target_session_attrs='read-write'")));
  EXPECT_THAT(make_conninfo("postgresql://a,b/x?target_session_attrs=any", Milliseconds{1}),
              HasSubstr("target_session_attrs='any'"));
}

TEST(Conninfo, AFailureNamesEveryHostThatWasTried) {
  const std::string text =
      "connection to server at \"a\" failed: Connection refused\n\tIs the server running?\n"
      "connection to server at \"b\" failed: session is read-only\n";
  EXPECT_EQ(
      connect_failure(text),
      "connection to server at \"a\" failed: Connection refused; connection to server at \"b\" failed: session is read-only");
  EXPECT_EQ(connect_failure("out of memory\n"), "out of memory");
}

}  // namespace
}  // namespace batchd::testing
