#include "cli/run_config.hpp"

#include "cli/context.hpp"
#include "config_table.hpp"
#include "config_values.hpp"
#include "core/endpoint.hpp"
#include "providers.hpp"

#include <unistd.h>

#include <algorithm>

namespace batchd {
namespace {

constexpr const char* usual_api_version = "2024-10-21";
constexpr const char* openai_origin = "https://api.openai.com";
/// Long enough for whatever must not happen while a run lasts.
constexpr Milliseconds never{std::chrono::hours(24 * 36'500)};

[[noreturn]] void usage(const std::string& sentence) {
  throw CommandError(exit_usage, sentence);
}

std::string value_of(const Environment& environment, const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

std::string first_of(std::initializer_list<std::string> values) {
  for (const std::string& value : values) {
    if (!value.empty()) return value;
  }
  return "";
}

bool describes_provider(const RunOptions& options) {
  return !(options.kind + options.endpoint + options.api_version + options.api_key_file).empty();
}

/// Only a file that was asked for: one that lies about belongs to a service.
std::string file_of(const CommonOptions& common, const Environment& environment) {
  return first_of({common.config, value_of(environment, "BATCHD_CONFIG")});
}

ConfigSources sources_of(const CommonOptions& common, const RunOptions& options, const Environment& environment) {
  ConfigSources sources;
  sources.file = file_of(common, environment);
  for (const auto& [name, value] : environment) {
    // Where its database is, `run` knows.
    if (!name.starts_with("BATCHD_DATABASE_")) sources.environment.emplace(name, value);
  }
  sources.flags["database.url"] = "postgresql:///";
  if (!options.state_dir.empty()) sources.flags["limits.state_dir"] = options.state_dir;
  // Everything that will be asked is there before the first file is made: only what comes back waits for company.
  sources.defaults["planner.linger"] = "1s";
  return sources;
}

/// Flags about the provider are stronger than what the file says of its only one.
void override_provider(ConfigSources& sources, const RunOptions& options, const LoadedConfig& loaded) {
  if (!describes_provider(options) || loaded.config.providers.empty()) return;
  if (loaded.config.providers.size() > 1) {
    usage("--kind, --endpoint, --api-version and --api-key-file describe one provider, and " + sources.file.string() +
          " has several: say it there");
  }
  const std::string& name = loaded.config.providers.front().name;
  for (const auto& [key, value] : {std::pair<std::string_view, std::string>{"kind", options.kind},
                                   {"endpoint", options.endpoint},
                                   {"api_version", options.api_version},
                                   {"api_key_file", options.api_key_file}}) {
    if (!value.empty()) sources.environment[environment_variable(*find_config_key("provider[]", key), name)] = value;
  }
  if (!options.api_key_file.empty()) sources.environment.erase(api_key_variable(name));
}

void report(std::vector<ConfigProblem> problems) {
  // The database is ours, and providers and deployments may come from elsewhere.
  std::erase_if(problems, [](const ConfigProblem& p) {
    return p.found.empty() && (p.key == "provider" || p.key == "deployment" || p.key == "database.url");
  });
  if (problems.empty()) return;
  std::string text = "the configuration has " + std::string(problems.size() == 1 ? "a problem:" : "problems:");
  for (const ConfigProblem& problem : problems) text += "\n  " + to_string(problem);
  usage(text);
}

std::string kind_of(const RunOptions& options, const Environment& environment, const std::string& endpoint) {
  if (!options.kind.empty()) return options.kind;
  if (!options.endpoint.empty()) {
    const bool azure = endpoint.find(".azure.com") != std::string::npos;
    return !azure ? "openai" : endpoint.find("/openai/v1") != std::string::npos ? "azure-v1" : "azure";
  }
  const bool azure =
      !value_of(environment, "AZURE_OPENAI_API_KEY").empty() || !value_of(environment, "AZURE_OPENAI_ENDPOINT").empty();
  const bool openai = !value_of(environment, "OPENAI_API_KEY").empty();
  if (azure && openai)
    usage("OPENAI_API_KEY and AZURE_OPENAI_… are both set: say --kind openai, --kind azure or --kind azure-v1");
  return azure ? "azure" : "openai";
}

bool good_api_version(std::string_view text) {
  constexpr std::string_view pattern = "dddd-dd-dd";
  if (text.size() < pattern.size()) return false;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != pattern[i]) return false;
  }
  return text.size() == pattern.size() || text.substr(pattern.size()) == "-preview";
}

Secret key_of(const RunOptions& options, const Environment& environment, bool azure) {
  if (!options.api_key_file.empty()) {
    try {
      return read_secret_file(options.api_key_file);
    } catch (const std::runtime_error& error) {
      usage(std::string("--api-key-file: ") + error.what());
    }
  }
  const char* variable = azure ? "AZURE_OPENAI_API_KEY" : "OPENAI_API_KEY";
  const std::string key = value_of(environment, variable);
  if (key.empty()) {
    const bool lies_about = access("batchd.toml", R_OK) == 0;
    usage(std::string("no key: set ") + variable + ", or give --api-key-file FILE, or a configuration with --config FILE" +
          (lies_about ? " (./batchd.toml is there, and run reads it only when --config says so)" : ""));
  }
  return Secret(key);
}

/// The provider that flags and the official clients' variables describe.
ProviderConfig provider_of(const RunOptions& options, const Environment& environment) {
  ProviderConfig provider;
  provider.kind = kind_of(options, environment, options.endpoint);
  const bool azure = provider.kind != "openai";
  provider.name = azure ? "azure" : "openai";
  provider.secret = key_of(options, environment, azure);
  provider.api_key_file = options.api_key_file;
  if (azure) {
    provider.endpoint = first_of({options.endpoint, value_of(environment, "AZURE_OPENAI_ENDPOINT")});
    if (provider.endpoint.empty())
      usage("no endpoint: give --endpoint https://NAME.openai.azure.com, or set AZURE_OPENAI_ENDPOINT");
  } else {
    provider.endpoint = first_of({options.endpoint, value_of(environment, "OPENAI_BASE_URL"), openai_origin});
    provider.organization = value_of(environment, "OPENAI_ORG_ID");
    provider.project = value_of(environment, "OPENAI_PROJECT_ID");
  }
  const auto endpoint = parse_endpoint(provider.endpoint);
  if (endpoint.has_error()) usage("the endpoint cannot be used: " + endpoint.error().message);
  while (provider.endpoint.ends_with('/')) provider.endpoint.pop_back();
  if (provider.kind == "azure") {
    provider.api_version = first_of({options.api_version, value_of(environment, "OPENAI_API_VERSION"), usual_api_version});
    if (!good_api_version(provider.api_version))
      usage("the api-version " + in_quotes(provider.api_version) + " is no date such as \"" + usual_api_version + "\"");
  } else if (!options.api_version.empty()) {
    usage("--api-version is for --kind azure only");
  }
  return provider;
}

/// `--deployment NAME` or `--deployment MODEL=NAME`; "" as the model of the first form.
std::pair<std::string, std::string> split_deployment(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

Tokens limit_of(const RunOptions& options, const ProviderConfig& provider) {
  if (options.token_limit.empty()) return provider.kind == "openai" ? run_token_limit_openai : run_token_limit_azure;
  const auto limit = parse_count(options.token_limit);
  if (!limit || *limit < 1)
    usage("--enqueued-token-limit " + in_quotes(options.token_limit) + " is no count such as \"200M\" or \"90K\"");
  return *limit;
}

std::string deployment_name(const RunOptions& options, const std::string& model, std::size_t models) {
  std::string any;
  for (const std::string& text : options.deployments) {
    const auto [of_model, name] = split_deployment(text);
    if (of_model == model) return name;
    if (of_model.empty()) any = name;
  }
  if (!any.empty() && models > 1) {
    usage("the input asks for " + std::to_string(models) + " models: say --deployment MODEL=NAME for each, and " +
          in_quotes(model) + " has none");
  }
  return any.empty() ? model : any;
}

/// Nothing of the input may wait for a deployment that never comes.
void require_served(const Config& config, const std::vector<ModelUse>& models) {
  const std::vector<Offer> offers = offers_of(config);
  std::string missing;
  for (const ModelUse& use : models) {
    const auto place = [&use](std::int64_t line) { return "\n  line " + std::to_string(line) + ": " + in_quotes(use.model); };
    const bool served = std::any_of(offers.begin(), offers.end(), [&](const Offer& offer) { return offer.model == use.model; });
    if (!served) missing += place(use.first_line);
    for (const EndpointUse& at : use.endpoints) {
      if (served && !is_offered(offers, {use.model, at.endpoint})) missing += place(at.first_line) + " at " + at.endpoint;
    }
  }
  if (!missing.empty())
    throw CommandError(exit_failure, "no deployment takes what the input asks for; nothing was enqueued:" + missing);
}

}  // namespace

Environment whole_environment() {
  Environment out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

Config run_config(const CommonOptions& common, const RunOptions& options, const Environment& environment) {
  ConfigSources sources = sources_of(common, options, environment);
  LoadedConfig loaded = load_config(sources, ConfigScope::everything);
  if (!loaded.config.providers.empty() && describes_provider(options)) {
    override_provider(sources, options, loaded);
    loaded = load_config(sources, ConfigScope::everything);
  }
  report(loaded.problems);
  Config config = std::move(loaded.config);
  for (const std::string& warning : loaded.warnings) say("warning: " + warning);
  if (config.providers.empty()) config.providers.push_back(provider_of(options, environment));
  // A page for whoever asks for one; else a port that no service misses.
  config.http.listen = options.http.empty() ? "127.0.0.1:0" : options.http;
  if (!parse_listen(config.http.listen)) usage("--http " + in_quotes(options.http) + " is no address such as \"127.0.0.1:9464\"");
  // Answers stay until somebody removes the state: they were paid for. And a run's models were looked at before it began.
  config.retention.settled = never;
  config.planner.unroutable_after = never;
  return config;
}

void serve_models(Config& config, const RunOptions& options, const std::vector<ModelUse>& models) {
  if (!config.deployments.empty()) {
    if (!options.deployments.empty() || !options.token_limit.empty()) {
      usage("--deployment and --enqueued-token-limit are for a provider without [[deployment]] sections: say it in the file");
    }
    require_served(config, models);
    return;
  }
  if (config.providers.size() > 1) usage("with several providers in the file, it must name the deployments too");
  for (const ModelUse& use : models) {
    const std::string name = deployment_name(options, use.model, models.size());
    config.deployments.push_back({name, config.providers.front().name, use.model, limit_of(options, config.providers.front())});
  }
  require_served(config, models);
  for (const std::string& model : models_without_price(config))
    usage("[budget] sets a cap, and the model " + in_quotes(model) + " has no [prices]: a cap cannot count what has no price");
}

std::string default_model(const RunOptions& options) {
  if (!options.model.empty()) return options.model;
  // Whoever names one deployment and no model means that one.
  if (options.deployments.size() != 1) return "";
  return split_deployment(options.deployments.front()).second;
}

}  // namespace batchd
