// o200k_base (numbers as in the code below):
//   1  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//   2  [^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//   3  \p{N}{1,3}     4   ?[^\s\p{L}\p{N}]+[\r\n/]*     5  \s*[\r\n]+     6  \s+(?!\S)     7  \s+
// cl100k_base: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|
// ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
#include "tokens/split.hpp"

namespace batchd {
namespace {

constexpr unsigned letters = upper_letter | lower_letter | other_letter;
constexpr unsigned word_head = upper_letter | other_letter | mark_char;
constexpr unsigned word_tail = lower_letter | other_letter | mark_char;
constexpr unsigned before_word = blank_char | mark_char | sign_char;  // [^\r\n\p{L}\p{N}]
constexpr unsigned signs = mark_char | sign_char;                     // [^\s\p{L}\p{N}]
constexpr unsigned white_space = blank_char | newline_char;

char lowered_at(std::string_view text, std::size_t at) {
  const char c = at < text.size() ? text[at] : '\0';
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Behind `'s`, `'re` and their like, in capitals too (and with the long s, which is a small form of S); else `at`.
std::size_t skip_contraction(std::string_view text, std::size_t at) {
  if (at >= text.size() || text[at] != '\'') return at;
  const char first = lowered_at(text, at + 1);
  const char second = lowered_at(text, at + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
  if (first == 'l' && second == 'l') return at + 3;
  if (first == '\xC5' && second == '\xBF') return at + 3;
  return at;
}

bool trails(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

}  // namespace

Splitter::Char Splitter::wide_at(std::string_view text, std::size_t at) const {
  const auto byte = [&text, at](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i])); };
  const std::uint32_t lead = byte(0);
  const std::size_t left = text.size() - at;
  std::uint32_t code = 0x110000;
  std::uint8_t length = 1;
  if (lead >= 0xC2 && lead < 0xE0 && left >= 2 && trails(text[at + 1])) {
    code = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    length = 2;
  } else if (lead >= 0xE0 && lead < 0xF0 && left >= 3 && trails(text[at + 1]) && trails(text[at + 2])) {
    code = (lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    length = 3;
  } else if (lead >= 0xF0 && lead < 0xF5 && left >= 4 && trails(text[at + 1]) && trails(text[at + 2]) && trails(text[at + 3])) {
    code = (lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    length = 4;
  }
  if (code >= 0x110000) return {sign_char, 1};
  return {kinds_.of(code), length};
}

std::size_t Splitter::digits(std::string_view text, std::size_t at, Char first) const {
  at += first.length;
  for (int more = 0; more < 2; ++more) {
    const Char c = char_at(text, at);
    if (c.kind != number_char) break;
    at += c.length;
  }
  return at;
}

/// The alternatives 5 to 7.
std::size_t Splitter::blanks(std::string_view text, std::size_t at, Char first) const {
  std::size_t end = at;
  std::size_t last = at;     // where the last character of the run starts
  std::size_t newlines = 0;  // behind the last line break of the run
  for (Char c = first; (c.kind & white_space) != 0; c = char_at(text, end)) {
    last = end;
    end += c.length;
    if (c.kind == newline_char) newlines = end;
  }
  if (newlines != 0) return newlines;
  return end == text.size() || last == at ? end : last;  // the last blank belongs to the word behind it
}

std::size_t Splitter::cl100k_end(std::string_view text, std::size_t at) const {
  const std::size_t contracted = skip_contraction(text, at);
  if (contracted != at) return contracted;
  const Char first = char_at(text, at);
  const std::size_t next = at + first.length;
  if ((first.kind & letters) != 0) return skip(text, next, letters);
  if (first.kind == number_char) return digits(text, at, first);
  const Char second = char_at(text, next);
  if ((first.kind & before_word) != 0 && (second.kind & letters) != 0) return skip(text, next, letters);
  if ((first.kind & signs) != 0 || (text[at] == ' ' && (second.kind & signs) != 0)) {
    return skip(text, skip(text, next, signs), newline_char);
  }
  return blanks(text, at, first);
}

/// The alternatives 1 and 2; `at` when neither matches.
std::size_t Splitter::o200k_word(std::string_view text, std::size_t at, Char first) const {
  // Behind [head]*[tail]+ at `from`, `from` when it does not match: the heads give back what may be a tail, last one first.
  const auto small_word = [&](std::size_t from) {
    std::size_t end = from;
    std::size_t given = from;
    for (;;) {
      const Char c = char_at(text, end);
      if ((c.kind & word_head) == 0) break;
      end += c.length;
      if ((c.kind & word_tail) != 0) given = end;
    }
    const std::size_t tail = skip(text, end, word_tail);
    return tail != end ? tail : given;
  };
  const auto big_word = [&](std::size_t from) {
    const std::size_t end = skip(text, from, word_head);
    return end == from ? from : skip(text, end, word_tail);
  };
  const bool has_prefix = (first.kind & before_word) != 0;
  const std::size_t next = has_prefix ? at + first.length : at;
  if (has_prefix && (char_at(text, next).kind & (letters | mark_char)) == 0 && first.kind != mark_char) return at;
  if (const std::size_t end = small_word(next); end != next) return skip_contraction(text, end);
  if (const std::size_t end = has_prefix ? small_word(at) : at; end != at) return skip_contraction(text, end);
  if (const std::size_t end = big_word(next); end != next) return skip_contraction(text, end);
  if (const std::size_t end = has_prefix ? big_word(at) : at; end != at) return skip_contraction(text, end);
  return at;
}

std::size_t Splitter::o200k_end(std::string_view text, std::size_t at) const {
  const Char first = char_at(text, at);
  if (first.kind == number_char) return digits(text, at, first);
  if (first.kind != newline_char) {
    if (const std::size_t end = o200k_word(text, at, first); end != at) return end;
  }
  const std::size_t next = at + first.length;
  if ((first.kind & signs) != 0 || (text[at] == ' ' && (char_at(text, next).kind & signs) != 0)) {
    std::size_t end = skip(text, next, signs);
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n' || text[end] == '/')) ++end;
    return end;
  }
  return blanks(text, at, first);
}

}  // namespace batchd
