// From one line of an output or error file to what it means for its request (PROTOCOL.md 7 and 13).
#pragma once

#include "core/outcome.hpp"
#include "core/remote_names.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace batchd {

enum class Verdict {
  success,     ///< a 2xx with an answer
  retry,       ///< used an attempt, may go round again
  free_retry,  ///< goes round again at no cost: it was cancelled before it ran, or the account could not pay for it
  permanent,   ///< will fail the same way every time
};

struct LineReading {
  CustomId id;
  Verdict verdict = Verdict::retry;
  /// The line speaks of the account's credit or standing, whatever its status: it says nothing about the request.
  bool account = false;
  /// Complete for `success` and `permanent`; for a retry, what it becomes when the attempts are used up.
  Settlement settlement;
};

enum class LineFault {
  corrupt,  ///< not one JSON object in valid UTF-8 with a string custom_id
  foreign,  ///< a custom_id that is not of our making
};

struct LineResult {
  std::optional<LineReading> reading;
  LineFault fault = LineFault::corrupt;  ///< meaningful when there is no reading
};

/// Reads one line (without its newline). Everything is copied out of `line`.
LineResult read_output_line(std::string_view line);

/// `{"code":…,"message":…}`.
std::string make_error(std::string_view code, std::string_view message);

}  // namespace batchd
