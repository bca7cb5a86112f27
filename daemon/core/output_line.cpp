#include "core/output_line.hpp"

#include "core/json_scan.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace batchd {
namespace {

/// The members of a line that matter, as raw text; "" when absent, null counts as absent.
struct RawLine {
  std::string_view custom_id, response, error;
};

struct RawResponse {
  std::string_view status_code, request_id, body;
};

std::string_view present(std::string_view raw) {
  return raw == "null" ? std::string_view{} : raw;
}

bool read_members(std::string_view line, RawLine& raw) {
  JsonObjectReader reader(line);
  JsonMember member;
  while (reader.next(member)) {
    if (json_key_is(member.key, "custom_id")) raw.custom_id = member.value;
    if (json_key_is(member.key, "response")) raw.response = present(member.value);
    if (json_key_is(member.key, "error")) raw.error = present(member.value);
  }
  return reader.ok();
}

RawResponse read_response(std::string_view response) {
  RawResponse raw;
  JsonObjectReader reader(response);
  JsonMember member;
  while (reader.next(member)) {
    if (json_key_is(member.key, "status_code")) raw.status_code = member.value;
    if (json_key_is(member.key, "request_id")) raw.request_id = present(member.value);
    if (json_key_is(member.key, "body")) raw.body = present(member.value);
  }
  return raw;
}

// A provider's request id is for people, and no more of it is kept.
constexpr std::size_t longest_request_id = 200;
// No request has that many; sums of larger ones would leave 64 bits, and with them nothing could be counted any more.
constexpr long long most_tokens = 1'000'000'000;

/// A whole number in any spelling, `200`, `200.0`, `2e2` or `"200"`; nothing when it is negative or above `most`.
std::optional<long long> count_of(std::string_view raw, long long most) {
  const std::string written = decode_json_string(raw);
  if (is_json_string(raw)) raw = written;
  double value = 0;
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (error != std::errc{} || raw.empty() || end != raw.data() + raw.size()) return std::nullopt;
  if (!(value >= 0) || value > static_cast<double>(most) || value != std::floor(value)) return std::nullopt;
  return static_cast<long long>(value);
}

int read_status(std::string_view raw) {
  return static_cast<int>(count_of(raw, 999).value_or(0));
}

/// A text that PostgreSQL can store and a terminal can show, on one line.
std::string shown_text(std::string text, std::size_t longest) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; }, ' ');
  truncate_utf8(text, longest);
  return text;
}

/// Of the input, as chat completions and responses tell it in an object beside the sums.
Tokens read_cached(std::string_view details) {
  const auto cached = find_member(details, "cached_tokens");
  return cached ? count_of(*cached, most_tokens).value_or(0) : 0;
}

std::optional<Usage> read_usage(std::string_view body) {
  const auto usage = find_member(body, "usage");
  if (!usage || !is_json_object(*usage)) return std::nullopt;
  Usage read;
  bool any = false;
  JsonObjectReader reader(*usage);
  JsonMember member;
  while (reader.next(member)) {
    if (json_key_is(member.key, "prompt_tokens_details") || json_key_is(member.key, "input_tokens_details")) {
      read.cached = read_cached(member.value);
      continue;
    }
    const auto number = count_of(member.value, most_tokens);
    if (!number) continue;
    // Chat completions and embeddings say prompt/completion, responses say input/output.
    if (json_key_is(member.key, "prompt_tokens") || json_key_is(member.key, "input_tokens")) {
      read.input = *number;
      any = true;
    } else if (json_key_is(member.key, "completion_tokens") || json_key_is(member.key, "output_tokens")) {
      read.output = *number;
      any = true;
    }
  }
  read.cached = std::min(read.cached, read.input);
  return any ? std::optional(read) : std::nullopt;
}

bool is_empty_object(std::string_view body) {
  JsonObjectReader reader(body);
  JsonMember member;
  return !reader.next(member);
}

/// A code or message as text, whatever it was written as (numbers occur, PROTOCOL.md 17.17). PostgreSQL has no U+0000.
std::string text_of(std::optional<std::string_view> raw) {
  if (!raw || *raw == "null") return {};
  std::string text = is_json_string(*raw) ? decode_json_string(*raw) : storable_json(*raw);
  std::replace(text.begin(), text.end(), '\0', ' ');
  return text;
}

