#include "config.hpp"

#include "config_check.hpp"
#include "config_found.hpp"
#include "config_table.hpp"
#include "config_values.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

namespace batchd {
namespace {

std::string kind_of(const toml::node& node) {
  std::ostringstream out;
  out << node.type();
  return std::move(out).str();
}

FoundValue found_in_file(const toml::node& node, std::string where) {
  FoundValue found{.text = {}, .integer = {}, .shown = {}, .where = std::move(where)};
  if (const auto text = node.value_exact<std::string>()) {
    found.text = *text;
    found.shown = in_quotes(*text);
  } else if (const auto integer = node.value_exact<std::int64_t>()) {
    found.integer = *integer;
    found.shown = std::to_string(*integer);
    found.decimal = found.shown;
  } else if (const auto truth = node.value_exact<bool>()) {
    found.truth = *truth;
    found.shown = *truth ? "true" : "false";
  } else if (const auto fraction = node.value_exact<double>()) {
    found.decimal = written(*fraction);
    found.shown = *found.decimal;
  } else {
    found.shown = "a value of type " + kind_of(node);
  }
  return found;
}

bool holds_secret(const ConfigKey& key) {
  return key.section == "database" && key.name.ends_with("url");
}

class Reader {
 public:
  Reader(const ConfigSources& sources, ConfigScope scope) : sources_(sources), scope_(scope) {}

  LoadedConfig read() {
    read_all();
    for (ConfigProblem& problem : loaded_.problems) {
      if (problem.nearest.empty()) problem.nearest = documented_key(problem.key);
      for (std::string* text : {&problem.where, &problem.key, &problem.found, &problem.expected}) *text = printable(*text);
    }
    for (std::string& warning : loaded_.warnings) warning = printable(warning);
    std::stable_sort(loaded_.problems.begin(), loaded_.problems.end(),
                     [](const ConfigProblem& a, const ConfigProblem& b) { return line_of(a) < line_of(b); });
    return std::move(loaded_);
  }

 private:
  void read_all() {
    for (const ConfigKey& key : config_keys()) {
      if (!key.section.ends_with("[]") && !key.fallback.empty()) {
        const auto own = sources_.defaults.find(key.path());
        const std::string value = own == sources_.defaults.end() ? std::string(key.fallback) : own->second;
        assign(key, 0, key.path(), found_elsewhere(value, "default"));
      }
    }
    given_.clear();
    const bool readable = sources_.file.empty() || read_file();
    read_environment();
    read_flags();
    // A file that could not be read explains everything that seems to be missing.
    if (!readable) return;
    if (scope_ != ConfigScope::tokens) check_database(loaded_.config, given_, loaded_.problems);
    if (scope_ == ConfigScope::everything) check_everything(loaded_.config, given_, sources_.environment, loaded_);
  }

  /// The line in the file, as the operator reads it from top to bottom; what stands elsewhere or nowhere comes last.
  static std::int64_t line_of(const ConfigProblem& problem) {
    const auto colon = problem.where.rfind(':');
    const auto line =
        colon == std::string::npos ? std::nullopt : parse_integer(std::string_view(problem.where).substr(colon + 1));
    return line.value_or(INT64_MAX);
  }

  /// `provider[eastus].kind` as the documentation calls it, `provider[].kind`; "" when it documents no such key.
  static std::string documented_key(std::string_view key) {
    const auto dot = key.rfind('.');
    if (dot == std::string_view::npos) return "";
    std::string section(key.substr(0, dot));
    if (section.starts_with("prices.")) section = prices_section;
    if (const auto bracket = section.find('['); bracket != std::string::npos) section = section.substr(0, bracket) + "[]";
    const ConfigKey* known = find_config_key(section, key.substr(dot + 1));
    return known == nullptr ? "" : known->path();
  }

  bool wanted(std::string_view section) const {
    return scope_ == ConfigScope::everything || section == (scope_ == ConfigScope::tokens ? "tokens" : "database");
  }

  void problem(std::string where, std::string key, std::string found, std::string expected, std::string nearest = {}) {
    loaded_.problems.push_back({std::move(where), std::move(key), std::move(found), std::move(expected), std::move(nearest)});
  }

  std::string place(const toml::node& node) const {
    return sources_.file.string() + ":" + std::to_string(node.source().begin.line);
  }

  bool read_file() {
    std::error_code ignored;
    std::ifstream file(sources_.file, std::ios::binary);
    if (!file || std::filesystem::is_directory(sources_.file, ignored)) {
      problem(sources_.file.string(), "--config", file ? "a directory" : std::strerror(errno),
              "a configuration file that can be read");
      return false;
    }
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    toml::table root;
    try {
      root = toml::parse(text, sources_.file.string());
    } catch (const toml::parse_error& error) {
      const auto line = error.source().begin.line;
      problem(sources_.file.string() + ":" + std::to_string(line), "syntax", std::string(error.description()),
              "TOML (https://toml.io)");
      return false;
    }
    for (const auto& [name, node] : root) read_section(name.str(), node);
    return true;
  }

