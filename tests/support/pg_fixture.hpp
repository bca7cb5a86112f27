// A private PostgreSQL for tests: one cluster a test binary (a unix socket, no TCP, no fsync), one migrated template database,
// and a fresh copy of it for every test. It is stopped and removed when the binary ends, however it ends. With
// BATCHD_TEST_PGBOUNCER=1 in the environment stores speak through a PgBouncer in transaction mode.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchd::testing {

/// A plain connection for tests to speak SQL on: what a producer, an administrator or an onlooker would do.
class Sql {
 public:
  explicit Sql(const std::string& url);
  ~Sql();
  Sql(Sql&& other) noexcept;
  Sql& operator=(Sql&&) = delete;

  /// Runs statements; throws std::runtime_error with the server's message. The rows of the last one, "" for NULL.
  std::vector<std::vector<std::string>> run(const std::string& sql);
  /// The first value of the only row.
  std::string value(const std::string& sql);
  std::int64_t number(const std::string& sql) { return std::stoll(value(sql)); }
  /// The error's SQLSTATE and message, "" when there was none.
  std::string error_of(const std::string& sql);
  /// `COPY … FROM STDIN` with text rows; returns the COPY count.
  std::int64_t copy(const std::string& sql, const std::string& rows);
  /// Names of channels notified since the last call, with payloads: "batchd_job {"job":"a"}".
  std::vector<std::string> notifications();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class PgCluster {
 public:
  /// The cluster of this binary, started at the first call. Throws std::runtime_error with the reason when it cannot be.
  static PgCluster& instance();
  ~PgCluster();

  /// A new database with the schema of this program, or an empty one; removed with the cluster.
  std::string fresh_database(bool migrated = true);
  std::string url(const std::string& database, const std::string& user = "postgres") const;
  /// Through the PgBouncer when there is to be one, else the same as url().
  std::string pooled_url(const std::string& database) const;
  /// Stops the server at once and starts it again, as after a crash.
  void restart();

 private:
  PgCluster();
  void start();
  void start_pgbouncer();
  void stop(int signal);
  std::string directory_;
  std::string binaries_;
  int postmaster_ = 0;
  int pgbouncer_ = 0;
  int databases_ = 0;
  bool has_template_ = false;
};

/// A test with a database of its own.
class PgTest : public ::testing::Test {
 protected:
  explicit PgTest(bool migrated = true)
      : database_name(PgCluster::instance().fresh_database(migrated)),
        url(PgCluster::instance().url(database_name)),
        pooled_url(PgCluster::instance().pooled_url(database_name)),
        sql(url) {}

  const std::string database_name;
  const std::string url;
  const std::string pooled_url;
  Sql sql;
};

}  // namespace batchd::testing
