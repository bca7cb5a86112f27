// What the operator asked for: plain values, complete and checked. Every key, with its default, constraint and help, is
// one row of config_table.cpp; a file, the environment and flags are read against that table and every problem is
// reported at once. Nothing here touches the network.
#pragma once

#include "core/money.hpp"
#include "core/proxy.hpp"
#include "core/types.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// A text that must not be printed: it has no operator<<, and whoever needs it says so.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  const std::string& reveal() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  std::string text_;
};

struct DatabaseConfig {
  std::string url;  ///< may hold a password: print redact_url(url) only
  std::string url_file;
  int pool = 0;
  Milliseconds statement_timeout{};
  std::string listen_url;   ///< equal to `url` when not given
  std::string migrate_url;  ///< equal to `url` when not given
};

struct HttpConfig {
  std::string listen;
};

/// How a provider's bearer tokens are obtained; `method` is "" for one that has an API key.
struct EntraConfig {
  std::string method;  ///< client-secret | managed-identity | workload-identity
  std::string tenant_id;
  std::string client_id;
  std::string object_id;           ///< of a machine's identity, instead of client_id
  std::string msi_res_id;          ///< likewise
  std::string client_secret_file;  ///< "" when the secret came from the environment
  Secret client_secret;            ///< as it was when the configuration was read
  std::string token_file;
  std::string authority;          ///< without a slash at its end
  std::string scope;              ///< ends in /.default
  std::string identity_endpoint;  ///< "" for the machine's own
};

struct ProviderConfig {
  std::string name;
  std::string kind;      ///< azure | azure-v1 | openai
  std::string endpoint;  ///< without a slash at its end
  std::string api_version;
  std::string api_key_file;
  std::string bearer_token_file;  ///< instead of an API key
  Secret secret;                  ///< the key or the token, as it was when the configuration was read
  EntraConfig entra;
  std::string proxy;  ///< as given, perhaps with a password: print proxies.proxy->shown() only
  std::string proxy_credentials_file;
  ProxyRules proxies;  ///< what `proxy` and the environment come to
  std::string ca_file;
  std::optional<Milliseconds> file_expiry;  ///< 0: not asked for; nothing: as is usual there
  std::int64_t max_files = 0;               ///< 0: as many as the provider's documents say
  std::string client_cert_file;
  std::string client_key_file;
  std::string organization;
  std::string project;
};

struct DeploymentConfig {
  std::string name;
  std::string provider;
  std::string model;
  Tokens enqueued_token_limit = 0;
  Tokens dynamic_token_limit = 0;  ///< 0: none
};

struct PlannerConfig {
  Milliseconds linger{};
  std::int64_t max_requests = 0;
  Bytes max_bytes = 0;
  Milliseconds unroutable_after{};
};

struct PollConfig {
  Milliseconds interval{};
  Milliseconds file_interval{};
};

struct RetryConfig {
  int max_attempts = 0;
  Milliseconds base_delay{};
  Milliseconds max_delay{};
  Milliseconds settle_window{};
  std::string on_unknown;  ///< fence | hold
};

struct LeaseConfig {
  Milliseconds ttl{};
};

struct LimitsConfig {
  Bytes memory = 0;
  Bytes disk = 0;
  std::string state_dir;
};

struct RetentionConfig {
  Milliseconds settled{};
  std::string remote_files;  ///< delete | keep
  Milliseconds remote_delay{};
};

struct TokensConfig {
  std::string vocabulary_dir;  ///< see find_vocabulary_dir()
};

struct LogConfig {
  std::string level;   ///< see parse_log_level()
  std::string format;  ///< see parse_log_format()
};

/// A model's prices at the batch rate, in picodollars per token (a millionth of a dollar per million tokens).
struct PriceConfig {
  std::string model;
  std::int64_t input = 0;
  std::optional<std::int64_t> cached_input;  ///< nothing: as `input`
  std::int64_t output = 0;
  Tokens max_output = 0;  ///< 0: budget.max_output
};

