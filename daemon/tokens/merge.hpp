// Byte-pair encoding of one piece: again and again the neighbours whose bytes together are the token of lowest rank become one,
// the first of equals first. Short pieces by looking through all neighbours, longer ones by a heap, very long ones a window at a
// time; all three give the same.
#pragma once

#include "tokens/vocabulary.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace batchd {

class PieceMerger {
 public:
  static constexpr std::size_t longest_short = 96;
  static constexpr std::size_t default_window = 16'384;

  explicit PieceMerger(const Vocabulary& vocabulary, std::size_t window = default_window)
      : vocabulary_(vocabulary), window_(window) {}

  /// How many tokens the piece is. Time in proportion to its length; memory too, 4 bytes a token.
  std::size_t count(std::string_view piece);
  /// Where they end. Valid until the next call.
  const std::vector<std::uint32_t>& ends(std::string_view piece);

  /// The ways by themselves, for tests: any piece of at least one byte, `by_scan` up to longest_short bytes.
  std::size_t by_scan(std::string_view piece);
  void by_heap(std::string_view piece, std::vector<std::uint32_t>& ends);
  void by_windows(std::string_view piece, std::vector<std::uint32_t>& ends);

 private:
  struct Part {  // by where it starts
    std::uint32_t before, next;
    Rank rank;  // of it and the next one together
  };
  Rank joined(std::string_view piece, std::uint32_t at) const;
  bool stay_apart(std::string_view piece, std::uint32_t begin, std::uint32_t middle, std::uint32_t end);

  const Vocabulary& vocabulary_;
  std::size_t window_;
  std::uint8_t starts_[longest_short + 2];
  Rank ranks_[longest_short + 2];
  std::vector<Part> parts_;
  std::vector<std::uint64_t> heap_;
  std::vector<std::uint32_t> ends_, window_ends_;
};

}  // namespace batchd
