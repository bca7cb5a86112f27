#include "provider/printable.hpp"

#include "core/json_scan.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <utility>

namespace batchd {
namespace {

constexpr std::size_t max_message = 500;
constexpr std::size_t max_considered = 4 * max_message;  // what lies beyond cannot reach the message

void blot_out(std::string& text, std::string_view secret) {
  if (secret.size() < 4) return;  // too short to be a secret, and "" would match everywhere
  for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
    text.replace(at, secret.size(), "***");
}

bool is_key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
         c == '*' || c == '+' || c == '/' || c == '=';
}

/// What follows "sk-" or "Bearer ", as far as it looks like a key. OpenAI repeats a refused key half hidden.
void blot_out_keys(std::string& text, std::string_view introduction) {
  for (auto at = text.find(introduction); at != std::string::npos;) {
    const auto begin = at + introduction.size();
    auto end = begin;
    while (end < text.size() && is_key_character(text[end])) ++end;
    const bool begins_a_word = at == 0 || !is_key_character(text[at - 1]);
    const bool looks_like_one = begins_a_word && end - begin >= 8;
    if (looks_like_one) text.replace(begin, end - begin, "***");
    at = text.find(introduction, looks_like_one ? begin + 3 : begin);
  }
}

/// Where the text was cut a secret may have been cut too: what could be its beginning goes.
void drop_beginning_of(std::string_view secret, std::string& text) {
  for (std::size_t size = std::min(secret.size(), text.size()); size > 0; --size) {
    if (std::string_view(text).ends_with(secret.substr(0, size))) return text.resize(text.size() - size);
  }
}

}  // namespace

std::string storable_text(std::string text) {
  std::replace(text.begin(), text.end(), '\0', ' ');
  if (!valid_utf8(text)) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  }
  return text;
}

std::string printable_message(std::string_view text, std::string_view secret) {
  std::string considered(text.substr(0, max_considered + 1));
  truncate_utf8(considered, max_considered);
  if (considered.size() < text.size()) drop_beginning_of(secret, considered);
  std::string out;
  for (const char c : considered) {
    const bool blank = static_cast<unsigned char>(c) <= ' ' || c == '\x7f';
    if (!blank) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  blot_out(out, secret);
  blot_out_keys(out, "sk-");
  blot_out_keys(out, "Bearer ");
  out = storable_text(std::move(out));
  truncate_utf8(out, max_message);
  while (out.ends_with(' ')) out.pop_back();
  return out;
}

}  // namespace batchd
