// A connection for streams: binary COPY in and out by libpq, several times as fast as libpqxx's. A BulkTransaction is one
// transaction on it; the connection returns to the Database only after a commit, for anything else leaves it in doubt.
#pragma once

#include "core/types.hpp"
#include "db/database.hpp"
#include "db/watchdog.hpp"

#include <libpq-fe.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

struct PgFinish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using BulkConnection = std::unique_ptr<PGconn, PgFinish>;

struct PgClear {
  void operator()(PGresult* result) const { PQclear(result); }
};
using BulkResult = std::unique_ptr<PGresult, PgClear>;

/// Opens one, quiet about notices. Throws StoreError.
Link<BulkConnection> connect_bulk(Database& database, const std::string& conninfo);

/// A statement's rows as texts.
class Rows {
 public:
  explicit Rows(BulkResult result) : result_(std::move(result)) {}
  int size() const { return PQntuples(result_.get()); }
  std::string_view at(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
  }
  bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::int64_t affected() const;

 private:
  BulkResult result_;
};

/// So many bytes of rows are gathered before they are put into a COPY.
inline constexpr std::size_t flush_bytes = 256 * 1024;

/// Builds rows in COPY's binary form.
class CopyRows {
 public:
  CopyRows();
  void row(std::int16_t fields);
  void null();
  void text(std::string_view value);
  void int2(std::int16_t value);
  void int4(std::int32_t value);
  void int8(std::int64_t value);
  /// NULL for an empty one.
  void text_or_null(std::string_view value) { value.empty() ? null() : text(value); }
  void end();

  const std::string& bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  template <class Integer>
  void big_endian(Integer value);
  std::string bytes_;
};

/// One row that a COPY gives out: fields are views into libpq's buffer, good until the next one.
class CopyRow {
 public:
  bool null(std::size_t field) const { return !fields_[field]; }
  std::string_view text(std::size_t field) const { return fields_[field].value_or(std::string_view{}); }
  std::int64_t int8(std::size_t field) const;
  std::int32_t int4(std::size_t field) const;

 private:
  friend class CopyOut;
  std::vector<std::optional<std::string_view>> fields_;
};

class BulkTransaction {
 public:
  /// Connects if need be and begins. Like every method it throws StoreError, after which only destruction is left.
  BulkTransaction(Database& database, Milliseconds timeout);
  ~BulkTransaction();
  BulkTransaction(const BulkTransaction&) = delete;
  BulkTransaction& operator=(const BulkTransaction&) = delete;

  Rows run(const char* sql, std::initializer_list<std::string> parameters = {});
  void begin_copy_in(const char* sql);
  void put(std::string_view bytes);
  /// Ends a COPY in; returns the rows it stored.
  std::int64_t end_copy_in();
  void commit();
  /// The connection, for a call that may wait: the watch starts afresh.
  PGconn* raw();

 private:
  friend class CopyOut;
  [[noreturn]] void fail(const char* message);
  /// Throws unless the result is of a kind in `wanted`.
  BulkResult checked(PGresult* raw, std::initializer_list<ExecStatusType> wanted);

  Database& database_;
  Link<BulkConnection> link_;
  std::optional<Watch> watch_;
  bool committed_ = false;
  bool read_only_ = false;
};

/// Reads a `COPY (…) TO STDOUT (FORMAT binary)` to its end, row by row.
class CopyOut {
 public:
  CopyOut(BulkTransaction& transaction, const std::string& sql);
  ~CopyOut();
  CopyOut(const CopyOut&) = delete;
  CopyOut& operator=(const CopyOut&) = delete;
  /// The next row, or null after the last.
  const CopyRow* next();

 private:
  BulkTransaction& transaction_;
  char* buffer_ = nullptr;
  CopyRow row_;
  bool started_ = false;
};

}  // namespace batchd
