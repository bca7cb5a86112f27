// Every key of the configuration, once: where it stands, what it may be, what it means when absent, and a sentence.
// Reading, the environment, the example file and the README's table all come from here.
#pragma once

#include "config.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace batchd {

enum class ValueType { text, duration, size, count, integer, choice, boolean, price, money };

/// Where a key's value goes.
using ConfigField = std::variant<std::string*, Milliseconds*, std::optional<Milliseconds>*, std::int64_t*,
                                 std::optional<std::int64_t>*, int*, bool*>;

struct ConfigKey {
  std::string_view section;  ///< "poll"; "provider[]" for each [[provider]]; "prices.MODEL" for each [prices."…"]
  std::string_view name;
  ValueType type = ValueType::text;
  std::string_view fallback{};  ///< the default as written in the file, without quotes; "" when there is none
  std::string_view example{};   ///< shown in the example file where there is no default
  bool required = false;
  std::int64_t least = 0;  ///< of numbers: milliseconds, bytes, picodollars, nanodollars or a plain count
  std::int64_t most = INT64_MAX;
  std::vector<std::string_view> choices{};
  std::string_view help{};
  /// The value's place; `index` counts the tables of an array section.
  ConfigField (*field)(Config& config, std::size_t index) = nullptr;

  std::string path() const { return std::string(section) + "." + std::string(name); }
};

std::span<const ConfigKey> config_keys();

/// The section whose tables are named by models.
inline constexpr std::string_view prices_section = "prices.MODEL";

/// The sections in the table's order, "[]" and all.
std::vector<std::string_view> config_sections();
const ConfigKey* find_config_key(std::string_view section, std::string_view name);
/// The valid key that was most likely meant: alike as a whole, or of the same name in another section.
std::string nearest_config_key(std::string_view section, std::string_view name);
/// The name nearest to `wanted`, "" when there are none.
std::string nearest_of(const std::vector<std::string_view>& names, std::string_view wanted);

/// How many decimal places a price or an amount may have, and its unit is one of them: 6 and 9.
std::size_t decimals_of(ValueType type);

/// What a key accepts, as the end of "expected …".
std::string expected_value(const ConfigKey& key);

/// `BATCHD_POLL_INTERVAL`; with a table's name for array sections: `BATCHD_PROVIDER_EASTUS_ENDPOINT`.
std::string environment_variable(const ConfigKey& key, std::string_view table_name = {});

/// The text of deploy/batchd.example.toml.
std::string example_config();

/// The README's table of keys, in Markdown.
std::string config_markdown();

}  // namespace batchd
