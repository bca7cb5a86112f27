#include "provider/token.hpp"

#include "core/json_scan.hpp"
#include "provider/printable.hpp"
#include "runtime/retry_after.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <boost/throw_exception.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <stdexcept>

namespace batchd {
namespace {

constexpr Milliseconds unstated_life{300'000};
/// Far above the 24 h that services give; keeps the arithmetic of times far from its edges.
constexpr std::int64_t longest_life_seconds = 30 * 24 * 3600;

/// No matching federated credential (yet), in its four spellings, and an assertion that is not valid at this moment: the
/// first pass when a new credential has spread, the last with the next rotation of its file (14.4).
constexpr std::array<std::int64_t, 5> passing_codes{70021, 700211, 700212, 700213, 700024};

boost::json::object object_of(std::string_view body) {
  boost::system::error_code error;
  boost::json::value value = boost::json::parse(body, error);
  return error || !value.is_object() ? boost::json::object() : std::move(value.as_object());
}

/// A whole number, as a number or as a text (14.5).
std::optional<std::int64_t> whole(const boost::json::value* value) {
  if (!value) return std::nullopt;
  if (value->is_number()) {
    boost::system::error_code error;
    const auto number = value->to_number<std::int64_t>(error);
    if (!error) return number;
    return value->is_double() ? std::optional(static_cast<std::int64_t>(std::clamp(value->as_double(), -1e15, 1e15)))
                              : std::nullopt;
  }
  if (!value->is_string()) return std::nullopt;
  const std::string_view text = value->as_string();
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string text_of(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value && value->is_string() ? std::string(value->as_string()) : std::string();
}

/// The first line of a description, without the identifiers that follow it.
std::string_view first_line(std::string_view description) {
  description = description.substr(0, description.find_first_of("\r\n"));
  return description.substr(0, description.find(" Trace ID:"));
}

bool passes(TokenService service, int status, std::string_view error, const std::optional<std::int64_t>& number) {
  if (status == 408 || status == 429 || status >= 500 || error == "temporarily_unavailable") return true;
  if (service == TokenService::machine) return status == 404 || status == 410;
  return number && std::find(passing_codes.begin(), passing_codes.end(), *number) != passing_codes.end();
}

}  // namespace

void throw_exception_from_error(const TokenFailure& failure, const boost::source_location& where) {
  boost::throw_exception(std::runtime_error(failure.message), where);
}

std::optional<Token> parse_token(std::string_view body, std::chrono::system_clock::time_point now) {
  const boost::json::object answer = object_of(body);
  Token token;
  token.text = text_of(answer, "access_token");
  const auto unusable = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7F; };
  if (token.text.empty() || std::any_of(token.text.begin(), token.text.end(), unusable)) return std::nullopt;
  token.life = unstated_life;
  std::optional<std::int64_t> seconds = whole(answer.if_contains("expires_in"));
  if (!seconds) {
    const auto today = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    const auto until = whole(answer.if_contains("expires_on"));
    if (until) seconds = std::clamp<std::int64_t>(*until, today, today + longest_life_seconds) - today;
  }
  if (seconds) token.life = std::chrono::seconds(std::clamp<std::int64_t>(*seconds, 0, longest_life_seconds));
  return token;
}

TokenFailure token_failure(TokenService service, int status, const HttpHeaders& headers, std::string_view body,
                           std::string_view secret, std::chrono::system_clock::time_point now) {
  const boost::json::object answer = object_of(body);
  const std::string error = text_of(answer, "error");
  std::optional<std::int64_t> number;
  if (const auto* codes = answer.if_contains("error_codes"); codes && codes->is_array() && !codes->get_array().empty()) {
    number = whole(&codes->get_array().front());
  }
  TokenFailure failure;
  failure.status = status;
  failure.lasting = status / 100 != 2 && !passes(service, status, error, number);
  failure.code = number ? "AADSTS" + std::to_string(*number) : printable_message(error, secret);
  failure.message = "HTTP " + std::to_string(status);
  if (status / 100 == 2) failure.message += " without a usable token";
  std::string description(first_line(text_of(answer, "error_description")));
  if (description.find(failure.code) == std::string::npos && number) description = failure.code + ' ' + description;
  for (const std::string& part : {error, description}) {
    if (!part.empty()) failure.message += ", " + part;
  }
  failure.message = printable_message(failure.message, secret);
  failure.retry_after = parse_retry_after(headers, now);
  return failure;
}

}  // namespace batchd
