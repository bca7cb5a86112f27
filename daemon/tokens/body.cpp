#include "tokens/body.hpp"

#include "core/json_scan.hpp"

#include <algorithm>
#include <array>

namespace batchd {
namespace {

constexpr Tokens for_message = 3;
constexpr Tokens for_name = 1;
constexpr Tokens for_reply = 3;
constexpr Tokens for_role = 1;  // every role is one token
constexpr Tokens for_call = 3;

/// Members of a body that are no part of its prompt.
constexpr std::array settings = {
    std::string_view("model"),           std::string_view("user"),
    std::string_view("metadata"),        std::string_view("stop"),
    std::string_view("service_tier"),    std::string_view("reasoning_effort"),
    std::string_view("verbosity"),       std::string_view("logit_bias"),
    std::string_view("modalities"),      std::string_view("audio"),
    std::string_view("stream_options"),  std::string_view("tool_choice"),
    std::string_view("function_call"),   std::string_view("web_search_options"),
    std::string_view("prediction"),      std::string_view("safety_identifier"),
    std::string_view("include"),         std::string_view("prompt_cache_key"),
    std::string_view("truncation"),      std::string_view("reasoning"),
    std::string_view("encoding_format"), std::string_view("previous_response_id"),
    std::string_view("conversation"),    std::string_view("prompt_cache_retention"),
};

/// Calls `take` with every element of a JSON array, raw. False when it is none, or broken on the way.
template <class Take>
bool for_each_element(std::string_view array, Take take) {
  constexpr std::string_view blanks = " \t\r\n";
  if (!array.starts_with('[')) return false;
  for (std::size_t at = array.find_first_not_of(blanks, 1); at != std::string_view::npos;) {
    if (array[at] == ']') return true;
    const auto end = skip_json_value(array, at);
    if (!end) return false;
    take(array.substr(at, *end - at));
    at = array.find_first_not_of(blanks, *end);
    if (at == std::string_view::npos) return false;
    if (array[at] == ',') at = array.find_first_not_of(blanks, at + 1);
  }
  return false;
}

bool is_number(std::string_view raw) {
  return !raw.empty() && (raw.front() == '-' || (raw.front() >= '0' && raw.front() <= '9'));
}

bool has_text(std::string_view raw) {
  return !raw.empty() && (raw.front() == '"' || raw.front() == '[' || raw.front() == '{');
}

bool is_text(std::string_view raw, std::string_view text) {
  return is_json_string(raw) && json_key_is(raw.substr(1, raw.size() - 2), text);
}

}  // namespace

BodyCounter::BodyCounter(const Vocabulary& vocabulary, BodyKind kind)
    : tokenizer_(vocabulary), kind_(std::move(kind)), price_(image_price_of(kind_.model)) {}

Tokens BodyCounter::text(std::string_view raw) {
  if (!is_json_string(raw)) return tokenizer_.count(raw);
  const std::string_view inner = raw.substr(1, raw.size() - 2);
  if (inner.find('\\') == std::string_view::npos) return tokenizer_.count(inner);
  return tokenizer_.count(decode_json_string(raw));
}

Tokens BodyCounter::extras(std::string_view raw) {
  return has_text(raw) ? text(raw) : 0;
}

Tokens BodyCounter::image(std::string_view raw_part, std::string_view raw_image) {
  std::string_view url = raw_image;
  std::string_view detail;
  if (is_json_object(raw_image)) {
    url = find_member(raw_image, "url").value_or("");
    detail = find_member(raw_image, "detail").value_or("");
  } else {
    detail = find_member(raw_part, "detail").value_or("");
  }
  if (!is_json_string(url)) url = "\"\"";
  url = url.substr(1, url.size() - 2);
  std::string plain;
  if (url.find('\\') != std::string_view::npos) {  // some writers escape every slash
    plain = decode_json_string("\"" + std::string(url) + "\"");
    url = plain;
  }
  return image_tokens(price_, image_size_of_url(url), is_text(detail, "low"));
}

Tokens BodyCounter::part(std::string_view raw) {
  if (!is_json_object(raw)) return text(raw);
  const std::string_view type = find_member(raw, "type").value_or("");
  if (is_text(type, "text") || is_text(type, "input_text") || is_text(type, "output_text")) {
    return extras(find_member(raw, "text").value_or(""));
  }
  if (is_text(type, "image_url") || is_text(type, "input_image")) {
    return image(raw, find_member(raw, "image_url").value_or(""));
  }
  if (is_text(type, "refusal")) return extras(find_member(raw, "refusal").value_or(""));
  return text(raw);
}

Tokens BodyCounter::content(std::string_view raw) {
  if (!raw.starts_with('[')) return extras(raw);
  Tokens tokens = 0;
  const bool whole = for_each_element(raw, [&](std::string_view element) { tokens += part(element); });
  return whole ? tokens : text(raw);
}

/// A function's name and arguments, in whatever object they stand.
Tokens BodyCounter::call(std::string_view raw) {
  const std::string_view function = find_member(raw, "function").value_or(raw);
  if (!is_json_object(function)) return text(raw);
  Tokens tokens = for_call;
  JsonObjectReader reader(function);
  JsonMember member;
  while (reader.next(member)) {
    if (json_key_is(member.key, "id") || json_key_is(member.key, "call_id") || json_key_is(member.key, "type")) continue;
    tokens += extras(member.value);
  }
  return tokens;
}

Tokens BodyCounter::message(std::string_view raw) {
  if (!is_json_object(raw)) return text(raw);
  Tokens tokens = for_message;
  JsonObjectReader reader(raw);
  JsonMember member;
  while (reader.next(member)) {
    if (json_key_is(member.key, "content") || json_key_is(member.key, "output")) {
      tokens += content(member.value);
    } else if (json_key_is(member.key, "name")) {
      tokens += is_json_string(member.value) ? text(member.value) + for_name : 0;
    } else if (json_key_is(member.key, "tool_calls")) {
      const auto each = [&](std::string_view element) { tokens += call(element); };
      if (!for_each_element(member.value, each)) tokens += extras(member.value);
    } else if (json_key_is(member.key, "function_call")) {
      tokens += is_json_object(member.value) ? call(member.value) : 0;
    } else if (!json_key_is(member.key, "type") && !json_key_is(member.key, "id") && !json_key_is(member.key, "status")) {
      tokens += extras(member.value);  // the role, what is refused, ids of calls
    }
  }
  return tokens;
}

Tokens BodyCounter::chat(std::string_view messages) {
  Tokens tokens = for_reply;
  const bool whole = for_each_element(messages, [&](std::string_view element) { tokens += message(element); });
  return whole ? tokens : for_reply + text(messages);
}

Tokens BodyCounter::responses(std::string_view input) {
  return input.starts_with('[') ? chat(input) : for_reply + for_message + for_role + extras(input);
}

Tokens BodyCounter::prompt(std::string_view raw) {
  if (!raw.starts_with('[')) return extras(raw);
  Tokens tokens = 0;
  const auto one = [&](std::string_view element) { tokens += is_number(element) ? 1 : extras(element); };
  const auto each = [&](std::string_view element) {
    if (!element.starts_with('[') || !for_each_element(element, one)) one(element);
  };
  return for_each_element(raw, each) ? tokens : text(raw);
}

/// Of a response's format only a schema is read by the model.
Tokens BodyCounter::format(std::string_view raw) {
  if (!is_json_object(raw)) return extras(raw);
  const std::string_view type = find_member(raw, "type").value_or("");
  return is_text(type, "text") || is_text(type, "json_object") ? 0 : text(raw);
}

Tokens BodyCounter::member_of_body(std::string_view key, std::string_view value, bool embeds) {
  const auto is = [key](std::string_view name) { return json_key_is(key, name); };
  if (is("messages")) return chat(value);
  if (is("input")) return embeds ? prompt(value) : responses(value);
  if (is("prompt")) return prompt(value);
  if (is("instructions")) return has_text(value) ? for_message + for_role + text(value) : 0;
  if (is("response_format")) return format(value);
  if (is("text") && is_json_object(value)) {
    const auto inner = find_member(value, "format");
    return inner ? format(*inner) : 0;
  }
  if (!has_text(value)) return 0;
  const bool setting = std::any_of(settings.begin(), settings.end(), is);
  return setting ? 0 : text(value);  // tools and functions among them
}

Tokens BodyCounter::count(std::string_view body) {
  bool embeds = kind_.endpoint.find("/embeddings") != std::string::npos || is_embedding_model(kind_.model);
  if (const auto model = find_member(body, "model"); model && kind_.endpoint.empty()) {
    embeds = embeds || is_embedding_model(decode_json_string(*model));
  }
  Tokens tokens = 0;
  bool prompted = false;
  JsonObjectReader reader(body);
  JsonMember member;
  while (reader.next(member)) {
    tokens += member_of_body(member.key, member.value, embeds);
    prompted =
        prompted || json_key_is(member.key, "messages") || json_key_is(member.key, "input") || json_key_is(member.key, "prompt");
  }
  return reader.ok() && prompted ? tokens : tokenizer_.count(body);
}

}  // namespace batchd
