// Finds PostgreSQL's server programs on this machine. Looks at the places where distributions put them and at PATH; starts
// nothing and installs nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace batchd {

struct PostgresPrograms {
  int major = 0;          ///< 15, 16, ...
  std::string directory;  ///< that holds `initdb` and `postgres`
};

/// The oldest version whose SQL suffices (migrations/0001).
inline constexpr int oldest_postgres = 14;

/// Every installed version, newest first, usable or not. `only`: this directory and no other, when it is not "".
std::vector<PostgresPrograms> find_postgres(const std::string& only, const std::string& path);

}  // namespace batchd
