// Cuts a text into the pieces that byte-pair encoding works on: what the regular expressions of o200k_base and cl100k_base
// match, alternative by alternative, by hand. No piece depends on what stands before it.
#pragma once

#include "tokens/encoding.hpp"
#include "tokens/unicode_kinds.hpp"

#include <cstddef>
#include <string_view>

namespace batchd {

/// A byte that belongs to no well-formed UTF-8 sequence counts as a sign of its own: nothing is ever read beyond the text.
class Splitter {
 public:
  explicit Splitter(Encoding encoding) : kinds_(unicode_kinds()), encoding_(encoding) {}

  /// Where the piece that starts at `at` < text.size() ends.
  std::size_t piece_end(std::string_view text, std::size_t at) const {
    return encoding_ == Encoding::o200k_base ? o200k_end(text, at) : cl100k_end(text, at);
  }

 private:
  struct Char {
    std::uint8_t kind = 0;  ///< 0 at the end of the text
    std::uint8_t length = 0;
  };
  Char char_at(std::string_view text, std::size_t at) const {
    if (at >= text.size()) return {};
    const auto byte = static_cast<unsigned char>(text[at]);
    return byte < 0x80 ? Char{kinds_.of_ascii(byte), 1} : wide_at(text, at);
  }
  Char wide_at(std::string_view text, std::size_t at) const;
  /// Behind the longest run of these kinds from `at` on.
  std::size_t skip(std::string_view text, std::size_t at, unsigned kinds) const {
    for (;;) {
      const Char c = char_at(text, at);
      if ((c.kind & kinds) == 0) return at;
      at += c.length;
    }
  }
  std::size_t o200k_end(std::string_view text, std::size_t at) const;
  std::size_t o200k_word(std::string_view text, std::size_t at, Char first) const;
  std::size_t cl100k_end(std::string_view text, std::size_t at) const;
  std::size_t digits(std::string_view text, std::size_t at, Char first) const;
  std::size_t blanks(std::string_view text, std::size_t at, Char first) const;

  const UnicodeKinds& kinds_;
  Encoding encoding_;
};

}  // namespace batchd
