#include "cli/context.hpp"
#include "cli/provider_calls.hpp"
#include "config_table.hpp"

#include <boost/json.hpp>

namespace batchd {
namespace {

void print_json(const LoadedConfig& loaded) {
  boost::json::array problems;
  for (const ConfigProblem& problem : loaded.problems) {
    problems.push_back({{"where", problem.where},
                        {"key", problem.key},
                        {"found", problem.found},
                        {"expected", problem.expected},
                        {"nearest", problem.nearest}});
  }
  boost::json::object out{{"ok", loaded.ok()}, {"problems", std::move(problems)}};
  out["warnings"] = boost::json::array(loaded.warnings.begin(), loaded.warnings.end());
  print(boost::json::serialize(out) + "\n");
}

/// What the operator wants to see confirmed, secrets left out.
std::string summary(const Config& config) {
  std::string out = "database    " + redact_url(config.database.url) + "\n";
  for (const ProviderConfig& provider : config.providers) {
    const auto proxy = endpoint_proxy(provider);
    out += "provider    " + provider.name + " (" + provider.kind + ") " + provider.endpoint;
    out += proxy ? " through proxy " + proxy->shown() + "\n" : "\n";
  }
  for (const DeploymentConfig& deployment : config.deployments) {
    out += "deployment  " + deployment.name + " at " + deployment.provider + " serves " + deployment.model + ", " +
           grouped(deployment.enqueued_token_limit) + " enqueued tokens\n";
  }
  return out + "http        " + config.http.listen + "\nstate       " + config.limits.state_dir + "\n";
}

/// What only the providers' dialects can tell: an api-version that is too old, the path of another API. No call is made.
void check_dialects(LoadedConfig& loaded) {
  if (!loaded.ok()) return;
  try {
    const ProviderCalls unused(loaded.config);
  } catch (const CommandError& error) {
    loaded.problems.push_back({"", "provider", error.what(), "what its kind takes", ""});
  }
}

}  // namespace

int run_check_config(const CommonOptions& common, const CheckConfigOptions& options) {
  if (options.print_example) {
    print(example_config());
    return exit_ok;
  }
  if (options.json) {
    LoadedConfig loaded = read_config(common, ConfigScope::everything);
    check_dialects(loaded);
    print_json(loaded);
    return loaded.ok() ? exit_ok : exit_usage;
  }
  const LoadedConfig loaded = require_config(common, ConfigScope::everything);
  const ProviderCalls unused(loaded.config);  // throws what the providers' dialects have against it; no call is made
  for (const std::string& warning : loaded.warnings) say("warning: " + warning);
  print(summary(loaded.config));
  say("The configuration is fine.");
  return exit_ok;
}

}  // namespace batchd
