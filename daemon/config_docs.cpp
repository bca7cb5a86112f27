// The configuration as text for people: what a key accepts, the example file, the README's table.
#include "config_table.hpp"
#include "config_values.hpp"

#include <cctype>

namespace batchd {
namespace {

/// A value as TOML writes it.
std::string toml_value(const ConfigKey& key, std::string_view value) {
  const bool bare = key.type == ValueType::integer || key.type == ValueType::boolean || key.type == ValueType::price ||
                    key.type == ValueType::money;
  if (bare) return std::string(value);
  return '"' + std::string(value) + '"';
}

std::string limit_text(const ConfigKey& key, std::int64_t value) {
  switch (key.type) {
    case ValueType::duration:
      return format_duration(Milliseconds(value));
    case ValueType::size:
      return format_size(value);
    case ValueType::count:
      return format_count(value);
    case ValueType::price:
    case ValueType::money:
      return format_decimal(value, decimals_of(key.type));
    default:
      return std::to_string(value);
  }
}

std::string bounds(const ConfigKey& key) {
  std::string out;
  if (key.least > 0) out += ", at least " + limit_text(key, key.least);
  if (key.most < INT64_MAX) out += ", at most " + limit_text(key, key.most);
  return out;
}

std::string upper_snake(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    out += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return out;
}

/// "[poll]" or "[[provider]]".
std::string header(std::string_view section) {
  if (section.ends_with("[]")) return "[[" + std::string(section.substr(0, section.size() - 2)) + "]]";
  // Nothing in it must be given, and without its keys it would be incomplete.
  if (section == prices_section) return "#[prices.\"gpt-4o-mini\"]";
  return "[" + std::string(section) + "]";
}

}  // namespace

std::size_t decimals_of(ValueType type) {
  return type == ValueType::price ? 6 : 9;
}

std::string expected_value(const ConfigKey& key) {
  switch (key.type) {
    case ValueType::text:
      return "a text in quotes";
    case ValueType::duration:
      return "a duration in quotes such as \"500ms\", \"90s\", \"2m\", \"24h\" or \"30d\"" + bounds(key);
    case ValueType::size:
      return "a size such as \"64MiB\" or \"200MB\"" + bounds(key);
    case ValueType::count:
      return "a count such as \"1B\", \"200M\", \"50K\" or 1200" + bounds(key);
    case ValueType::integer:
      return "a whole number" + bounds(key);
    case ValueType::boolean:
      return "true or false";
    case ValueType::price:
      return "US dollars per million tokens, such as 0.075, not negative and with at most 6 decimal places" + bounds(key);
    case ValueType::money:
      return "US dollars such as 100 or 12.50, not negative" + bounds(key);
    case ValueType::choice:
      break;
  }
  std::string out = "one of ";
  for (std::size_t i = 0; i < key.choices.size(); ++i) {
    if (i > 0) out += i + 1 == key.choices.size() ? " or " : ", ";
    out += '"' + std::string(key.choices[i]) + '"';
  }
  return out;
}

std::string environment_variable(const ConfigKey& key, std::string_view table_name) {
  std::string_view section = key.section;
  if (section.ends_with("[]")) section.remove_suffix(2);
  if (section == prices_section) section = "prices";
  std::string out = "BATCHD_" + upper_snake(section);
  if (!table_name.empty()) out += "_" + upper_snake(table_name);
  return out + "_" + upper_snake(key.name);
}

std::string api_key_variable(std::string_view provider) {
  return "BATCHD_PROVIDER_" + upper_snake(provider) + "_API_KEY";
}

std::string client_secret_variable(std::string_view provider) {
  return "BATCHD_PROVIDER_" + upper_snake(provider) + "_CLIENT_SECRET";
}

std::string example_config() {
  std::string out =
      "# Every key of batchd's configuration. A line that begins with `#key` shows a default or an example: take the # away\n"
      "# to change it. What has no # must be given. `batchd check-config` reads the file and says what is wrong with it.\n"
      "# Each key can also come from the environment, as BATCHD_SECTION_KEY; it is then stronger than the file.\n";
  std::string_view section;
  for (const ConfigKey& key : config_keys()) {
    if (key.section != section) {
      section = key.section;
      out += "\n" + header(section) + "\n";
    }
    const bool given = key.required || key.path() == "database.url" || key.path() == "provider[].endpoint" ||
                       key.path() == "provider[].api_version" || key.path() == "provider[].api_key_file";
    out += "# " + std::string(key.help) + "\n";
    out += (given ? "" : "#") + std::string(key.name) + " = " +
           toml_value(key, key.fallback.empty() ? key.example : key.fallback) + "\n";
  }
  return out;
}

std::string config_markdown() {
  std::string out = "| key | default | meaning |\n|---|---|---|\n";
  for (const ConfigKey& key : config_keys()) {
    const std::string fallback = !key.fallback.empty() ? "`" + toml_value(key, key.fallback) + "`"
                                 : key.required        ? "required"
                                                       : "";
    out += "| `" + key.path() + "` | " + fallback + " | " + std::string(key.help);
    if (key.type == ValueType::choice) {
      out += " One of";
      for (const auto choice : key.choices) out += (choice == key.choices.front() ? " `" : ", `") + std::string(choice) + "`";
      out += ".";
    } else if (const std::string limits = bounds(key); !limits.empty()) {
      out += " A" + limits.substr(3) + ".";
    }
    out += " |\n";
  }
  return out;
}

}  // namespace batchd
