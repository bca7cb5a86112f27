#include "local/postgres_programs.hpp"

#include <glob.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>

namespace batchd {
namespace {

bool holds_programs(const std::string& directory) {
  return access((directory + "/postgres").c_str(), X_OK) == 0 && access((directory + "/initdb").c_str(), X_OK) == 0;
}

/// What `postgres --version` says: "postgres (PostgreSQL) 15.14 (Debian ...)"; 0 when that cannot be read.
int version_of(const std::string& directory) {
  std::string command = "'";
  for (const char c : directory) command += c == '\'' ? std::string("'\\''") : std::string(1, c);
  command += "/postgres' --version 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "re"), &pclose);
  if (!pipe) return 0;
  std::array<char, 256> buffer{};
  if (std::fgets(buffer.data(), buffer.size(), pipe.get()) == nullptr) return 0;
  const std::string_view text(buffer.data());
  constexpr std::string_view before = "(PostgreSQL) ";
  const auto at = text.find(before);
  if (at == std::string_view::npos) return 0;
  int major = 0;
  const std::string_view number = text.substr(at + before.size());
  std::from_chars(number.data(), number.data() + number.size(), major);
  return major;
}

std::vector<std::string> likely_places(const std::string& path) {
  std::vector<std::string> places;
  for (const char* pattern : {"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/usr/local/bin"}) {
    glob_t found{};
    if (glob(pattern, 0, nullptr, &found) == 0) {
      for (std::size_t i = 0; i < found.gl_pathc; ++i) places.emplace_back(found.gl_pathv[i]);
    }
    globfree(&found);
  }
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find(':', at), path.size());
    if (end > at) places.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return places;
}

}  // namespace

std::vector<PostgresPrograms> find_postgres(const std::string& only, const std::string& path) {
  std::vector<PostgresPrograms> out;
  for (const std::string& place : only.empty() ? likely_places(path) : std::vector<std::string>{only}) {
    if (!holds_programs(place)) continue;
    const int major = version_of(place);
    if (major > 0) out.push_back({major, place});
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.major > b.major; });
  return out;
}

}  // namespace batchd
