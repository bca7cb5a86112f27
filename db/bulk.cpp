#include "db/bulk.hpp"

#include "db/transaction.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <type_traits>

namespace batchd {
namespace {

// PGCOPY, its signature, no flags, no extension (PostgreSQL manual, COPY, "Binary Format").
constexpr std::string_view copy_header{"PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19};

template <class Integer>
Integer read_big_endian(const char* bytes) {
  std::make_unsigned_t<Integer> value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    value = static_cast<std::make_unsigned_t<Integer>>((static_cast<std::uint64_t>(value) << 8U) |
                                                       static_cast<unsigned char>(bytes[i]));
  }
  return static_cast<Integer>(value);
}

Link<BulkConnection> connect(Database& database) {
  Database::Pools& pools = database.pools();
  if (auto idle = pools.take(pools.idle_bulk)) return std::move(*idle);
  return connect_bulk(database, pools.conninfo);
}

}  // namespace

Link<BulkConnection> connect_bulk(Database& database, const std::string& conninfo) {
  Link<BulkConnection> link;
  link.generation = database.pools().current_generation();
  link.connection.reset(PQconnectdb(conninfo.c_str()));
  if (PQstatus(link.connection.get()) != CONNECTION_OK) {
    throw StoreError("database: " + connect_failure(PQerrorMessage(link.connection.get())));
  }
  PQsetNoticeProcessor(
      link.connection.get(), [](void*, const char*) {}, nullptr);
  link.socket = Socket(PQsocket(link.connection.get()));
  return link;
}

std::int64_t Rows::affected() const {
  const std::string_view text = PQcmdTuples(result_.get());
  std::int64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

// Rows in -----------------------------------------------------------------------------------------------------------
CopyRows::CopyRows() : bytes_(copy_header) {}

template <class Integer>
void CopyRows::big_endian(Integer value) {
  std::array<char, sizeof(Integer)> bytes;
  auto rest = static_cast<std::make_unsigned_t<Integer>>(value);
  for (std::size_t i = sizeof(Integer); i-- > 0;) {
    bytes[i] = static_cast<char>(rest & 0xFFU);
    rest = static_cast<std::make_unsigned_t<Integer>>(static_cast<std::uint64_t>(rest) >> 8U);
  }
  bytes_.append(bytes.data(), bytes.size());
}

void CopyRows::row(std::int16_t fields) {
  big_endian(fields);
}
void CopyRows::null() {
  big_endian(std::int32_t{-1});
}
void CopyRows::text(std::string_view value) {
  big_endian(static_cast<std::int32_t>(value.size()));
  bytes_ += value;
}
void CopyRows::int2(std::int16_t value) {
  big_endian(std::int32_t{2});
  big_endian(value);
}
void CopyRows::int4(std::int32_t value) {
  big_endian(std::int32_t{4});
  big_endian(value);
}
void CopyRows::int8(std::int64_t value) {
  big_endian(std::int32_t{8});
  big_endian(value);
}
void CopyRows::end() {
  big_endian(std::int16_t{-1});
}

// Rows out ----------------------------------------------------------------------------------------------------------
std::int64_t CopyRow::int8(std::size_t field) const {
  return read_big_endian<std::int64_t>(text(field).data());
}
std::int32_t CopyRow::int4(std::size_t field) const {
  return read_big_endian<std::int32_t>(text(field).data());
}

CopyOut::CopyOut(BulkTransaction& transaction, const std::string& sql) : transaction_(transaction) {
  transaction_.checked(PQexec(transaction_.raw(), sql.c_str()), {PGRES_COPY_OUT});
}

CopyOut::~CopyOut() {
  PQfreemem(buffer_);
}

const CopyRow* CopyOut::next() {
  PGconn* connection = transaction_.raw();
  PQfreemem(buffer_);
  buffer_ = nullptr;
  const int size = PQgetCopyData(connection, &buffer_, 0);
  if (size == -2) transaction_.fail(PQerrorMessage(connection));
  if (size == -1) {
    transaction_.checked(PQgetResult(connection), {PGRES_COMMAND_OK});
    while (PGresult* more = PQgetResult(connection)) PQclear(more);
    return nullptr;
  }
  const char* at = buffer_;
  if (!started_) {
    at += copy_header.size();
    started_ = true;
    if (size == static_cast<int>(copy_header.size())) return next();
  }
  const auto fields = read_big_endian<std::int16_t>(at);
  at += 2;
  if (fields < 0) return next();  // the trailer; the end follows
  row_.fields_.clear();
  for (int i = 0; i < fields; ++i) {
    const auto length = read_big_endian<std::int32_t>(at);
    at += 4;
    if (length < 0) {
      row_.fields_.emplace_back();
    } else {
      row_.fields_.emplace_back(std::string_view(at, static_cast<std::size_t>(length)));
      at += length;
    }
  }
  return &row_;
}

// Transactions ------------------------------------------------------------------------------------------------------
BulkTransaction::BulkTransaction(Database& database, Milliseconds timeout) : database_(database), link_(connect(database)) {
  watch_.emplace(database.pools().watchdog, link_.socket, timeout + database.settings().answer_margin);
  const std::string begin = "BEGIN; " + transaction_settings(timeout);
  try {
    checked(PQexec(raw(), begin.c_str()), {PGRES_TUPLES_OK});
  } catch (const StoreError&) {
    if (PQstatus(link_.connection.get()) != CONNECTION_OK) database_.pools().forget_all();
    throw;
  }
}

BulkTransaction::~BulkTransaction() {
  Database::Pools& pools = database_.pools();
  const bool broken = watch_->expired() || PQstatus(link_.connection.get()) != CONNECTION_OK;
  watch_.reset();
  if (broken || read_only_) {
    pools.forget_all();
  } else if (committed_) {
    pools.give_back(pools.idle_bulk, std::move(link_), database_.settings().connections);
  }
}

PGconn* BulkTransaction::raw() {
  watch_->renew();
  return link_.connection.get();
}

void BulkTransaction::fail(const char* message) {
  if (watch_->expired()) throw StoreError("database: " + no_answer(watch_->limit()));
  throw StoreError("database: " + first_line(message));
}

BulkResult BulkTransaction::checked(PGresult* raw, std::initializer_list<ExecStatusType> wanted) {
  BulkResult result(raw);
  const ExecStatusType status = PQresultStatus(result.get());
  if (std::find(wanted.begin(), wanted.end(), status) != wanted.end()) return result;
  const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
  read_only_ = state != nullptr && state == read_only_state;
  const char* message = PQresultErrorMessage(result.get());
  fail(*message == '\0' ? PQerrorMessage(link_.connection.get()) : message);
}

Rows BulkTransaction::run(const char* sql, std::initializer_list<std::string> parameters) {
  std::vector<const char*> values;
  for (const std::string& parameter : parameters) values.push_back(parameter.c_str());
  return Rows(checked(PQexecParams(raw(), sql, static_cast<int>(values.size()), nullptr, values.data(), nullptr, nullptr, 0),
                      {PGRES_COMMAND_OK, PGRES_TUPLES_OK}));
}

void BulkTransaction::begin_copy_in(const char* sql) {
  checked(PQexec(raw(), sql), {PGRES_COPY_IN});
}

void BulkTransaction::put(std::string_view bytes) {
  constexpr std::size_t most = 1U << 30U;  // libpq counts in int
  for (; !bytes.empty(); bytes.remove_prefix(std::min(most, bytes.size()))) {
    if (PQputCopyData(raw(), bytes.data(), static_cast<int>(std::min(most, bytes.size()))) != 1)
      fail(PQerrorMessage(link_.connection.get()));
  }
}

std::int64_t BulkTransaction::end_copy_in() {
  if (PQputCopyEnd(raw(), nullptr) != 1) fail(PQerrorMessage(link_.connection.get()));
  const Rows rows(checked(PQgetResult(raw()), {PGRES_COMMAND_OK}));
  while (PGresult* more = PQgetResult(raw())) PQclear(more);
  return rows.affected();
}

void BulkTransaction::commit() {
  const BulkResult result = checked(PQexec(raw(), "COMMIT"), {PGRES_COMMAND_OK});
  // COMMIT of a failed transaction succeeds as ROLLBACK.
  if (std::strcmp(PQcmdStatus(result.get()), "COMMIT") != 0) throw StoreError("database: the transaction was rolled back");
  committed_ = true;
}

}  // namespace batchd
