#include "json_scanner.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace sim {
namespace {

constexpr int max_depth = 500;

/// True when none of eight bytes is a quote, a backslash, a control character or beyond ASCII.
bool all_plain(const char* bytes) {
  constexpr std::uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
  std::uint64_t word;
  std::memcpy(&word, bytes, 8);
  const auto zero_in = [](std::uint64_t v) { return (v - ones) & ~v & highs; };
  const auto below_blank = (word - ones * 0x20) & ~word & highs;
  return ((word & highs) | below_blank | zero_in(word ^ (ones * '"')) | zero_in(word ^ (ones * '\\'))) == 0;
}

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    out += static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    out += static_cast<char>(0x80 | ((code >> 6) & 63));
    out += static_cast<char>(0x80 | (code & 63));
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    out += static_cast<char>(0x80 | ((code >> 12) & 63));
    out += static_cast<char>(0x80 | ((code >> 6) & 63));
    out += static_cast<char>(0x80 | (code & 63));
  }
}

unsigned hex_value(std::string_view digits) {
  unsigned value = 0;
  for (const char c : digits) value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
  return value;
}

/// `at` stands on the backslash of a valid escape; returns what follows it.
std::size_t append_escape(std::string& out, std::string_view raw, std::size_t at) {
  const char kind = raw[at + 1];
  if (kind != 'u') {
    constexpr std::string_view names = "bfnrt", values = "\b\f\n\r\t";
    const auto index = names.find(kind);
    out += index == std::string_view::npos ? kind : values[index];
    return at + 2;
  }
  unsigned code = hex_value(raw.substr(at + 2, 4));
  if (code < 0xD800 || code > 0xDBFF) return append_utf8(out, code), at + 6;
  code = 0x10000 + ((code - 0xD800) << 10) + (hex_value(raw.substr(at + 8, 4)) - 0xDC00);
  append_utf8(out, code);
  return at + 12;
}

}  // namespace

std::string_view RawString::value(std::string& scratch) const {
  if (!escaped) return raw;
  scratch.clear();
  std::size_t at = 0;
  while (at < raw.size()) {
    const auto slash = std::min(raw.find('\\', at), raw.size());
    scratch.append(raw, at, slash - at);
    at = slash < raw.size() ? append_escape(scratch, raw, slash) : slash;
  }
  return scratch;
}

bool JsonScanner::fail(const char* reason) {
  if (reason_ == nullptr) reason_ = reason;
  return false;
}

std::string JsonScanner::error() const {
  return std::string(reason_ == nullptr ? "no fault" : reason_) + " at byte " + std::to_string(at_ - begin_ + 1);
}

void JsonScanner::skip_blanks() {
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\t')) ++at_;
}

char JsonScanner::peek() {
  skip_blanks();
  return at_ == end_ ? '\0' : *at_;
}

bool JsonScanner::at_end() {
  skip_blanks();
  if (at_ == end_) return true;
  return fail(*at_ == '\r' ? "raw carriage return" : *at_ == '\0' ? "raw NUL byte" : "text after the end of the value");
}

bool JsonScanner::expect(char wanted, const char* reason) {
  skip_blanks();
  if (at_ != end_ && *at_ == wanted) return ++at_, true;
  if (at_ != end_ && *at_ == '\r') return fail("raw carriage return");
  return fail(reason);
}

bool JsonScanner::skip_value(int depth) {
  if (depth > max_depth) return fail("nested too deeply");
  RawString ignored;
  switch (peek()) {
    case '{':
      return object([&](const RawString&) { return skip_value(depth + 1); });
    case '[':
      return array([&] { return skip_value(depth + 1); });
    case '"':
      return string(ignored);
    case 't':
      return literal("true");
    case 'f':
      return literal("false");
    case 'n':
      return literal("null");
    case '\r':
      return fail("raw carriage return");
    default:
      return number();
  }
}

