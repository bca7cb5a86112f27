#include "simulation/cloud/prompt.hpp"

#include "core/json_scan.hpp"

#include <charconv>

namespace batchd::simulation {
namespace {

constexpr std::string_view word = "cloud:";
constexpr std::string_view run_mark = "\"id\":\"run-";
constexpr std::string_view prompt_mark = "\"prompt:";

/// FNV-1a. Line breaks count as blanks: on its way into a line a body loses them.
std::uint64_t add(std::uint64_t hash, std::string_view text) {
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c == '\n' || c == '\r' ? ' ' : c);
    hash *= 0x100000001b3;
  }
  return hash;
}

template <class Number>
std::optional<Number> number_after(std::string_view text, std::string_view mark, int base) {
  const std::size_t at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  Number value = 0;
  const char* const from = text.data() + at + mark.size();
  const auto [end, error] = std::from_chars(from, text.data() + text.size(), value, base);
  if (error != std::errc{} || end == from) return std::nullopt;
  return value;
}

}  // namespace

BodyWish wish_of(std::string_view body) {
  const std::size_t at = body.find(word);
  if (at == std::string_view::npos) return BodyWish::answer;
  const std::string_view rest = body.substr(at + word.size());
  if (rest.starts_with("poison")) return BodyWish::poison;
  if (rest.starts_with("silent")) return BodyWish::poison_silent;
  if (rest.starts_with("create")) return BodyWish::poison_create;
  if (rest.starts_with("upload")) return BodyWish::poison_upload;
  if (rest.starts_with("refused")) return BodyWish::refused;
  return BodyWish::answer;
}

std::uint64_t prompt_hash(std::string_view body) {
  std::uint64_t hash = 0xcbf29ce484222325;
  JsonObjectReader reader(body);
  JsonMember member;
  while (reader.next(member)) {
    if (json_key_is(member.key, "model")) continue;
    hash = add(add(hash, member.key), ":");
    hash = add(add(hash, member.value), ",");
  }
  return hash;
}

std::optional<AnswerMark> mark_of(std::string_view response) {
  const auto run = number_after<std::size_t>(response, run_mark, 10);
  const auto prompt = number_after<std::uint64_t>(response, prompt_mark, 16);
  if (!run || !prompt) return std::nullopt;
  return AnswerMark{*prompt, *run};
}

}  // namespace batchd::simulation
