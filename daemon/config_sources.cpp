// Where a configuration comes from, and how its problems are told.
#include "config.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>

namespace batchd {
namespace {

constexpr std::array<std::string_view, 6> proxy_names{"https_proxy", "HTTPS_PROXY", "all_proxy",
                                                      "ALL_PROXY",   "no_proxy",    "NO_PROXY"};

}  // namespace

std::string to_string(const ConfigProblem& problem) {
  std::string out = problem.where.empty() ? "" : problem.where + ": ";
  out += problem.key + ": ";
  out += problem.found.empty() ? "missing" : "found " + problem.found;
  out += "; expected " + problem.expected;
  if (!problem.nearest.empty() && problem.nearest != problem.key) out += "; nearest valid key: " + problem.nearest;
  return out;
}

Environment process_environment() {
  Environment out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = text.substr(0, equals);
    const bool of_workload = name == "AZURE_TENANT_ID" || name == "AZURE_CLIENT_ID" || name == "AZURE_AUTHORITY_HOST" ||
                             name == "AZURE_FEDERATED_TOKEN_FILE";
    const bool of_proxy = std::find(proxy_names.begin(), proxy_names.end(), name) != proxy_names.end();
    if (name.starts_with("BATCHD_") || name == "STATE_DIRECTORY" || name == "XDG_STATE_HOME" || name == "HOME" || of_workload ||
        of_proxy) {
      out.emplace(name, text.substr(equals + 1));
    }
  }
  return out;
}

std::filesystem::path config_file(const std::string& flag, const Environment& environment) {
  if (!flag.empty()) return flag;
  if (const auto named = environment.find("BATCHD_CONFIG"); named != environment.end() && !named->second.empty()) {
    return named->second;
  }
  for (const char* usual : {"batchd.toml", "/etc/batchd/batchd.toml"}) {
    std::error_code ignored;
    if (std::filesystem::exists(usual, ignored)) return usual;
  }
  return {};
}

}  // namespace batchd
