// load_config on any file and environment: it never throws; there is a configuration whose every number is within its key's
// bounds and whose names and endpoints can be used, or there are problems, each of which names a key and says on one line that
// can be shown what was expected. Input: the file; after a NUL byte, variables, one a line.
#include "config.hpp"
#include "config_table.hpp"
#include "core/endpoint.hpp"
#include "harness.hpp"
#include "memory_file.hpp"
#include "reference_text.hpp"

namespace batchd::fuzz {
namespace {

Environment environment_of(std::string_view text) {
  Environment out;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto equals = line.find('=');
    if (equals != std::string_view::npos) out.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  return out;
}

std::int64_t number_in(const ConfigField& field, std::int64_t otherwise) {
  if (const auto* duration = std::get_if<Milliseconds*>(&field)) return (*duration)->count();
  if (const auto* perhaps = std::get_if<std::optional<Milliseconds>*>(&field))
    return (*perhaps)->value_or(Milliseconds{otherwise}).count();
  if (const auto* large = std::get_if<std::int64_t*>(&field)) return **large;
  if (const auto* small = std::get_if<int*>(&field)) return **small;
  return otherwise;
}

void check_numbers(Config& config) {
  Config nothing_said;
  nothing_said.providers.resize(config.providers.size());
  nothing_said.deployments.resize(config.deployments.size());
  nothing_said.prices.resize(config.prices.size());
  for (const ConfigKey& key : config_keys()) {
    const std::size_t tables = key.section == "provider[]"     ? config.providers.size()
                               : key.section == "deployment[]" ? config.deployments.size()
                               : key.section == prices_section ? config.prices.size()
                                                               : 1;
    for (std::size_t i = 0; i < tables; ++i) {
      const std::int64_t value = number_in(key.field(config, i), key.least);
      const bool within = value >= key.least && value <= key.most;
      holds(within || value == number_in(key.field(nothing_said, i), key.least), "a number is within its key's bounds");
    }
  }
}

void check_good(Config& config) {
  check_numbers(config);
  holds(!config.database.url.empty() && !config.database.listen_url.empty() && !config.database.migrate_url.empty(),
        "a database");
  holds(!config.providers.empty() && !config.deployments.empty(), "a provider and a deployment");
  for (const ProviderConfig& provider : config.providers) {
    holds(shown_on_one_line(provider.name) && !provider.name.empty(), "a provider has a name");
    holds(parse_endpoint(provider.endpoint).has_value(), "and an endpoint that can be used");
    holds(provider.secret.empty() == !provider.entra.method.empty(), "and a key or a token, or another way to say who calls");
  }
  holds(parse_listen(config.http.listen).has_value(), "an address to listen on");
}

void check_told(const LoadedConfig& loaded) {
  for (const ConfigProblem& problem : loaded.problems) {
    holds(!problem.key.empty() && !problem.expected.empty(), "a problem names its key and what was expected");
    holds(shown_on_one_line(to_string(problem)), "a problem is one line that can be shown");
  }
  for (const std::string& warning : loaded.warnings) holds(shown_on_one_line(warning), "so is a warning");
}

}  // namespace

void check(std::string_view input) {
  static const MemoryFile file;
  const std::string_view text = input.substr(0, input.find('\0'));
  file.fill(text);
  const std::string_view variables = input.substr(std::min(input.size(), text.size() + 1));
  const ConfigSources sources{{}, environment_of(variables), file.path()};
  LoadedConfig all = load_config(sources);
  check_told(all);
  if (all.ok()) check_good(all.config);
  LoadedConfig database = load_config(sources, ConfigScope::database);
  check_told(database);
  holds(database.ok() || !all.ok(), "what is good as a whole is good for the database");
}

}  // namespace batchd::fuzz
