// How values are written in the configuration: durations, sizes, counts; and how far two names are apart.
// Pure functions; whole numbers only, and whatever would overflow is refused.
#pragma once

#include "core/types.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// "500ms" "90s" "2m" "24h" "30d"; a number needs its unit.
std::optional<Milliseconds> parse_duration(std::string_view text);
/// "64MiB" "200MB" "2GiB" "512" (bytes).
std::optional<std::int64_t> parse_size(std::string_view text);
/// "1B" "200M" "50K" "1200".
std::optional<std::int64_t> parse_count(std::string_view text);
/// "12.5" "0.075", "-1" too, in units of which `digits` decimal places make a whole one: 75 for "0.075" with 3. Nothing when
/// there are more places than that, or anything else.
std::optional<std::int64_t> parse_decimal(std::string_view text, std::size_t digits);
/// "4" "-1".
std::optional<std::int64_t> parse_integer(std::string_view text);

/// The shortest exact spelling, as the parsers above read it.
std::string format_duration(Milliseconds value);
std::string format_size(std::int64_t bytes);
std::string format_count(std::int64_t count);
std::string format_decimal(std::int64_t value, std::size_t digits);

/// A value as shown in a message: in quotes, printable, cut when it is long.
std::string in_quotes(std::string_view text);
/// What a terminal or a JSON document can show as it is: control characters and what is no UTF-8 as \xNN, cut when very long.
std::string printable(std::string_view text);

/// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace batchd
