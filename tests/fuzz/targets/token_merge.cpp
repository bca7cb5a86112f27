// Byte-pair encoding: looking through all neighbours, the heap and the windows make the same tokens of a piece, whatever the
// vocabulary; a text's pieces are the text, each is the same read alone, and its count is the number of its tokens. Input: 16
// bytes that choose the vocabulary, then the piece.
#include "harness.hpp"
#include "support/vocabularies.hpp"
#include "tokens/tokenizer.hpp"

#include <algorithm>

namespace batchd::fuzz {
namespace {

/// Tokens of two to five bytes out of eight letters; which, and in what order, the bytes say.
Vocabulary chosen_vocabulary(Encoding encoding, std::string_view choice) {
  constexpr std::string_view letters = "ab 'e1\xC3\xA9";
  std::uint32_t state = 2166136261U;
  std::vector<std::string> tokens;
  for (int i = 0; i < 48; ++i) {
    state = (state ^ static_cast<unsigned char>(choice[static_cast<std::size_t>(i) % choice.size()])) * 16777619U;
    std::string token;
    for (std::uint32_t k = 0, bits = state >> 3; k < 2 + (state & 3); ++k, bits >>= 3) token += letters[bits & 7];
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  }
  return test::small_vocabulary(encoding, tokens);
}

}  // namespace

void check(std::string_view input) {
  if (input.size() < 17) return;
  const Encoding encoding = input[0] % 2 == 0 ? Encoding::o200k_base : Encoding::cl100k_base;
  const Vocabulary vocabulary = chosen_vocabulary(encoding, input.substr(0, 16));
  const std::string_view text = input.substr(16);
  PieceMerger merger(vocabulary, 1);
  std::vector<std::uint32_t> heap;
  std::vector<std::uint32_t> windows;
  merger.by_heap(text, heap);
  merger.by_windows(text, windows);
  holds(heap == windows, "the windows make what the heap makes");
  if (text.size() <= PieceMerger::longest_short) holds(merger.by_scan(text) == heap.size(), "the scan makes what the heap makes");

  Tokenizer tokenizer(vocabulary);
  const Splitter splitter(encoding);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = splitter.piece_end(text, at);
    holds(end > at && end <= text.size(), "a piece is some of the text");
    holds(splitter.piece_end(text.substr(at), 0) == end - at, "what stands before a piece does not matter");
    at = end;
  }
  holds(tokenizer.count(text) <= static_cast<Tokens>(text.size()), "a token is a byte at least");
  holds(tokenizer.count(text) == static_cast<Tokens>(tokenizer.encode(text).size()), "as many as there are");
}

}  // namespace batchd::fuzz
