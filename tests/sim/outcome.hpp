// What becomes of one request. A prompt may ask for its own outcome ("sim:KIND" as body.user, or body.metadata.sim), so
// that an end-to-end test reaches every kind of line that PROTOCOL.md 7 knows.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sim {

enum class Outcome : std::uint8_t {
  answered,
  status_400,
  status_401,
  status_403,
  status_404,
  status_408,
  status_409,
  status_422,
  status_429,
  status_500,
  status_503,
  too_long,
  no_credit,
  expired,
  timeout,
  cancelled,
  missing,
  status_0,
  status_0_null,
  neither,
  error_in_output,
  duplicate,
  both,
  corrupt,
  unknown,
  empty_200,
  empty_body,
  error_200,
  huge,
  filtered,
  bad_utf8,
  bad_utf8_answer,
  blank_lines,
  crlf,
  no_newline,
  same_id,
  no_id,
  surrogate,
  nul,
  deep,
  not_object,
  float_time,
  once_429,
  once_missing,
  once_no_credit,
};

/// Every kind's public name.
std::vector<std::string> outcome_names();

/// The kind's public name, such as "once-429"; nothing when there is no such kind.
std::optional<Outcome> outcome_named(std::string_view kind);
std::string_view name_of(Outcome outcome);

/// The kinds that come true only when a prompt runs for the first time.
bool only_once(Outcome outcome);
/// What a once-kind does when it strikes.
Outcome strike_of(Outcome once);
/// Counted as `completed` rather than `failed` in request_counts.
bool counts_as_completed(Outcome outcome);
/// The HTTP status that a ledger shows, 0 when the request was not answered at all.
int status_of(Outcome outcome);

}  // namespace sim
