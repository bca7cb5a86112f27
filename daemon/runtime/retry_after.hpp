// How long a server asked us to wait, read from its headers (PROTOCOL.md 13). Pure: the time is an argument.
#pragma once

#include "core/types.hpp"
#include "runtime/http.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace batchd {

/// Longer wishes than this are cut: days have been asked for where minutes were meant.
constexpr Milliseconds retry_after_cap = std::chrono::hours(24);

/// `retry-after-ms` first, then `retry-after` in seconds (whole or decimal) or as an HTTP date. Without either, the longest
/// `x-ratelimit-reset-requests` or `-tokens` of which `x-ratelimit-remaining-…` says that nothing is left: seconds at Azure,
/// `6m0s` at OpenAI. Nothing when none can be read; never negative.
std::optional<Milliseconds> parse_retry_after(const HttpHeaders& headers, std::chrono::system_clock::time_point now);

/// `Sun, 06 Nov 1994 08:49:37 GMT`, the one form of HTTP dates that is still written.
std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text);

}  // namespace batchd
