// One transaction on a pooled libpqxx connection: begin, bound its time, run, commit. For db/'s own .cpp files.
#pragma once

#include "db/bulk.hpp"
#include "db/conninfo.hpp"
#include "db/database.hpp"
#include "db/pqxx_compat.hpp"
#include "db/store.hpp"
#include "db/watchdog.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace batchd {

/// The idle connections of a Database, of both kinds. Threads take one and give it back only after it worked.
struct Database::Pools {
  std::mutex lock;
  std::string conninfo;
  std::string listen_conninfo;
  std::vector<Link<compat::Connection>> idle;
  std::vector<Link<BulkConnection>> idle_bulk;
  std::uint64_t generation = 0;  ///< connections of an earlier one are not kept any more
  Watchdog watchdog;

  /// An idle connection that is still open.
  template <class Connection>
  std::optional<Link<Connection>> take(std::vector<Link<Connection>>& from) {
    const std::scoped_lock guard(lock);
    while (!from.empty()) {
      Link<Connection> link = std::move(from.back());
      from.pop_back();
      if (link.socket.open()) return link;
    }
    return std::nullopt;
  }
  template <class Connection>
  void give_back(std::vector<Link<Connection>>& to, Link<Connection> link, std::size_t most) {
    const std::scoped_lock guard(lock);
    if (link.generation == generation && to.size() < most) to.push_back(std::move(link));
  }
  std::uint64_t current_generation() {
    const std::scoped_lock guard(lock);
    return generation;
  }
  /// The server, or the way to it, is not what it was: no connection made so far is used again.
  void forget_all();
};

/// SQLSTATE of a write on a standby or a server that was made read-only.
constexpr std::string_view read_only_state = "25006";
/// What is said of a connection that a Watch has cut.
std::string no_answer(Milliseconds limit);

/// What every transaction starts with. `SET LOCAL` and not start-up options, because of PgBouncer. Commits wait for the disk
/// even where the database's default does not: a submission's intent must not be forgotten.
/// A client that stops in the middle of a transaction must not hold its locks for long, and waiting for somebody's lock ends
/// before the statement's time does, so that the error says which it was. Compiling a statement takes longer than any of ours
/// runs.
std::string transaction_settings(Milliseconds statement_timeout);

/// A connection on loan from a Database, under watch as long as that lasts. It returns only after `worked()`; one that broke, or
/// whose server has become read-only, takes the idle ones with it.
class Loan {
 public:
  /// Throws StoreError when there is no connection to be had.
  Loan(Database& database, Milliseconds statement_timeout);
  ~Loan();
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;

  pqxx::connection& connection() { return *link_.connection; }
  /// Another answer is going to be awaited.
  void renew() { watch_->renew(); }
  void worked() { worked_ = true; }
  /// Inside a handler: what libpqxx threw, as a StoreError of one line.
  [[noreturn]] void fail();

 private:
  Database& database_;
  Link<compat::Connection> link_;
  std::optional<Watch> watch_;
  bool worked_ = false;
  bool read_only_ = false;
};

/// A transaction's statements; values come back as pqxx results.
class Transaction {
 public:
  Transaction(pqxx::work& work, Loan& loan) : work_(work), loan_(loan) {}
  template <class... Args>
  pqxx::result run(const char* sql, const Args&... args) {
    loan_.renew();
    return compat::execute(work_, sql, args...);
  }
  /// Several statements without parameters, such as a migration's.
  void script(const std::string& sql) {
    loan_.renew();
    compat::execute_script(work_, sql);
  }
  void commit() {
    loan_.renew();
    work_.commit();
    loan_.worked();
  }

 private:
  pqxx::work& work_;
  Loan& loan_;
};

/// Runs `work(Transaction&)` in a transaction of its own and returns what it gave. A throw rolls back; what libpqxx throws
/// becomes a StoreError of one line, and its connection is closed.
template <class Work>
auto transact(Database& database, Work&& work, Milliseconds timeout = Milliseconds{0}) {
  const Milliseconds limit = timeout.count() > 0 ? timeout : database.settings().statement_timeout;
  Loan loan(database, limit);
  try {
    pqxx::work transaction(loan.connection());
    Transaction statements(transaction, loan);
    statements.script(transaction_settings(limit));
    if constexpr (std::is_void_v<std::invoke_result_t<Work&, Transaction&>>) {
      work(statements);
      statements.commit();
    } else {
      auto result = work(statements);
      statements.commit();
      return result;
    }
  } catch (const pqxx::failure&) {
    loan.fail();
  } catch (const pqxx::usage_error&) {  // what libpqxx says of a connection that broke a moment ago
    loan.fail();
  }
}

// Arrays as PostgreSQL reads them.
template <class Range, class Value>
std::string array_of(const Range& range, Value value) {
  std::string out = "{";
  for (const auto& element : range) {
    if (out.size() > 1) out += ',';
    out += std::to_string(value(element));
  }
  return out + "}";
}
template <class Range, class Text>
std::string text_array_of(const Range& range, Text text) {
  std::string out = "{";
  for (const auto& element : range) {
    if (out.size() > 1) out += ',';
    out += '"';
    for (const char c : std::string_view(text(element))) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

}  // namespace batchd
