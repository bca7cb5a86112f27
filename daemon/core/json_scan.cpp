#include "core/json_scan.hpp"

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstring>

namespace batchd {
namespace {

std::size_t skip_blanks(std::string_view text, std::size_t at) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t')) ++at;
  return at;
}

/// How many of eight bytes come before the first quote, backslash or control character. The lowest mark is always right: a
/// subtraction carries into the next byte only from one that is marked itself.
std::size_t plain_bytes(std::uint64_t v) {
  if constexpr (std::endian::native == std::endian::big) v = __builtin_bswap64(v);  // so that the first byte is the lowest
  constexpr std::uint64_t ones = 0x0101010101010101ULL;
  constexpr std::uint64_t highs = 0x8080808080808080ULL;
  const auto zero_in = [](std::uint64_t x) { return (x - ones) & ~x & highs; };
  const std::uint64_t control = (v - ones * 0x20) & ~v & highs;
  const std::uint64_t marks = control | zero_in(v ^ (ones * '"')) | zero_in(v ^ (ones * '\\'));
  return static_cast<std::size_t>(std::countr_zero(marks)) / 8;
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/// `at` stands behind the opening quote; the result stands behind the closing one.
std::optional<std::size_t> skip_string(std::string_view text, std::size_t at) {
  for (;;) {
    while (at + 8 <= text.size()) {
      std::uint64_t word;
      std::memcpy(&word, text.data() + at, 8);
      const std::size_t plain = plain_bytes(word);
      at += plain;
      if (plain < 8) break;
    }
    if (at >= text.size()) return std::nullopt;
    const auto c = static_cast<unsigned char>(text[at]);
    if (c == '"') return at + 1;
    if (c < 0x20) return std::nullopt;
    if (c != '\\') {
      ++at;
      continue;
    }
    if (at + 1 >= text.size()) return std::nullopt;
    const char escape = text[at + 1];
    if (escape == 'u') {
      if (at + 6 > text.size()) return std::nullopt;
      for (std::size_t i = at + 2; i < at + 6; ++i) {
        if (!is_hex(text[i])) return std::nullopt;
      }
      at += 6;
    } else if (std::string_view("\"\\/bfnrt").find(escape) != std::string_view::npos) {
      at += 2;
    } else {
      return std::nullopt;
    }
  }
}

std::size_t skip_digits(std::string_view text, std::size_t at) {
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
  return at;
}

std::optional<std::size_t> skip_number(std::string_view text, std::size_t at) {
  if (text[at] == '-') ++at;
  std::size_t end = skip_digits(text, at);
  if (end == at || (text[at] == '0' && end > at + 1)) return std::nullopt;
  at = end;
  if (at < text.size() && text[at] == '.') {
    end = skip_digits(text, at + 1);
    if (end == at + 1) return std::nullopt;
    at = end;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    end = skip_digits(text, at);
    if (end == at) return std::nullopt;
    at = end;
  }
  return at;
}

/// A string, a number or a word: a value without anything inside.
std::optional<std::size_t> skip_scalar(std::string_view text, std::size_t at) {
  switch (text[at]) {
    case '"':
      return skip_string(text, at + 1);
    case 't':
      return text.substr(at, 4) == "true" ? std::optional(at + 4) : std::nullopt;
    case 'f':
      return text.substr(at, 5) == "false" ? std::optional(at + 5) : std::nullopt;
    case 'n':
      return text.substr(at, 4) == "null" ? std::optional(at + 4) : std::nullopt;
    default:
      return skip_number(text, at);
  }
}

/// Behind `"key" :` and the white space after it.
std::optional<std::size_t> skip_key(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '"') return std::nullopt;
  const auto end = skip_string(text, at + 1);
  if (!end) return std::nullopt;
  at = skip_blanks(text, *end);
  if (at >= text.size() || text[at] != ':') return std::nullopt;
  return skip_blanks(text, at + 1);
}

}  // namespace

