#include "cli/context.hpp"

#include "connections.hpp"

#include <unistd.h>
#include <boost/json.hpp>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace batchd {
namespace {

/// What takes OpenSSL to judge: whether certificates can be read, and belong to their keys.
void check_tls_files(LoadedConfig& loaded) {
  for (const ProviderConfig& provider : loaded.config.providers) {
    try {
      make_tls_context(tls_files(provider));
    } catch (const std::runtime_error& error) {
      loaded.problems.push_back({.where = "",
                                 .key = "provider[" + provider.name + "]",
                                 .found = error.what(),
                                 .expected = "PEM files that TLS can use",
                                 .nearest = ""});
    }
  }
}

}  // namespace

LoadedConfig read_config(const CommonOptions& common, ConfigScope scope) {
  ConfigSources sources;
  sources.environment = process_environment();
  sources.file = config_file(common.config, sources.environment);
  if (!common.database_url.empty()) sources.flags["database.url"] = common.database_url;
  const auto from_environment = sources.environment.find("BATCHD_DATABASE_URL");
  const bool has_url =
      !common.database_url.empty() || (from_environment != sources.environment.end() && !from_environment->second.empty());
  // Whoever says where the database is needs no file for it, and none that happens to lie about should get in the way.
  if (scope == ConfigScope::database && has_url && common.config.empty()) sources.file.clear();

  LoadedConfig loaded = load_config(sources, scope);
  if (loaded.ok() && scope == ConfigScope::everything) check_tls_files(loaded);
  const bool needs_file = scope == ConfigScope::everything || (scope == ConfigScope::database && !has_url);
  if (sources.file.empty() && needs_file && !loaded.ok()) {
    loaded.problems.insert(loaded.problems.begin(),
                           {.where = "",
                            .key = "configuration file",
                            .found = "",
                            .expected = "--config, BATCHD_CONFIG, ./batchd.toml or /etc/batchd/batchd.toml "
                                        "(`batchd check-config --print-example` prints one to start from)",
                            .nearest = ""});
  }
  return loaded;
}

LoadedConfig require_config(const CommonOptions& common, ConfigScope scope) {
  LoadedConfig loaded = read_config(common, scope);
  if (loaded.ok()) return loaded;
  const std::size_t count = loaded.problems.size();
  std::string text =
      count == 1 ? "the configuration has a problem:" : "the configuration has " + std::to_string(count) + " problems:";
  for (const ConfigProblem& problem : loaded.problems) text += "\n  " + to_string(problem);
  throw CommandError(exit_usage, text);
}

DatabaseSettings database_settings(const CommonOptions& common) {
  const LoadedConfig loaded = require_config(common, ConfigScope::database);
  DatabaseSettings settings;
  settings.url = loaded.config.database.url;
  settings.listen_url = loaded.config.database.listen_url;
  settings.connections = 1;
  settings.notices = true;
  return settings;
}

void say(std::string_view line) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    throw CommandError(exit_failure, std::string("writing to stdout failed: ") + std::strerror(errno));
  }
}

bool stdout_is_terminal() {
  return isatty(STDOUT_FILENO) == 1;
}
bool stderr_is_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

std::string grouped(std::int64_t number) {
  std::string out = std::to_string(number);
  const std::size_t sign = number < 0 ? 1 : 0;
  for (std::size_t at = out.size(); at > sign + 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

boost::json::value maybe(const std::optional<std::string>& text) {
  return text ? boost::json::value(*text) : boost::json::value();
}

}  // namespace batchd
