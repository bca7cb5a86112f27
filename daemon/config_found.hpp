// A value of the configuration as it was found, before it is known which key it is for.
#pragma once

#include "config_table.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace batchd {

struct FoundValue {
  std::optional<std::string> text;
  std::optional<std::int64_t> integer;
  std::optional<bool> truth{};
  std::optional<std::string> decimal{};  ///< a number, as it would be written without an exponent
  std::string shown;                     ///< for the operator
  std::string where;
  bool from_file = true;  ///< elsewhere everything is text, numbers too
};

/// The shortest decimal that reads as this number.
std::string written(double number);
FoundValue found_elsewhere(const std::string& text, std::string where);

/// The number that `found` stands for under this key's type; nothing when it is none.
std::optional<std::int64_t> number_in(const ConfigKey& key, const FoundValue& found);
void store_number(ConfigField field, std::int64_t value);

}  // namespace batchd