std::optional<std::size_t> skip_json_value(std::string_view text, std::size_t at) {
  std::string open;  // the closing brackets still owed; short ones live inside the object
  for (;;) {
    if (at >= text.size()) return std::nullopt;
    bool opened = false;
    if (text[at] == '{' || text[at] == '[') {
      const char close = text[at] == '{' ? '}' : ']';
      at = skip_blanks(text, at + 1);
      if (at >= text.size()) return std::nullopt;
      if (text[at] == close) {
        ++at;  // empty
      } else {
        if (open.size() == max_json_depth) return std::nullopt;
        open += close;
        opened = true;
      }
    } else {
      const auto end = skip_scalar(text, at);
      if (!end) return std::nullopt;
      at = *end;
    }
    if (!opened) {
      // A value has ended: close what ends with it, up to the next comma.
      for (;;) {
        if (open.empty()) return at;
        at = skip_blanks(text, at);
        if (at >= text.size()) return std::nullopt;
        if (text[at] == open.back()) {
          open.pop_back();
          ++at;
        } else if (text[at] == ',') {
          at = skip_blanks(text, at + 1);
          break;
        } else {
          return std::nullopt;
        }
      }
    }
    if (open.back() == '}') {
      const auto value = skip_key(text, at);
      if (!value) return std::nullopt;
      at = *value;
    }
  }
}

bool valid_json(std::string_view text) {
  const auto end = skip_json_value(text, skip_blanks(text, 0));
  return end && skip_blanks(text, *end) == text.size();
}

bool valid_utf8(std::string_view text) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at < end) {
    while (end - at >= 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      if (word & 0x8080808080808080ULL) break;
      at += 8;
    }
    if (at == end) break;
    const unsigned char lead = *at;
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const std::ptrdiff_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
    if (lead < 0xC2 || lead > 0xF4 || end - at < length) return false;
    for (std::ptrdiff_t i = 1; i < length; ++i) {
      if ((at[i] & 0xC0) != 0x80) return false;
    }
    const unsigned char second = at[1];
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second > 0x8F)) {
      return false;
    }
    at += length;
  }
  return true;
}

JsonObjectReader::JsonObjectReader(std::string_view text) : text_(text) {
  at_ = skip_blanks(text_, 0);
  if (at_ >= text_.size() || text_[at_] != '{') {
    state_ = State::broken;
    return;
  }
  at_ = skip_blanks(text_, at_ + 1);
}

bool JsonObjectReader::next(JsonMember& member) {
  if (state_ == State::done || state_ == State::broken) return false;
  if (at_ >= text_.size()) return fail();
  if (text_[at_] == '}') {
    const bool whole = skip_blanks(text_, at_ + 1) == text_.size();
    state_ = whole ? State::done : State::broken;
    return false;
  }
  if (state_ == State::more) {
    if (text_[at_] != ',') return fail();
    at_ = skip_blanks(text_, at_ + 1);
  }
  const std::size_t key_start = at_ + 1;
  const auto value = skip_key(text_, at_);
  if (!value) return fail();
  const auto key_end = skip_string(text_, key_start);
  const auto end = skip_json_value(text_, *value);
  if (!end) return fail();
  member.key = text_.substr(key_start, *key_end - 1 - key_start);
  member.value = text_.substr(*value, *end - *value);
  at_ = skip_blanks(text_, *end);
  state_ = State::more;
  if (at_ < text_.size() && text_[at_] != ',' && text_[at_] != '}') return fail();
  return true;
}

std::optional<std::string_view> find_member(std::string_view object, std::string_view name) {
  JsonObjectReader reader(object);
  JsonMember member;
  std::optional<std::string_view> found;
  while (reader.next(member)) {
    if (json_key_is(member.key, name)) found = member.value;
  }
  return reader.ok() ? found : std::nullopt;
}

std::optional<long long> json_integer(std::string_view raw) {
  long long value = 0;
  const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), value);
  if (error != std::errc{} || end != raw.data() + raw.size() || raw.empty()) return std::nullopt;
  return value;
}

}  // namespace batchd
