// Dirt in result files: what stands beside an answer, or is odd about its line, though the request was answered and billed
// (PROTOCOL.md 7, 18, 19.14). Works on the text of a clean answer, so that it knows nothing of how answers are made.
#pragma once

#include "outcome.hpp"

#include <cstddef>
#include <string>

namespace sim {

/// `out` from `start` on is a clean line of an output file; it becomes what `outcome` wants of it.
void soil(std::string& out, std::size_t start, Outcome outcome);

}  // namespace sim
