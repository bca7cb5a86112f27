#include "config_check.hpp"

#include "config_table.hpp"
#include "config_values.hpp"
#include "core/endpoint.hpp"

#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>

namespace batchd {
namespace {

constexpr std::string_view openai_endpoint = "https://api.openai.com";
constexpr Milliseconds advised_poll_interval{60'000};
constexpr std::size_t longest_secret = 16'384;

bool good_name(std::string_view name) {
  constexpr std::size_t longest = 64;
  return !name.empty() && name.size() <= longest && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

/// `2024-10-21`, `2025-03-01-preview`.
bool good_api_version(std::string_view text) {
  constexpr std::string_view pattern = "dddd-dd-dd";
  if (text.size() < pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i]) return false;
  }
  const std::string_view rest = text.substr(pattern.size());
  return rest.empty() || rest == "-preview";
}

void check_required(const Desk& desk, Config& config) {
  for (const ConfigKey& key : config_keys()) {
    if (!key.required) continue;
    const bool providers = key.section == "provider[]";
    const std::size_t tables = providers ? config.providers.size() : config.deployments.size();
    for (std::size_t i = 0; i < tables; ++i) {
      const std::string section = providers ? "provider[" : "deployment[";
      const std::string path = section + std::to_string(i) + "]." + std::string(key.name);
      if (desk.given.contains(path)) continue;
      const std::string& name = providers ? config.providers[i].name : config.deployments[i].name;
      desk.report(path, section + table_label(name, i) + "]." + std::string(key.name), "", expected_value(key));
    }
  }
  if (config.providers.empty()) desk.report("", "provider", "", "at least one [[provider]] section");
  if (config.deployments.empty()) desk.report("", "deployment", "", "at least one [[deployment]] section");
}

/// Names of one kind of table: well-formed and unique.
template <class Table>
void check_names(const Desk& desk, const std::string& section, const std::vector<Table>& tables) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const std::string& name = tables[i].name;
    if (name.empty()) continue;  // reported as missing
    const std::string path = section + "[" + std::to_string(i) + "].name";
    const std::string key = section + "[" + name + "].name";
    if (!good_name(name)) desk.report(path, key, in_quotes(name), "1 to 64 letters, digits, '-', '_' and '.'");
    if (!seen.insert(name).second)
      desk.report(path, key, in_quotes(name) + " a second time", "a name of its own for each " + section);
  }
}

void check_secret(const Desk& desk, ProviderConfig& provider, const std::string& path, const std::string& key,
                  const Environment& environment) {
  if (desk.given.contains(path + "entra")) return;  // instead of a key
  const std::string variable = api_key_variable(provider.name);
  const auto value = environment.find(variable);
  const bool in_environment = value != environment.end() && !value->second.empty();
  const bool bearer = desk.given.contains(path + "bearer_token_file");
  if (bearer && (in_environment || desk.given.contains(path + "api_key_file"))) {
    desk.report(path + "bearer_token_file", key + "bearer_token_file",
                "bearer_token_file and an API key in " + (in_environment ? variable : "api_key_file"), "one of the two only");
    return;
  }
  if (in_environment) {
    provider.secret = Secret(value->second);
    return;
  }
  const std::string& file = bearer ? provider.bearer_token_file : provider.api_key_file;
  const std::string name = bearer ? "bearer_token_file" : "api_key_file";
  if (file.empty()) {
    if (desk.given.contains(path + "api_key") || desk.given.contains(path + name)) return;  // reported already
    desk.report(path + "api_key_file", key + "api_key_file", "",
                "a file that holds the API key, or the key itself in the environment variable " + variable +
                    ", or bearer_token_file" + (provider.kind == "openai" ? "" : ", or entra"));
    return;
  }
  try {
    provider.secret = read_secret_file(file);
  } catch (const std::runtime_error& error) {
    desk.report(path + name, key + name, error.what(),
                std::string("a file that holds the ") + (bearer ? "token" : "API key") + " on one line");
  }
}

void check_endpoint(const Desk& desk, ProviderConfig& provider, const std::string& path, const std::string& key) {
  if (provider.endpoint.empty()) {
    if (desk.given.contains(path + "endpoint")) return;  // reported as a bad value
    if (provider.kind == "openai") {
      provider.endpoint = openai_endpoint;
    } else {
      desk.report(path + "endpoint", key + "endpoint", "", "the resource's URL, such as https://my-resource.openai.azure.com");
    }
    return;
  }
  const auto endpoint = parse_endpoint(provider.endpoint);
  if (endpoint.has_error()) {
    // Whoever writes a user into the URL writes a password beside it.
    const bool secret = provider.endpoint.find('@') != std::string::npos;
    desk.report(path + "endpoint", key + "endpoint", secret ? "a value (not shown)" : in_quotes(provider.endpoint),
                "an https:// URL, or an http:// one on loopback (" + endpoint.error().message + ")");
  }
  while (provider.endpoint.ends_with('/')) provider.endpoint.pop_back();
}

