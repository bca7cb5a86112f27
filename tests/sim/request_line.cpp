#include "request_line.hpp"

#include "json_scanner.hpp"
#include "poison.hpp"

#include <algorithm>
#include <cstring>

namespace sim {
namespace {

enum Seen : unsigned { seen_custom_id = 1, seen_method = 2, seen_url = 4, seen_body = 8, seen_model = 16 };

bool is_id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == ':' ||
         c == '-';
}

/// Printable ASCII as it is, everything else as a dot: safe inside a JSON string and never cut in the middle.
char harmless(char c) {
  return c >= 0x20 && c < 0x7F && c != '"' && c != '\\' ? c : '.';
}

}  // namespace

bool RequestLine::refuse(std::string code, std::string message, const char* param) {
  if (!error_)
    error_ = InputError{std::move(code), std::move(message), std::nullopt,
                        param == nullptr ? std::nullopt : std::optional<std::string>(param)};
  return false;
}

void RequestLine::check(std::string_view line) {
  error_.reset();
  url_.clear();
  model_.clear();
  method_.clear();
  echo_.clear();
  body_ = {};
  record_ = {};
  prompt_bytes_ = 0;
  has_messages_ = false;
  poison_ = Poison::none;
  seen_ = 0;
  JsonScanner in(line);
  if (in.peek() == '\0' && in.at_end()) {
    refuse("invalid_json_line", "This line is blank.", nullptr);
    return;
  }
  hasher_.start();
  const bool read = in.object([&](const RawString& key) { return read_member(in, key); }) && in.at_end();
  if (!read && in.failed()) refuse("invalid_json_line", "This line is not parseable as valid JSON: " + in.error() + ".", nullptr);
  if (read) judge(in);
}

bool RequestLine::read_member(JsonScanner& in, const RawString& key) {
  const auto name = key.value(scratch_);
  const unsigned bit = name == "custom_id" ? seen_custom_id
                       : name == "method"  ? seen_method
                       : name == "url"     ? seen_url
                       : name == "body"    ? seen_body
                                           : 0u;
  if (bit == 0 && strict_) return refuse("invalid_request", "Unknown member '" + std::string(name) + "' in the line.", nullptr);
  if ((seen_ & bit) != 0)
    return refuse("invalid_request", "Member '" + std::string(name) + "' stands twice in the line.", nullptr);
  seen_ |= bit;
  switch (bit) {
    case seen_custom_id:
      return read_custom_id(in);
    case seen_method:
      return read_text(in, method_, "method");
    case seen_url:
      return read_text(in, url_, "url");
    case seen_body:
      return read_body(in);
    default:
      return in.skip_value();
  }
}

bool RequestLine::read_text(JsonScanner& in, std::string& into, const char* what) {
  if (in.peek() != '"')
    return in.skip_value() && refuse("invalid_request", std::string("'") + what + "' must be a string.", what);
  RawString text;
  if (!in.string(text)) return false;
  into.assign(text.value(scratch_));
  return true;
}

bool RequestLine::read_custom_id(JsonScanner& in) {
  if (in.peek() != '"') return in.skip_value() && refuse("invalid_request", "'custom_id' must be a string.", "custom_id");
  RawString text;
  if (!in.string(text)) return false;
  const auto id = text.value(scratch_);
  if (id.empty() || id.size() > sizeof record_.custom_id_bytes || !std::all_of(id.begin(), id.end(), is_id_character)) {
    return refuse("invalid_request", "'custom_id' must have 1 to 64 characters of A-Z a-z 0-9 _ . : -", "custom_id");
  }
  std::memcpy(record_.custom_id_bytes, id.data(), id.size());
  record_.custom_id_size = static_cast<std::uint8_t>(id.size());
  return true;
}

bool RequestLine::read_body(JsonScanner& in) {
  if (in.peek() != '{') return in.skip_value() && refuse("invalid_request", "'body' must be an object.", "body");
  const char* const first = in.position();
  if (!in.object([&](const RawString& key) { return read_body_member(in, key); })) return false;
  body_ = {first, static_cast<std::size_t>(in.position() - first)};
  return true;
}

