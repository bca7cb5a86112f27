// What commands share: reading the configuration, reaching the database, talking to the operator.
#pragma once

#include "cli/commands.hpp"
#include "db/database.hpp"

#include <boost/json/fwd.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// Reads the configuration as flags, environment and file give it.
LoadedConfig read_config(const CommonOptions& common, ConfigScope scope);

/// The configuration, or a CommandError that lists every problem. Warnings are left to the caller.
LoadedConfig require_config(const CommonOptions& common, ConfigScope scope);

/// Settings for a command's own connection; only the database's part of the configuration is needed.
DatabaseSettings database_settings(const CommonOptions& common);

/// So many bad lines of an input are complained of by name; the others are counted.
inline constexpr int most_complaints = 20;

/// A line of talk.
void say(std::string_view line);

/// Writes to stdout; throws a CommandError when that fails (a full disk, say).
void print(std::string_view text);

bool stdout_is_terminal();
bool stderr_is_terminal();

/// 1234567 as 1,234,567.
std::string grouped(std::int64_t number);

/// The text, or null.
boost::json::value maybe(const std::optional<std::string>& text);

}  // namespace batchd
