// The tokens of one encoding: which byte strings are tokens, and their ranks, by which byte-pair encoding merges. Made once from
// a file of OpenAI's format, immutable, shared by all threads; 5 MB for o200k_base, 3 MB for cl100k_base.
#pragma once

#include "tokens/encoding.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

using Rank = std::uint32_t;
inline constexpr Rank no_rank = UINT32_MAX;

/// A hash of up to a few hundred bytes, the same on every machine of one byte order.
inline std::uint64_t hash_bytes(const char* at, std::size_t size) {
  __extension__ using Wide = unsigned __int128;
  const auto load8 = [](const char* p) {
    std::uint64_t v;
    std::memcpy(&v, p, 8);
    return v;
  };
  const auto load4 = [](const char* p) {
    std::uint32_t v;
    std::memcpy(&v, p, 4);
    return std::uint64_t{v};
  };
  const auto byte = [at](std::size_t i) { return std::uint64_t{static_cast<unsigned char>(at[i])}; };
  const auto mix = [](std::uint64_t a, std::uint64_t b) {
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  };
  constexpr std::uint64_t k1 = 0x9E3779B97F4A7C15ULL;
  constexpr std::uint64_t k2 = 0xD6E8FEB86659FD93ULL;
  std::uint64_t h = size * k1;
  while (size > 16) {
    h = mix(load8(at) ^ h ^ k1, load8(at + 8) ^ k2);
    at += 16;
    size -= 16;
  }
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  if (size >= 8) {
    low = load8(at);
    high = load8(at + size - 8);
  } else if (size >= 4) {
    low = load4(at);
    high = load4(at + size - 4);
  } else if (size > 0) {
    low = byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
  }
  return mix(low ^ h ^ k1, high ^ k2);
}

class Vocabulary {
 public:
  /// `text`: a line for each token, its bytes in base64, a blank, its rank. Throws std::runtime_error when it is not the whole of
  /// that encoding's vocabulary.
  Vocabulary(Encoding encoding, std::string_view text) : Vocabulary(encoding, text, tokens_of(encoding)) {}
  /// The same of a vocabulary of another size, for tests.
  Vocabulary(Encoding encoding, std::string_view text, std::size_t expected);

  static constexpr std::size_t tokens_of(Encoding encoding) { return encoding == Encoding::o200k_base ? 199'998 : 100'256; }

  Encoding encoding() const { return encoding_; }
  /// The rank of these bytes, no_rank when they are no token.
  Rank rank(const char* bytes, std::size_t size) const { return rank(bytes, size, hash_bytes(bytes, size)); }
  Rank rank(const char* bytes, std::size_t size, std::uint64_t hash) const {
    if (size > longest_) return no_rank;
    const std::uint64_t tag = hash & tag_mask;
    for (std::size_t at = place(hash); slots_[at] != 0; at = at + 1 == slots_.size() ? 0 : at + 1) {
      const std::uint64_t slot = slots_[at];
      if ((slot & tag_mask) != tag || ((slot >> length_shift) & 0xFF) != size) continue;
      if (std::memcmp(bytes_.data() + ((slot >> offset_shift) & offset_mask), bytes, size) == 0) {
        return static_cast<Rank>(slot >> rank_shift);
      }
    }
    return no_rank;
  }
  Rank pair(char first, char second) const {
    return pairs_[std::size_t{static_cast<unsigned char>(first)} << 8 | static_cast<unsigned char>(second)];
  }
  /// Bytes of the longest token.
  std::size_t longest() const { return longest_; }
  /// Memory held, in bytes.
  std::size_t resident() const { return slots_.size() * 8 + bytes_.size() + pairs_.size() * 4; }

 private:
  // A slot: 18 bits of rank, 21 of where the bytes are, 8 of how many, 17 of hash. Never 0, for no token is empty.
  static constexpr unsigned rank_shift = 46, offset_shift = 25, length_shift = 17;
  static constexpr std::uint64_t tag_mask = 0x1FFFF, offset_mask = 0x1FFFFF, rank_limit = 1U << 18;
  std::size_t place(std::uint64_t hash) const { return static_cast<std::size_t>(((hash >> 32) * slots_.size()) >> 32); }
  void add(std::string_view token, Rank rank);

  Encoding encoding_;
  std::size_t longest_ = 0;
  std::vector<std::uint64_t> slots_;
  std::string bytes_;
  std::vector<Rank> pairs_;
};

}  // namespace batchd
