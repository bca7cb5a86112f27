// One transaction on a pooled libpqxx connection: begin, bound its time, run, commit. For db/'s own .cpp files.
#pragma once

#include "db/bulk.hpp"
#include "db/conninfo.hpp"
#include "db/database.hpp"
#include "db/pqxx_compat.hpp"
#include "db/store.hpp"

#include <mutex>
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
  std::vector<compat::Connection> idle;
  std::vector<BulkConnection> idle_bulk;
};

/// What every transaction starts with. `SET LOCAL` and not start-up options, because of PgBouncer. Commits wait for the disk
/// even where the database's default does not: a submission's intent must not be forgotten.
/// A client that stops in the middle of a transaction must not hold its locks for long. Compiling a statement takes longer than
/// any of ours runs.
std::string transaction_settings(Milliseconds statement_timeout);

/// A transaction's statements; values come back as pqxx results.
class Transaction {
 public:
  explicit Transaction(pqxx::work& work) : work_(work) {}
  template <class... Args>
  pqxx::result run(const char* sql, const Args&... args) {
    return compat::execute(work_, sql, args...);
  }
  /// Several statements without parameters, such as a migration's.
  void script(const std::string& sql) { compat::execute_script(work_, sql); }

 private:
  pqxx::work& work_;
};

compat::Connection take_connection(Database& database);
void give_back(Database& database, compat::Connection connection);

/// Runs `work(Transaction&)` in a transaction of its own and returns what it gave. A throw rolls back; what libpqxx throws
/// becomes a StoreError of one line, and its connection is closed.
template <class Work>
auto transact(Database& database, Work&& work, Milliseconds timeout = Milliseconds{0}) {
  try {
    auto connection = take_connection(database);
    pqxx::work transaction(*connection);
    Transaction statements(transaction);
    statements.script(transaction_settings(timeout.count() > 0 ? timeout : database.settings().statement_timeout));
    if constexpr (std::is_void_v<std::invoke_result_t<Work&, Transaction&>>) {
      work(statements);
      transaction.commit();
      give_back(database, std::move(connection));
    } else {
      auto result = work(statements);
      transaction.commit();
      give_back(database, std::move(connection));
      return result;
    }
  } catch (const pqxx::sql_error& error) {
    throw StoreError("database: " + first_line(error.what()));
  } catch (const pqxx::failure& error) {
    throw StoreError("database: " + first_line(error.what()));
  } catch (const pqxx::usage_error& error) {  // what libpqxx says of a connection that broke a moment ago
    throw StoreError("database: " + first_line(error.what()));
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