  /// `[prices."gpt-4o-mini"]`: a table for each model.
  void read_prices(const toml::node& node) {
    const toml::table* tables = node.as_table();
    const bool all_tables = tables != nullptr && std::all_of(tables->begin(), tables->end(),
                                                             [](const auto& entry) { return entry.second.is_table(); });
    if (!all_tables) {
      problem(place(node), "prices", "a value", "[prices.\"MODEL\"] with the model's name in quotes, and its keys below");
      return;
    }
    for (const auto& [model, prices] : *tables) {
      const std::size_t index = loaded_.config.prices.size();
      loaded_.config.prices.emplace_back().model = std::string(model.str());
      given_["prices[" + std::to_string(index) + "]"] = place(prices);
      read_table(prices_section, "prices." + std::string(model.str()), index, *prices.as_table());
    }
  }

  void read_section(std::string_view name, const toml::node& node) {
    if (name == "prices") {
      if (wanted(prices_section)) read_prices(node);
      return;
    }
    const std::string array = std::string(name) + "[]";
    const auto known = config_sections();
    if (std::find(known.begin(), known.end(), name) != known.end()) {
      if (!wanted(name)) return;
      if (const toml::table* table = node.as_table()) {
        read_table(name, std::string(name), 0, *table);
      } else {
        problem(place(node), std::string(name), "a value", "a section, [" + std::string(name) + "]");
      }
    } else if (std::find(known.begin(), known.end(), array) != known.end()) {
      if (wanted(array)) read_array(array, name, node);
    } else if (wanted(name)) {
      unknown_section(name, node);
    }
  }

  void unknown_section(std::string_view name, const toml::node& node) {
    if (!node.is_table() && !node.is_array_of_tables()) {
      problem(place(node), std::string(name), "an unknown key outside of any section", "a key inside of its section",
              nearest_config_key("", name));
      return;
    }
    std::vector<std::string_view> names = config_sections();
    for (auto& section : names) {
      if (section.ends_with("[]")) section.remove_suffix(2);
      if (section == prices_section) section = "prices";
    }
    std::string all;
    for (const auto section : names) all += (all.empty() ? "" : ", ") + std::string(section);
    problem(place(node), std::string(name), "an unknown section", "one of " + all, nearest_of(names, name));
  }

  void read_array(std::string_view section, std::string_view name, const toml::node& node) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr || !node.is_array_of_tables()) {
      problem(place(node), std::string(name), "a value or a single section",
              "[[" + std::string(name) + "]] (in double brackets) for each " + std::string(name));
      return;
    }
    const bool providers = section == "provider[]";
    for (std::size_t index = 0; index < tables->size(); ++index) {
      const toml::table& table = *tables->get_as<toml::table>(index);
      if (providers) loaded_.config.providers.emplace_back();
      if (!providers) loaded_.config.deployments.emplace_back();
      const std::string label = std::string(name) + "[" + table_label(table["name"].value_or(std::string()), index) + "]";
      given_[std::string(name) + "[" + std::to_string(index) + "]"] = place(table);
      read_table(section, label, index, table);
    }
  }

  void read_table(std::string_view section, const std::string& label, std::size_t index, const toml::table& table) {
    for (const auto& [name, node] : table) {
      const ConfigKey* key = find_config_key(section, name.str());
      const std::string path = label + "." + std::string(name.str());
      if (key != nullptr) {
        assign(*key, index, path, found_in_file(node, place(node)));
      } else if (section == "provider[]" && (name.str() == "api_key" || name.str() == "client_secret")) {
        given_["provider[" + std::to_string(index) + "]." + std::string(name.str())] = place(node);
        const std::string owner = table["name"].value_or(std::string("NAME"));
        const bool api_key = name.str() == "api_key";
        problem(place(node), path, "a secret in the file itself",
                std::string(name.str()) + "_file, or the environment variable " +
                    (api_key ? api_key_variable(owner) : client_secret_variable(owner)) +
                    ": a secret does not belong into this file",
                "provider[]." + std::string(name.str()) + "_file");
      } else {
        problem(place(node), path, "an unknown key", keys_of(section), nearest_config_key(section, name.str()));
      }
    }
  }

  static std::string keys_of(std::string_view section) {
    std::string out = "one of ";
    bool first = true;
    for (const ConfigKey& key : config_keys()) {
      if (key.section != section) continue;
      out += (first ? "" : ", ") + std::string(key.name);
      first = false;
    }
    return out;
  }

