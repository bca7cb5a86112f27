#include "config_values.hpp"

#include "core/json_scan.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <vector>

namespace batchd {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};

// Smallest first, so that formatting can try the largest first.
constexpr std::array<Unit, 5> durations{{{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
constexpr std::array<Unit, 9> sizes{{{"", 1},
                                     {"B", 1},
                                     {"KB", 1'000},
                                     {"KiB", 1'024},
                                     {"MB", 1'000'000},
                                     {"MiB", 1'048'576},
                                     {"GB", 1'000'000'000},
                                     {"GiB", 1'073'741'824},
                                     {"TiB", 1'099'511'627'776}}};
constexpr std::array<Unit, 4> counts{{{"", 1}, {"K", 1'000}, {"M", 1'000'000}, {"B", 1'000'000'000}}};

std::optional<std::int64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || number < 0) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const Unit& known : units) {
    if (unit != known.name) continue;
    if (number > std::numeric_limits<std::int64_t>::max() / known.factor) return std::nullopt;
    return number * known.factor;
  }
  return std::nullopt;
}

std::string format_with_unit(std::int64_t value, std::span<const Unit> units, std::string_view for_zero) {
  if (value == 0) return "0" + std::string(for_zero);
  for (auto unit = units.rbegin(); unit != units.rend(); ++unit) {
    if (value % unit->factor == 0) return std::to_string(value / unit->factor) + std::string(unit->name);
  }
  return std::to_string(value);
}

}  // namespace

std::optional<Milliseconds> parse_duration(std::string_view text) {
  const auto value = parse_with_unit(text, durations);
  if (!value) return std::nullopt;
  return Milliseconds(*value);
}

std::optional<std::int64_t> parse_size(std::string_view text) {
  return parse_with_unit(text, sizes);
}

std::optional<std::int64_t> parse_count(std::string_view text) {
  return parse_with_unit(text, counts);
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::int64_t> parse_decimal(std::string_view text, std::size_t digits) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::string_view whole = text.substr(0, text.find('.'));
  std::string part(text.size() > whole.size() ? text.substr(whole.size() + 1) : std::string_view{});
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const bool dotted = text.size() > whole.size();
  if (whole.empty() || (dotted && part.empty()) || !std::all_of(whole.begin(), whole.end(), is_digit) ||
      !std::all_of(part.begin(), part.end(), is_digit)) {
    return std::nullopt;
  }
  while (part.ends_with('0')) part.pop_back();
  if (part.size() > digits) return std::nullopt;
  part.resize(digits, '0');
  const auto value = parse_integer(std::string(whole) + part);
  if (!value) return std::nullopt;
  return negative ? -*value : *value;
}

std::string format_decimal(std::int64_t value, std::size_t digits) {
  std::string text = std::to_string(value);
  const std::size_t sign = text.starts_with('-') ? 1 : 0;
  if (text.size() - sign <= digits) text.insert(sign, digits + 1 - (text.size() - sign), '0');
  text.insert(text.size() - digits, ".");
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string format_duration(Milliseconds value) {
  return format_with_unit(value.count(), durations, "s");
}

std::string format_size(std::int64_t bytes) {
  return format_with_unit(bytes, sizes, "");
}

std::string format_count(std::int64_t count) {
  return format_with_unit(count, counts, "");
}

std::string in_quotes(std::string_view text) {
  std::string shown(text);
  truncate_utf8(shown, 60);
  return '"' + printable(shown) + (shown.size() < text.size() ? "...\"" : "\"");
}

std::string printable(std::string_view text) {
  constexpr std::size_t longest = 1000;
  constexpr std::string_view digits = "0123456789abcdef";
  const bool readable = valid_utf8(text);
  std::string out;
  for (const char c : text.substr(0, longest)) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f || (u >= 0x80 && !readable)) {
      out.append("\\x") += digits[u >> 4];
      out += digits[u & 15];
    } else {
      out += c;
    }
  }
  while (text.size() > longest && !valid_utf8(out)) out.pop_back();
  return text.size() > longest ? out + "..." : out;
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  const std::size_t width = b.size() + 1;
  std::vector<std::size_t> cost((a.size() + 1) * width);
  const auto at = [&](std::size_t i, std::size_t j) -> std::size_t& { return cost[i * width + j]; };
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        at(i, j) = i + j;
        continue;
      }
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  }
  return at(a.size(), b.size());
}

}  // namespace batchd
