// Counts the tokens of texts exactly as OpenAI's tokenizer does; what spells a special token (`<|endoftext|>`) is ordinary text.
// Holds a bounded memory of pieces met before: one object a thread.
#pragma once

#include "core/types.hpp"
#include "tokens/merge.hpp"
#include "tokens/split.hpp"

#include <memory>
#include <string_view>
#include <vector>

namespace batchd {

class Tokenizer {
 public:
  /// The vocabulary must outlive it.
  explicit Tokenizer(const Vocabulary& vocabulary);

  Encoding encoding() const { return vocabulary_.encoding(); }
  /// `text` is UTF-8; what is not counts as some number of tokens too.
  Tokens count(std::string_view text);
  /// The tokens themselves, by their ranks.
  std::vector<Rank> encode(std::string_view text);

 private:
  /// A piece that is no token itself, and how many it is.
  struct Known {
    static constexpr std::size_t longest = 30;
    std::uint8_t size = 0;
    std::uint8_t tokens = 0;
    char bytes[longest];
  };
  static constexpr std::size_t known_pieces = 4096;  // 128 KB
  std::size_t count_piece(std::string_view piece);

  const Vocabulary& vocabulary_;
  Splitter splitter_;
  PieceMerger merger_;
  std::unique_ptr<Known[]> known_;
};

}  // namespace batchd
