// The three ways in which times come: what is read as a date is that date and no other (written out again it is the same text),
// what is read as a wait lies between nothing and a day, and a number is read as that number.
#include "harness.hpp"
#include "provider/wire.hpp"
#include "runtime/retry_after.hpp"

#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace batchd::fuzz {
namespace {

std::string written(std::int64_t seconds, const char* format) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char out[64];
  holds(gmtime_r(&time, &parts) != nullptr, "a time that was read can be written");
  std::string text(out, std::strftime(out, sizeof out, format, &parts));
  std::snprintf(out, sizeof out, "%04d", parts.tm_year + 1900);  // strftime has no four digits for the first thousand years
  return text.replace(text.find('Y'), 1, out);
}

/// True when the second is 60: a leap second, which is read as the next minute's first.
bool leaps(std::string_view text, std::size_t at) {
  return text.substr(at, 2) == "60";
}

void check_http_date(std::string_view text) {
  const auto date = parse_http_date(text);
  if (!date || leaps(text, 23)) return;
  // The day of the week is decoration, and is not looked at.
  holds(written(date->time_since_epoch().count(), "%d %b Y %H:%M:%S GMT") == text.substr(5), "an HTTP date is what it says");
}

/// Seconds east of Greenwich at the end of an ISO time.
std::int64_t offset_of(std::string_view text) {
  const auto sign = text.find_last_of("+-");
  if (sign == std::string_view::npos || sign < 19) return 0;
  const bool colon = text.find(':', sign) != std::string_view::npos;
  const std::int64_t hours = std::atoi(std::string(text.substr(sign + 1, 2)).c_str());
  const std::int64_t minutes = std::atoi(std::string(text.substr(sign + (colon ? 4 : 3), 2)).c_str());
  return (text[sign] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

void check_unix_time(std::string_view text) {
  const auto time = parse_unix_time(text);
  if (!time) return;
  const std::string copy(text);
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  if (end == copy.c_str() + copy.size() && !copy.empty()) {
    return holds(*time == static_cast<std::int64_t>(number), "a number is that number");
  }
  if (leaps(text, 17) || text.substr(11, 2) == "24") return;
  std::string first(text.substr(0, 19));
  first[10] = 'T';  // or t, or a blank
  holds(written(*time + offset_of(text), "Y-%m-%dT%H:%M:%S") == first, "an ISO time is what it says");
}

}  // namespace

void check(std::string_view input) {
  check_http_date(input);
  check_unix_time(input);
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1'790'000'000)};
  const auto line = input.find('\n');
  HttpHeaders headers{{"retry-after", std::string(input.substr(0, line))}};
  if (line != std::string_view::npos) headers.emplace_back("Date", std::string(input.substr(line + 1)));
  for (const char* name : {"retry-after", "Retry-After-Ms"}) {
    headers.front().first = name;
    const auto wait = parse_retry_after(headers, now);
    holds(!wait || (wait->count() >= 0 && *wait <= retry_after_cap), "a wait lies between nothing and a day");
  }
}

}  // namespace batchd::fuzz