bool RequestLine::read_body_member(JsonScanner& in, const RawString& key) {
  const auto name = key.value(scratch_);
  if (name == "messages") return read_messages(in);
  if (name == "model") {
    if ((seen_ & seen_model) != 0) return refuse("invalid_request", "'model' stands twice in the body.", "model");
    seen_ |= seen_model;
    return read_text(in, model_, "model");
  }
  if (name == "stream" && in.peek() == 't')
    return in.skip_value() && refuse("invalid_request", "'stream' is not supported in a batch.", "stream");
  if (name == "user" && in.peek() == '"') return read_kind(in, true);
  if (name == "metadata" && in.peek() == '{') {
    return in.object([&](const RawString& inner) {
      return inner.value(scratch_) == "sim" && in.peek() == '"' ? read_kind(in, false) : in.skip_value();
    });
  }
  return in.skip_value();
}

bool RequestLine::read_messages(JsonScanner& in) {
  if (in.peek() != '[') return in.skip_value();
  has_messages_ = true;
  return in.array([&] {
    if (in.peek() != '{') return in.skip_value();
    return in.object([&](const RawString& key) { return key.value(scratch_) == "content" ? read_content(in) : in.skip_value(); });
  });
}

bool RequestLine::read_content(JsonScanner& in) {
  RawString text;
  if (in.peek() == '"') {
    if (!in.string(text)) return false;
    add_prompt(text.value(scratch_));
    return true;
  }
  if (in.peek() != '[') return in.skip_value();
  return in.array([&] {
    if (in.peek() != '{') return in.skip_value();
    return in.object([&](const RawString& key) {
      if (key.value(scratch_) != "text" || in.peek() != '"') return in.skip_value();
      if (!in.string(text)) return false;
      add_prompt(text.value(scratch_));
      return true;
    });
  });
}

bool RequestLine::read_kind(JsonScanner& in, bool prefixed) {
  RawString text;
  if (!in.string(text)) return false;
  auto kind = text.value(scratch_);
  if (prefixed) {
    if (!kind.starts_with("sim:")) return true;
    kind.remove_prefix(4);
  }
  if (const auto poison = poison_named(kind)) {
    poison_ = *poison;
    return true;
  }
  const auto outcome = outcome_named(kind);
  if (!outcome)
    return refuse("invalid_request", "The simulator knows no kind of outcome named '" + std::string(kind) + "'.", "metadata.sim");
  record_.outcome = *outcome;
  return true;
}

void RequestLine::add_prompt(std::string_view text) {
  hasher_.add(text);
  prompt_bytes_ += text.size();
  if (echo_.size() < sizeof record_.echo_bytes) echo_.append(text.substr(0, sizeof record_.echo_bytes - echo_.size()));
}

void RequestLine::finish_prompt(std::string_view body) {
  if (!has_messages_) add_prompt(body);
  record_.prompt = hasher_.finish();
  record_.echo_size = static_cast<std::uint8_t>(echo_.size());
  std::transform(echo_.begin(), echo_.end(), record_.echo_bytes, harmless);
  record_.tokens = counter_.count(body.size(), prompt_bytes_, record_.prompt);
}

void RequestLine::judge(JsonScanner&) {
  constexpr std::pair<unsigned, const char*> required[] = {
      {seen_custom_id, "custom_id"}, {seen_method, "method"}, {seen_url, "url"}, {seen_body, "body"}};
  for (const auto& [bit, name] : required) {
    if ((seen_ & bit) == 0) return void(refuse("invalid_request", std::string("Missing member '") + name + "'.", name));
  }
  if (method_ != "POST") return void(refuse("invalid_request", "'method' must be POST, not '" + method_ + "'.", "method"));
  if ((seen_ & seen_model) == 0 || model_.empty()) return void(refuse("invalid_request", "'body.model' is required.", "model"));
  finish_prompt(body_);
}

}  // namespace sim
