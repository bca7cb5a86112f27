// Brings a database's schema to what this program needs, and says whether it is there. The migrations are part of the
// program (migrations/*.sql, embedded when it is built); the Migrator never changes a schema that it does not recognise.
#pragma once

#include "db/database.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// Grows when the program needs something of the schema that an older program would break or misread. Every migration names
/// the oldest program that can still run on it (`-- oldest-program: N` in its first line).
inline constexpr int program_number = 1;

struct Migration {
  int version = 0;
  std::string_view name;  ///< the file's name without ".sql", such as "0001_expand_requests"
  int oldest_program = 0;
  std::string_view checksum;  ///< SHA-256 of the file, in hex
  std::string_view sql;
};

/// The migrations this program brings, in order of version.
const std::vector<Migration>& embedded_migrations();

enum class SchemaState {
  ok,       ///< what this program needs, perhaps more that it can live with
  absent,   ///< no batchd schema at all
  older,    ///< migrations of this program are missing
  edited,   ///< an applied migration is not the one this program knows
  too_new,  ///< the database asks for a newer program
};

struct SchemaReport {
  SchemaState state = SchemaState::absent;
  int version = 0;       ///< the newest migration applied, 0 for none
  std::string sentence;  ///< for people: what is the case and what to do
  bool ok() const { return state == SchemaState::ok; }
};

struct MigrationReport {
  SchemaReport schema;               ///< as it is afterwards; not ok when the schema was refused and left alone
  std::vector<std::string> applied;  ///< names of the migrations that this call applied
  std::string administrator_sql;     ///< what an administrator must run because this user may not; "" for nothing
};

/// Synchronous: for the command line and for start-up. Every method throws StoreError when the database cannot be used.
class Migrator {
 public:
  explicit Migrator(Database& database, std::vector<Migration> migrations = embedded_migrations(), int program = program_number);

  SchemaReport check();
  /// Applies what is missing in one transaction, alone (others wait for it and then find nothing to do).
  MigrationReport migrate();

 private:
  Database& database_;
  std::vector<Migration> migrations_;
  int program_;
};

}  // namespace batchd