void check_provider(const Desk& desk, ProviderConfig& provider, std::size_t index, const Environment& environment,
                    std::vector<std::string>& warnings) {
  const std::string path = "provider[" + std::to_string(index) + "].";
  const std::string key = "provider[" + table_label(provider.name, index) + "].";
  check_endpoint(desk, provider, path, key);
  if (provider.kind == "azure") {
    const std::string expected = "a dated version such as \"2024-10-21\" (kind azure needs one)";
    if (!good_api_version(provider.api_version)) {
      desk.report(path + "api_version", key + "api_version", provider.api_version.empty() ? "" : in_quotes(provider.api_version),
                  expected);
    }
  } else if (!provider.api_version.empty() && !provider.kind.empty()) {
    desk.report(path + "api_version", key + "api_version", in_quotes(provider.api_version),
                "no api_version for kind " + provider.kind + ": only kind azure has one");
  }
  if (provider.kind.starts_with("azure")) {
    for (const auto& [name, value] : {std::pair{"organization", provider.organization}, std::pair{"project", provider.project}}) {
      if (!value.empty()) desk.report(path + name, key + name, in_quotes(value), "kind openai, the only one that knows it");
    }
  }
  // They are sent as headers, and a header with a line break in it is never sent.
  for (const auto& [name, value] : {std::pair{"organization", provider.organization}, std::pair{"project", provider.project}}) {
    const bool one_line = std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c < 0x7f; });
    if (!one_line) desk.report(path + name, key + name, in_quotes(value), "printable ASCII on one line");
  }
  check_secret(desk, provider, path, key, environment);
  check_entra(desk, provider, path, key, environment, warnings);
  check_readable(desk, path + "ca_file", key + "ca_file", provider.ca_file);
  check_connections(desk, provider, path, key, environment, warnings);
}

void check_deployments(const Desk& desk, const Config& config) {
  for (std::size_t i = 0; i < config.deployments.size(); ++i) {
    const DeploymentConfig& deployment = config.deployments[i];
    if (deployment.dynamic_token_limit > 0 && deployment.dynamic_token_limit < deployment.enqueued_token_limit) {
      desk.report("deployment[" + std::to_string(i) + "].dynamic_token_limit",
                  "deployment[" + table_label(deployment.name, i) + "].dynamic_token_limit",
                  std::to_string(deployment.dynamic_token_limit),
                  "no less than enqueued_token_limit, " + std::to_string(deployment.enqueued_token_limit));
    }
    if (deployment.provider.empty()) continue;  // reported as missing
    std::vector<std::string_view> names;
    for (const ProviderConfig& provider : config.providers) names.push_back(provider.name);
    if (std::find(names.begin(), names.end(), deployment.provider) != names.end()) continue;
    const std::string hint =
        names.empty() ? "; there is none" : "; the nearest is " + in_quotes(nearest_of(names, deployment.provider));
    desk.report("deployment[" + std::to_string(i) + "].provider", "deployment[" + table_label(deployment.name, i) + "].provider",
                in_quotes(deployment.provider), "the name of a [[provider]]" + hint);
  }
}

void check_together(const Desk& desk, const Config& config) {
  if (!parse_listen(config.http.listen)) {
    desk.report("http.listen", "http.listen", in_quotes(config.http.listen),
                "an address and a port such as \"127.0.0.1:9464\" or \"[::]:9464\"");
  }
  if (config.retry.max_delay < config.retry.base_delay) {
    desk.report("retry.max_delay", "retry.max_delay", in_quotes(format_duration(config.retry.max_delay)),
                "no less than retry.base_delay, " + in_quotes(format_duration(config.retry.base_delay)));
  }
  if (config.limits.disk < config.planner.max_bytes) {
    desk.report("limits.disk", "limits.disk", in_quotes(format_size(config.limits.disk)),
                "room for one file at least: planner.max_bytes is " + in_quotes(format_size(config.planner.max_bytes)));
  }
}

std::string default_state_dir(const Environment& environment) {
  const auto value = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  // systemd separates several directories by colons; the first is ours.
  if (const std::string given = value("STATE_DIRECTORY"); !given.empty()) return given.substr(0, given.find(':'));
  if (geteuid() == 0) return "/var/lib/batchd";
  if (const std::string xdg = value("XDG_STATE_HOME"); !xdg.empty()) return xdg + "/batchd";
  if (const std::string home = value("HOME"); !home.empty()) return home + "/.local/state/batchd";
  return "/var/lib/batchd";
}