bool JsonScanner::literal(std::string_view word) {
  if (static_cast<std::size_t>(end_ - at_) < word.size() || std::string_view(at_, word.size()) != word)
    return fail("expected a value");
  at_ += word.size();
  return true;
}

bool JsonScanner::number() {
  const auto digits = [this] {
    const char* const first = at_;
    while (at_ != end_ && *at_ >= '0' && *at_ <= '9') ++at_;
    return at_ - first;
  };
  const auto is = [this](char c) { return at_ != end_ && *at_ == c; };
  if (is('-')) ++at_;
  const char* const first = at_;
  const auto count = digits();
  if (count == 0) return fail("expected a value");
  if (*first == '0' && count > 1) return fail("number with a leading zero");
  if (is('.') && (++at_, digits() == 0)) return fail("number without digits after its point");
  if (is('e') || is('E')) {
    ++at_;
    if (is('+') || is('-')) ++at_;
    if (digits() == 0) return fail("number without digits in its exponent");
  }
  return true;
}

bool JsonScanner::string(RawString& out) {
  if (!expect('"', "expected a string")) return false;
  const char* const first = at_;
  out.escaped = false;
  for (;;) {
    while (end_ - at_ >= 8 && all_plain(at_)) at_ += 8;
    if (at_ == end_) return fail("string without an end");
    const auto byte = static_cast<unsigned char>(*at_);
    if (byte == '"') break;
    if (byte == '\\') {
      out.escaped = true;
      if (!escape()) return false;
    } else if (byte < 0x20) {
      return fail(byte == '\r' ? "raw carriage return in a string"
                  : byte == 0  ? "raw NUL byte in a string"
                               : "raw control character in a string");
    } else if (byte >= 0x80) {
      if (!utf8()) return fail("invalid UTF-8");
    } else {
      ++at_;
    }
  }
  out.raw = {first, static_cast<std::size_t>(at_ - first)};
  ++at_;
  return true;
}

bool JsonScanner::hex4(unsigned& value) {
  if (end_ - at_ < 4) return fail("unfinished \\u escape");
  for (int i = 0; i < 4; ++i) {
    const char c = at_[i];
    const bool is_hex = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f');
    if (!is_hex) return fail("\\u escape without four hexadecimal digits");
  }
  value = hex_value({at_, 4});
  at_ += 4;
  return true;
}

bool JsonScanner::escape() {
  ++at_;
  if (at_ == end_) return fail("unfinished escape");
  const char kind = *at_++;
  if (kind != 'u') return std::string_view("\"\\/bfnrt").find(kind) != std::string_view::npos || fail("unknown escape");
  unsigned code = 0, low = 0;
  if (!hex4(code)) return false;
  if (code >= 0xDC00 && code <= 0xDFFF) return fail("lone low surrogate");
  if (code < 0xD800 || code > 0xDBFF) return true;
  if (end_ - at_ < 6 || at_[0] != '\\' || at_[1] != 'u') return fail("lone high surrogate");
  at_ += 2;
  if (!hex4(low)) return false;
  return (low >= 0xDC00 && low <= 0xDFFF) || fail("lone high surrogate");
}

bool JsonScanner::utf8() {
  const auto byte = [this](int i) { return static_cast<unsigned char>(at_[i]); };
  const auto follows = [&](int i) { return end_ - at_ > i && (byte(i) & 0xC0) == 0x80; };
  const unsigned first = byte(0);
  if (first >= 0xC2 && first <= 0xDF && follows(1)) return at_ += 2, true;
  if ((first & 0xF0) == 0xE0 && follows(1) && follows(2)) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0, surrogate = first == 0xED && byte(1) > 0x9F;
    if (overlong || surrogate) return false;
    return at_ += 3, true;
  }
  if (first >= 0xF0 && first <= 0xF4 && follows(1) && follows(2) && follows(3)) {
    const bool overlong = first == 0xF0 && byte(1) < 0x90, beyond = first == 0xF4 && byte(1) > 0x8F;
    if (overlong || beyond) return false;
    return at_ += 4, true;
  }
  return false;
}

}  // namespace sim
