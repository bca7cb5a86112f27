// How many tokens a text will be counted as: a conservative estimate, on the high side for every script we know.
// It reads the text once and needs no vocabulary.
#pragma once

#include "core/types.hpp"

#include <string_view>

namespace batchd {

/// Words by pieces of four letters, numbers by three digits, every other printable sign one, characters beyond ASCII one
/// or two; never less than a quarter of the bytes (which is what Azure's immediate check is reported to use, PROTOCOL.md 11).
Tokens estimate_tokens(std::string_view text);

/// What to assume a byte of a body costs before the body is read.
inline constexpr double planned_tokens_per_byte = 0.5;

}  // namespace batchd
