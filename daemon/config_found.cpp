#include "config_found.hpp"

#include "config_values.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace batchd {
std::string written(double number) {
  std::array<char, 400> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed).ptr;
  return {text.data(), end};
}

FoundValue found_elsewhere(const std::string& text, std::string where) {
  return {.text = text, .integer = {}, .shown = in_quotes(text), .where = std::move(where), .from_file = false};
}

std::optional<std::int64_t> number_in(const ConfigKey& key, const FoundValue& found) {
  switch (key.type) {
    case ValueType::duration:
      if (!found.text) return std::nullopt;
      if (const auto duration = parse_duration(*found.text)) return duration->count();
      return std::nullopt;
    case ValueType::size:
      return found.text ? parse_size(*found.text) : found.integer;
    case ValueType::count:
      return found.text ? parse_count(*found.text) : found.integer;
    case ValueType::integer:
      if (found.text && !found.from_file) return parse_integer(*found.text);
      return found.integer;
    case ValueType::price:
    case ValueType::money: {
      const std::optional<std::string>& text = found.text ? found.text : found.decimal;
      return text ? parse_decimal(*text, decimals_of(key.type)) : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

void store_number(ConfigField field, std::int64_t value) {
  if (auto* duration = std::get_if<Milliseconds*>(&field)) **duration = Milliseconds(value);
  if (auto* duration = std::get_if<std::optional<Milliseconds>*>(&field)) **duration = Milliseconds(value);
  if (auto* large = std::get_if<std::int64_t*>(&field)) **large = value;
  if (auto* maybe = std::get_if<std::optional<std::int64_t>*>(&field)) **maybe = value;
  if (auto* small = std::get_if<int*>(&field)) **small = static_cast<int>(value);
}

}  // namespace batchd
