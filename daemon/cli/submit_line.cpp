#include "cli/submit_line.hpp"

#include "core/json_scan.hpp"

#include <algorithm>

namespace batchd {
namespace {

// What batchd.request accepts (migrations/0001); checked here to name the line.
constexpr std::size_t longest_key = 512;
constexpr std::size_t longest_model = 200;
constexpr std::size_t longest_endpoint = 200;

/// The members of a line that mean something here.
struct Members {
  std::optional<std::string_view> custom_id, method, url, body, model;
};

std::optional<Members> scan(std::string_view object) {
  Members out;
  JsonObjectReader reader(object);
  for (JsonMember member; reader.next(member);) {
    if (json_key_is(member.key, "custom_id")) out.custom_id = member.value;
    if (json_key_is(member.key, "method")) out.method = member.value;
    if (json_key_is(member.key, "url")) out.url = member.value;
    if (json_key_is(member.key, "body")) out.body = member.value;
    if (json_key_is(member.key, "model")) out.model = member.value;
  }
  if (!reader.ok()) return std::nullopt;
  return out;
}

/// A text of 1 to `longest` bytes that PostgreSQL can store. Half a character is none: two ids that differ in such halves only
/// would become one, and the second request would count as known.
std::optional<std::string> name(std::string_view raw, std::size_t longest) {
  if (!is_json_string(raw) || has_lone_surrogate(raw)) return std::nullopt;
  std::string text = decode_json_string(raw);
  if (text.empty() || text.size() > longest || text.find('\0') != std::string::npos) return std::nullopt;
  return text;
}

/// A path as producers name endpoints: with `/v1`.
std::string normalised(std::string url) {
  if (url.starts_with("/openai/v1/")) url.erase(0, std::string_view("/openai").size());
  if (url.starts_with("/") && !url.starts_with("/v1/")) url.insert(0, "/v1");
  return url;
}

std::optional<std::string> read_envelope(const Members& members, NewRequest& request) {
  if (!members.custom_id) return "a batch line needs a custom_id";
  const auto key = name(*members.custom_id, longest_key);
  if (!key) return "custom_id must be a text of 1 to 512 bytes without U+0000 or half a surrogate pair";
  request.key = *key;
  if (!members.body) return "a batch line needs a body";
  if (!is_json_object(*members.body)) return "body must be an object";
  if (members.method && decode_json_string(*members.method) != "POST") return "method must be \"POST\"";
  if (members.url) {
    const auto url = name(*members.url, longest_endpoint);
    if (!url || !url->starts_with('/')) return "url must be a path such as \"/v1/chat/completions\"";
    request.endpoint = normalised(*url);
    if (request.endpoint.size() > longest_endpoint) return "url must have a path of at most 200 bytes";
  }
  request.body = *members.body;
  return std::nullopt;
}

}  // namespace

std::optional<std::string> read_submit_line(std::string_view line, const SubmitDefaults& defaults, NewRequest& request) {
  request = NewRequest{.model = {}, .endpoint = defaults.endpoint, .key = {}, .body = {}};
  if (!valid_utf8(line)) return "not valid UTF-8";
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return "an empty line";
  line.remove_prefix(first);
  // A carriage return more than the line's own is no part of the body either.
  line.remove_suffix(line.size() - (line.find_last_not_of(" \t\r") + 1));
  if (!valid_json(line)) return "not valid JSON";
  if (!is_json_object(line)) return "not a JSON object";
  const auto members = scan(line);
  if (!members) return "not valid JSON";

  // No API's request has these members, so that either tells a batch line from a bare body.
  std::optional<std::string_view> model = members->model;
  if (members->custom_id || members->body) {
    if (auto wrong = read_envelope(*members, request)) return wrong;
    model = find_member(request.body, "model");
  } else {
    request.body = line;
  }

  if (!model) {
    if (defaults.model.empty()) return "no model: give the body one, or --model";
    request.model = defaults.model;
  } else if (const auto text = name(*model, longest_model)) {
    request.model = *text;
  } else {
    return "model must be a text of 1 to 200 bytes without U+0000 or half a surrogate pair";
  }
  return std::nullopt;
}

}  // namespace batchd
