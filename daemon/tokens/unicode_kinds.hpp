// What kind a character is to the tokenizers' splitting: the Unicode 16.0 categories that their regular expressions name.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace batchd {

/// Bits, so that a class of a regular expression is a mask.
enum CharKind : std::uint8_t {
  upper_letter = 1,   ///< Lu, Lt
  lower_letter = 2,   ///< Ll
  other_letter = 4,   ///< Lm, Lo
  mark_char = 8,      ///< M
  number_char = 16,   ///< N
  blank_char = 32,    ///< white space but the following
  newline_char = 64,  ///< CR, LF
  sign_char = 128,    ///< everything else
};

/// The kinds of all code points, in 256 at a time; equal blocks are kept once (about 40 KB).
class UnicodeKinds {
 public:
  UnicodeKinds();
  std::uint8_t of(std::uint32_t code) const { return blocks_[std::size_t{index_[code >> 8]} * 256 + (code & 255)]; }
  std::uint8_t of_ascii(unsigned char byte) const { return ascii_[byte]; }

 private:
  std::array<std::uint8_t, 256> ascii_{};  // meaningless from 0x80 on
  std::array<std::uint8_t, 0x1100> index_{};
  std::unique_ptr<std::uint8_t[]> blocks_;
};

/// The one table, made at its first use.
const UnicodeKinds& unicode_kinds();

}  // namespace batchd
