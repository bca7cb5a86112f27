#include "runtime/retry_after.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace batchd {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number value{};
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Milliseconds> capped(double milliseconds) {
  if (std::isnan(milliseconds)) return std::nullopt;
  const double most = static_cast<double>(retry_after_cap.count());
  return Milliseconds(static_cast<std::int64_t>(std::ceil(std::clamp(milliseconds, 0.0, most))));
}

/// `6m0s`, `1.5s`, `250ms`, as Go writes them, in milliseconds.
std::optional<double> parse_go_duration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, double>, 4> units{
      {{"ms", 1}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}}};
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto value = parse_number<double>(text.substr(0, digits));
    text.remove_prefix(digits);
    const auto unit = std::find_if(units.begin(), units.end(), [&](const auto& u) { return text.starts_with(u.first); });
    if (!value || unit == units.end()) return std::nullopt;
    total += *value * unit->second;
    text.remove_prefix(unit->first.size());
  }
  return total;
}

/// When what is used up comes back; values of 0 and -1 are seen and say nothing.
std::optional<Milliseconds> parse_reset(const HttpHeaders& headers, const std::string& kind) {
  if (find_header(headers, "x-ratelimit-remaining-" + kind) != "0") return std::nullopt;
  const auto text = find_header(headers, "x-ratelimit-reset-" + kind);
  if (!text) return std::nullopt;
  const auto seconds = parse_number<double>(trimmed(*text));
  const auto reset = seconds ? *seconds * 1000 : parse_go_duration(trimmed(*text)).value_or(0);
  return reset > 0 ? capped(reset) : std::nullopt;
}

}  // namespace

std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text) {
  static constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static constexpr std::string_view shape = "Www, DD Mon YYYY HH:MM:SS GMT";
  if (text.size() != shape.size() || !text.ends_with(" GMT")) return std::nullopt;
  for (const std::size_t at : {3U, 4U, 7U, 11U, 16U, 19U, 22U}) {
    if (text[at] != shape[at]) return std::nullopt;
  }
  const auto month = std::find(months.begin(), months.end(), text.substr(8, 3));
  const auto day = parse_number<unsigned>(text.substr(5, 2));
  const auto year = parse_number<int>(text.substr(12, 4));
  const auto hour = parse_number<int>(text.substr(17, 2));
  const auto minute = parse_number<int>(text.substr(20, 2));
  const auto second = parse_number<int>(text.substr(23, 2));
  if (month == months.end() || !day || !year || !hour || !minute || !second) return std::nullopt;
  const auto within = [](int value, int most) { return value >= 0 && value <= most; };
  if (*year < 0 || !within(*hour, 23) || !within(*minute, 59) || !within(*second, 60)) return std::nullopt;
  const std::chrono::year_month_day date(
      std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(month - months.begin() + 1)), std::chrono::day(*day));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
}

std::optional<Milliseconds> parse_retry_after(const HttpHeaders& headers, std::chrono::system_clock::time_point now) {
  if (const auto text = find_header(headers, "retry-after-ms")) {
    if (const auto value = parse_number<double>(trimmed(*text))) return capped(*value);
  }
  const auto text = find_header(headers, "retry-after");
  if (!text) return std::max(parse_reset(headers, "requests"), parse_reset(headers, "tokens"));
  if (const auto seconds = parse_number<double>(trimmed(*text))) return capped(*seconds * 1000);
  if (const auto date = parse_http_date(trimmed(*text))) {
    // The answer's own Date is by the same clock as the date in it; ours may be hours off, or just have been set.
    const auto dated = find_header(headers, "date");
    const auto sent = dated ? parse_http_date(trimmed(*dated)) : std::nullopt;
    const auto from = sent ? std::chrono::sys_time<Milliseconds>(*sent) : std::chrono::floor<Milliseconds>(now);
    return capped(static_cast<double>((*date - from).count()));
  }
  return std::nullopt;
}

}  // namespace batchd