  void assign(const ConfigKey& key, std::size_t index, const std::string& path, const FoundValue& found) {
    const ConfigField field = key.field(loaded_.config, index);
    const std::string shown = holds_secret(key) ? "a value (not shown)" : found.shown;
    std::string hint;
    given_[index_path(key, index)] = found.where;
    if (key.type == ValueType::text) {
      if (found.text && !found.text->empty()) {
        *std::get<std::string*>(field) = *found.text;
        return;
      }
    } else if (key.type == ValueType::choice) {
      if (found.text && std::find(key.choices.begin(), key.choices.end(), *found.text) != key.choices.end()) {
        *std::get<std::string*>(field) = *found.text;
        return;
      }
      if (found.text) hint = "; the nearest is " + in_quotes(nearest_of(key.choices, *found.text));
    } else if (key.type == ValueType::boolean) {
      const bool yes = found.truth.value_or(found.text == "true");
      if (found.truth || yes || found.text == "false") {
        *std::get<bool*>(field) = yes;
        return;
      }
    } else if (const auto value = number_in(key, found); value && *value >= key.least && *value <= key.most) {
      store_number(field, *value);
      return;
    }
    problem(found.where, path, shown, expected_value(key) + hint, key.path());
  }

  static std::string index_path(const ConfigKey& key, std::size_t index) {
    if (key.section == prices_section) return "prices[" + std::to_string(index) + "]." + std::string(key.name);
    if (!key.section.ends_with("[]")) return key.path();
    const std::string_view name = key.section.substr(0, key.section.size() - 2);
    return std::string(name) + "[" + std::to_string(index) + "]." + std::string(key.name);
  }

  void read_environment() {
    std::map<std::string, bool> known;  // by variable
    for (const ConfigKey& key : config_keys()) {
      if (key.section == prices_section) {
        for (std::size_t i = 0; i < loaded_.config.prices.size(); ++i) {
          const std::string model = loaded_.config.prices[i].model;
          from_environment(key, i, "prices." + model + "." + std::string(key.name), environment_variable(key, model), known);
        }
        continue;
      }
      if (!key.section.ends_with("[]")) {
        from_environment(key, 0, key.path(), environment_variable(key), known);
        continue;
      }
      const bool providers = key.section == "provider[]";
      const std::size_t tables = providers ? loaded_.config.providers.size() : loaded_.config.deployments.size();
      for (std::size_t i = 0; i < tables; ++i) {
        const std::string name = providers ? loaded_.config.providers[i].name : loaded_.config.deployments[i].name;
        if (name.empty() || key.name == "name") continue;
        const std::string label = (providers ? "provider[" : "deployment[") + name + "]." + std::string(key.name);
        from_environment(key, i, label, environment_variable(key, name), known);
        if (providers) known[api_key_variable(name)] = known[client_secret_variable(name)] = true;
      }
    }
    if (scope_ == ConfigScope::everything) warn_of_unknown_variables(known);
  }

  void from_environment(const ConfigKey& key, std::size_t index, const std::string& path, const std::string& variable,
                        std::map<std::string, bool>& known) {
    known[variable] = true;
    const auto value = sources_.environment.find(variable);
    if (value == sources_.environment.end() || value->second.empty() || !wanted(key.section)) return;
    override_url(key);
    assign(key, index, path, found_elsewhere(value->second, "environment " + variable));
  }

  /// A stronger source's `url` replaces a weaker one's `url_file`, and the other way round.
  void override_url(const ConfigKey& key) {
    const bool from_here = given_.contains("database.url") && given_["database.url"].starts_with("environment");
    if (key.path() == "database.url" && given_.erase("database.url_file") > 0) loaded_.config.database.url_file.clear();
    if (key.path() == "database.url_file" && !from_here && given_.erase("database.url") > 0) loaded_.config.database.url.clear();
  }

  void warn_of_unknown_variables(const std::map<std::string, bool>& known) {
    for (const auto& [variable, value] : sources_.environment) {
      if (known.contains(variable)) continue;
      // Kubernetes sets such variables for a service whose name begins with `batchd-`.
      if (variable.find("_SERVICE_") != std::string::npos || variable.find("_PORT") != std::string::npos) continue;
      for (std::string_view section : config_sections()) {
        if (section.ends_with("[]")) section.remove_suffix(2);
        if (section == prices_section) section = "prices";
        const std::string prefix = environment_variable({.section = section, .name = ""});
        if (!variable.starts_with(prefix)) continue;
        std::vector<std::string_view> names;
        for (const auto& entry : known) names.push_back(entry.first);
        loaded_.warnings.push_back("environment " + variable + " sets no key and is ignored; the nearest one that does is " +
                                   nearest_of(names, variable));
        break;
      }
    }
  }

  void read_flags() {
    for (const auto& [path, value] : sources_.flags) {
      const auto dot = path.find('.');
      const ConfigKey* key = dot == std::string::npos ? nullptr : find_config_key(path.substr(0, dot), path.substr(dot + 1));
      if (key == nullptr || key->section == prices_section) {
        problem("flag", path, "an unknown key", "a key of the configuration", nearest_config_key("", path));
        continue;
      }
      if (path == "database.url") given_.erase("database.url_file"), loaded_.config.database.url_file.clear();
      assign(*key, 0, path, found_elsewhere(value, "flag for " + path));
    }
  }

  const ConfigSources& sources_;
  const ConfigScope scope_;
  LoadedConfig loaded_;
  Provenance given_;
};

}  // namespace

LoadedConfig load_config(const ConfigSources& sources, ConfigScope scope) {
  return Reader(sources, scope).read();
}

}  // namespace batchd