/// The provider's error object with `code` and `message` guaranteed, its other members kept, and every member such that
/// `->>` can read it: one escape that cannot become text would make the whole object unreadable to PostgreSQL.
std::string normalise_error(std::string_view error, std::string_view fallback_code, std::string_view fallback_message) {
  std::string code(fallback_code), message(fallback_message), rest;
  if (is_json_string(error)) message = text_of(error);
  JsonObjectReader reader(error);
  JsonMember member;
  while (reader.next(member)) {
    const std::string text = text_of(member.value);
    if (json_key_is(member.key, "code")) {
      if (!text.empty()) code = text;
    } else if (json_key_is(member.key, "message")) {
      if (!text.empty()) message = text;
    } else if (member.value != "null") {
      rest += ",\"" + storable_json(member.key) + "\":" + storable_json(member.value);
    }
  }
  return "{\"code\":" + json_quote(code) + ",\"message\":" + json_quote(message) + rest + '}';
}

/// Statuses that say nothing about the request itself (PROTOCOL.md 13); 0 was seen where a connection broke inside.
bool is_transient(int status) {
  return status < 400 || status == 408 || status == 409 || status == 429 || status >= 500;
}

bool speaks_of_account(std::string_view error) {
  if (!is_json_object(error)) return false;
  for (const char* name : {"code", "type"}) {
    const std::string text = text_of(find_member(error, name));
    for (const char* account :
         {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated"}) {
      if (text == account) return true;
    }
  }
  return false;
}

void read_http_answer(const RawResponse& response, LineReading& reading) {
  Settlement& settled = reading.settlement;
  const int status = read_status(response.status_code);
  settled.status_code = status;
  settled.provider_request_id = shown_text(decode_json_string(response.request_id), longest_request_id);
  const bool has_body = is_json_object(response.body) && !is_empty_object(response.body);
  if (has_body) {
    settled.response = response.body;
    settled.usage = read_usage(response.body);
  }
  if (status >= 200 && status < 300) {
    if (has_body) {
      settled.outcome = Outcome::succeeded;
      reading.verdict = Verdict::success;
    } else {
      settled.error = make_error("empty_response", "the provider reported success without an answer");
      reading.verdict = Verdict::retry;
    }
    return;
  }
  const auto error = has_body ? find_member(response.body, "error") : std::nullopt;
  const std::string status_text = std::to_string(status);
  settled.error =
      normalise_error(error.value_or("{}"), "http_" + status_text, "the provider answered with status " + status_text);
  reading.account = speaks_of_account(error.value_or("{}"));
  const Verdict by_status = is_transient(status) ? Verdict::retry : Verdict::permanent;
  reading.verdict = reading.account ? Verdict::free_retry : by_status;
}

void read_other_failure(std::string_view error, LineReading& reading) {
  const std::string code = is_json_object(error) ? text_of(find_member(error, "code")) : "";
  reading.settlement.error =
      normalise_error(error.empty() ? "{}" : error, "no_answer", "the line has neither a response nor an error");
  reading.account = speaks_of_account(error);
  reading.verdict = reading.account || code == "batch_cancelled" ? Verdict::free_retry : Verdict::retry;
  if (code == "batch_expired") reading.settlement.outcome = Outcome::expired;
}

}  // namespace

LineResult read_output_line(std::string_view line) {
  // A file may begin with a byte order mark, and one that was joined from several has them inside.
  if (line.starts_with("\xef\xbb\xbf")) line.remove_prefix(3);
  RawLine raw;
  if (!valid_utf8(line) || !read_members(line, raw) || !is_json_string(raw.custom_id)) return {std::nullopt, LineFault::corrupt};
  const auto id = parse_custom_id(decode_json_string(raw.custom_id));
  if (!id) return {std::nullopt, LineFault::foreign};
  LineReading reading;
  reading.id = *id;
  reading.settlement.request = id->request;
  if (is_json_object(raw.response)) {
    read_http_answer(read_response(raw.response), reading);
  } else {
    read_other_failure(raw.error, reading);
  }
  return {std::move(reading), LineFault::corrupt};
}

std::string make_error(std::string_view code, std::string_view message) {
  return "{\"code\":" + json_quote(code) + ",\"message\":" + json_quote(message) + '}';
}

}  // namespace batchd