void warn(const Config& config, std::vector<std::string>& warnings) {
  const bool remote = std::any_of(config.providers.begin(), config.providers.end(),
                                  [](const ProviderConfig& provider) { return !is_loopback_endpoint(provider.endpoint); });
  if (remote && config.poll.interval < advised_poll_interval) {
    warnings.push_back("poll.interval is " + format_duration(config.poll.interval) +
                       ", below the providers' advice of 60s: calls may be throttled");
  }
}

}  // namespace

std::string Desk::where(const std::string& path) const {
  const auto found = given.find(path);
  return found == given.end() ? "" : found->second;
}

void Desk::report(const std::string& path, std::string key, std::string found, std::string expected, std::string nearest) const {
  std::string place = where(path);
  if (const auto dot = path.rfind('.'); place.empty() && dot != std::string::npos) place = where(path.substr(0, dot));
  problems.push_back({std::move(place), std::move(key), std::move(found), std::move(expected), std::move(nearest)});
}

void check_readable(const Desk& desk, const std::string& path, const std::string& key, const std::string& file) {
  if (file.empty()) return;
  if (access(file.c_str(), R_OK) != 0) {
    desk.report(path, key, in_quotes(file) + " (" + std::strerror(errno) + ")", "a file that can be read");
  }
}

std::string table_label(const std::string& name, std::size_t index) {
  return name.empty() ? "#" + std::to_string(index + 1) : name;
}

void check_database(Config& config, const Provenance& given, std::vector<ConfigProblem>& problems) {
  const Desk desk{given, problems};
  DatabaseConfig& database = config.database;
  const bool has_url = given.contains("database.url");
  const bool has_file = given.contains("database.url_file");
  if (has_url && has_file) {
    desk.report("database.url_file", "database.url_file", "url and url_file", "one of the two only");
  } else if (!has_url && !has_file) {
    desk.report("database", "database.url", "",
                "where PostgreSQL is, such as \"postgresql:///batchd\" (also as BATCHD_DATABASE_URL), or database.url_file");
  } else if (has_file && !database.url_file.empty()) {
    try {
      database.url = read_secret_file(database.url_file).reveal();
    } catch (const std::runtime_error& error) {
      desk.report("database.url_file", "database.url_file", error.what(), "a file that holds the database's URL on one line");
    }
  }
  for (const auto& [path, value] : {std::pair<std::string, std::string>{"database.url", database.url},
                                    {"database.listen_url", database.listen_url},
                                    {"database.migrate_url", database.migrate_url}}) {
    const bool url = value.starts_with("postgresql://") || value.starts_with("postgres://");
    if (!value.empty() && !url && value.find('=') == std::string::npos) {
      desk.report(path, path, "a value (not shown)", "postgresql://… or libpq's key=value form");
    }
  }
  if (database.listen_url.empty()) database.listen_url = database.url;
  if (database.migrate_url.empty()) database.migrate_url = database.url;
}

void check_everything(Config& config, const Provenance& given, const Environment& environment, LoadedConfig& loaded) {
  const Desk desk{given, loaded.problems};
  check_required(desk, config);
  check_names(desk, "provider", config.providers);
  check_names(desk, "deployment", config.deployments);
  for (std::size_t i = 0; i < config.providers.size(); ++i)
    check_provider(desk, config.providers[i], i, environment, loaded.warnings);
  check_deployments(desk, config);
  check_together(desk, config);
  check_money(desk, config, loaded.warnings);
  if (config.limits.state_dir.empty()) config.limits.state_dir = default_state_dir(environment);
  warn(config, loaded.warnings);
}

Secret read_secret_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error(file.string() + " (" + std::strerror(errno) + ")");
  std::string text(longest_secret + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad() || std::filesystem::is_directory(file)) throw std::runtime_error(file.string() + " (not a file)");
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  if (text.empty()) throw std::runtime_error(file.string() + " (empty)");
  if (text.size() > longest_secret) throw std::runtime_error(file.string() + " (longer than 16 KiB)");
  // A line break or another control character would end the header or the command that the secret goes into.
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  if (std::any_of(text.begin(), text.end(), control)) throw std::runtime_error(file.string() + " (more than one line)");
  return Secret(std::move(text));
}

std::optional<HostPort> parse_listen(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_integer(text.substr(colon + 1));
  if (!port || *port < 0 || *port > 65'535) return std::nullopt;
  std::string host(text.substr(0, colon));
  unsigned char address[sizeof(in6_addr)];
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
    if (inet_pton(AF_INET6, host.c_str(), address) != 1) return std::nullopt;
  } else if (host == "localhost") {
    host = "127.0.0.1";
  } else if (inet_pton(AF_INET, host.c_str(), address) != 1) {
    return std::nullopt;
  }
  return HostPort{std::move(host), static_cast<std::uint16_t>(*port)};
}

bool is_loopback_endpoint(std::string_view endpoint) {
  const auto parsed = parse_endpoint(endpoint);
  return parsed.has_value() && is_loopback(parsed->host);
}

}  // namespace batchd
