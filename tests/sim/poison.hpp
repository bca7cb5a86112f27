// Poisoned lines: requests that the provider refuses to run, and with them the whole file, although nothing is wrong with
// them. A prompt asks for it by its kind, so that a client's search for the culprit can be watched (PROTOCOL.md 10).
#pragma once

#include "request_line.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sim {

/// Every kind's public name.
std::vector<std::string> poison_names();

/// The kind's public name, such as "poison_silent"; nothing when there is no such kind.
std::optional<Poison> poison_named(std::string_view kind);

/// One poisoned line of a file.
struct PoisonedLine {
  Poison poison;
  std::int64_t line;  ///< counted from 1
};

/// True when one of the lines is poisoned in that way.
bool any(const std::vector<PoisonedLine>& lines, Poison poison);

/// What a batch on a file with these lines fails of; empty when nothing in them shows at its validation.
std::vector<InputError> errors_of(const std::vector<PoisonedLine>& lines);

}  // namespace sim
