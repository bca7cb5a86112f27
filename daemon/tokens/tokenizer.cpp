#include "tokens/tokenizer.hpp"

namespace batchd {

Tokenizer::Tokenizer(const Vocabulary& vocabulary)
    : vocabulary_(vocabulary),
      splitter_(vocabulary.encoding()),
      merger_(vocabulary),
      known_(std::make_unique<Known[]>(known_pieces)) {}

std::size_t Tokenizer::count_piece(std::string_view piece) {
  if (piece.size() == 1) return 1;
  if (piece.size() > vocabulary_.longest()) return merger_.count(piece);
  const std::uint64_t hash = hash_bytes(piece.data(), piece.size());
  if (vocabulary_.rank(piece.data(), piece.size(), hash) != no_rank) return 1;
  if (piece.size() > Known::longest) return merger_.count(piece);
  Known& known = known_[hash % known_pieces];
  if (known.size == piece.size() && std::memcmp(known.bytes, piece.data(), piece.size()) == 0) return known.tokens;
  const std::size_t tokens = merger_.count(piece);
  known.size = static_cast<std::uint8_t>(piece.size());
  known.tokens = static_cast<std::uint8_t>(tokens);
  std::memcpy(known.bytes, piece.data(), piece.size());
  return tokens;
}

Tokens Tokenizer::count(std::string_view text) {
  Tokens tokens = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = splitter_.piece_end(text, at);
    tokens += static_cast<Tokens>(count_piece(text.substr(at, end - at)));
    at = end;
  }
  return tokens;
}

std::vector<Rank> Tokenizer::encode(std::string_view text) {
  std::vector<Rank> ranks;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = splitter_.piece_end(text, at);
    const std::string_view piece = text.substr(at, end - at);
    at = end;
    const Rank whole = vocabulary_.rank(piece.data(), piece.size());
    if (whole != no_rank) {
      ranks.push_back(whole);
      continue;
    }
    std::uint32_t begin = 0;
    for (const std::uint32_t stop : merger_.ends(piece)) {
      ranks.push_back(vocabulary_.rank(piece.data() + begin, stop - begin));
      begin = stop;
    }
  }
  return ranks;
}

}  // namespace batchd