struct BudgetConfig {
  std::optional<NanoDollars> daily;
  std::optional<NanoDollars> per_job;
  bool strict = false;
  Tokens assumed_output = 0;
  Tokens max_output = 0;
};

struct Config {
  DatabaseConfig database;
  HttpConfig http;
  std::vector<ProviderConfig> providers;
  std::vector<DeploymentConfig> deployments;
  PlannerConfig planner;
  PollConfig poll;
  RetryConfig retry;
  LeaseConfig lease;
  LimitsConfig limits;
  RetentionConfig retention;
  TokensConfig tokens;
  LogConfig log;
  std::vector<PriceConfig> prices;
  BudgetConfig budget;
};

/// What the configuration says about money, as the store takes it; empty when no model has a price.
MoneyRules money_rules(const Config& config);
/// Models that deployments serve although a cap could not count what they cost.
std::vector<std::string> models_without_price(const Config& config);

/// One thing that is wrong, in terms of what the operator wrote.
struct ConfigProblem {
  std::string where;     ///< `batchd.toml:12`, `environment BATCHD_POLL_INTERVAL`, `flag --database-url`; "" when nowhere
  std::string key;       ///< `poll.interval`, `provider[eastus].endpoint`
  std::string found;     ///< never a secret; "" when nothing was there
  std::string expected;  ///< a sentence without its full stop
  std::string nearest;   ///< the nearest valid key, as documented: `provider[].endpoint`; "" when there is none
};

/// One line for people.
std::string to_string(const ConfigProblem& problem);

using Environment = std::map<std::string, std::string>;
/// This process's variables that begin with `BATCHD_`, and the few that say where state belongs, who a workload is or which proxy
/// stands on the way.
Environment process_environment();

/// Which keys a command needs: those that only speak to the database work without providers and their secrets.
enum class ConfigScope { everything, database, tokens };

/// Where settings come from, strongest first: flags, environment, file, defaults.
struct ConfigSources {
  std::map<std::string, std::string> flags;  ///< by key, such as `database.url`
  Environment environment;
  std::filesystem::path file;                     ///< empty: no file
  std::map<std::string, std::string> defaults{};  ///< a command's own, by key, instead of those of the table
};

struct LoadedConfig {
  Config config;  ///< complete only when there are no problems
  std::vector<ConfigProblem> problems;
  std::vector<std::string> warnings;
  bool ok() const { return problems.empty(); }
};

LoadedConfig load_config(const ConfigSources& sources, ConfigScope scope = ConfigScope::everything);

/// The file to read: `flag`, else BATCHD_CONFIG, else ./batchd.toml or /etc/batchd/batchd.toml when there is one, else "".
std::filesystem::path config_file(const std::string& flag, const Environment& environment);

/// `BATCHD_PROVIDER_<NAME>_API_KEY`, where anything but a letter or digit of the name becomes an underscore.
std::string api_key_variable(std::string_view provider);
/// `BATCHD_PROVIDER_<NAME>_CLIENT_SECRET`.
std::string client_secret_variable(std::string_view provider);

/// Reads a secret again after it changed: the file's text without the line break at its end.
/// Throws std::runtime_error, naming the file, when it cannot be read or holds no usable secret.
Secret read_secret_file(const std::filesystem::path& file);

struct HostPort {
  std::string host;  ///< an address without brackets
  std::uint16_t port = 0;
};
/// `127.0.0.1:9464`, `[::]:9464`, `localhost:0`; nothing for anything else.
std::optional<HostPort> parse_listen(std::string_view text);

/// The proxy on the way to a provider's endpoint, nothing when there is none.
std::optional<Proxy> endpoint_proxy(const ProviderConfig& provider);

/// True when an endpoint's host is this machine.
bool is_loopback_endpoint(std::string_view endpoint);

/// A connection string with its password replaced by `***`.
std::string redact_url(std::string_view url);

}  // namespace batchd
