#include "tokens/vocabulary.hpp"

#include "tokens/base64.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace batchd {
namespace {

[[noreturn]] void refuse(Encoding encoding, const std::string& why) {
  throw std::runtime_error("this is not the vocabulary of " + std::string(to_string(encoding)) + ": " + why);
}

constexpr std::array<signed char, 256> make_sextets() {
  std::array<signed char, 256> sextets{};
  for (signed char& sextet : sextets) sextet = -1;
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < alphabet.size(); ++i)
    sextets[static_cast<unsigned char>(alphabet[i])] = static_cast<signed char>(i);
  return sextets;
}

constexpr auto sextets = make_sextets();

}  // namespace

std::size_t decode_base64(std::string_view text, std::string& out, std::size_t at_most) {
  const std::size_t before = out.size();
  std::uint32_t bits = 0;
  int held = 0;
  for (const char c : text) {
    const signed char sextet = sextets[static_cast<unsigned char>(c)];
    if (sextet < 0 || out.size() - before >= at_most) break;
    bits = bits << 6 | static_cast<std::uint32_t>(sextet);
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out += static_cast<char>(bits >> held & 0xFF);
  }
  return out.size() - before;
}

Vocabulary::Vocabulary(Encoding encoding, std::string_view text, std::size_t expected) : encoding_(encoding) {
  slots_.resize(2 * expected);
  pairs_.assign(65'536, no_rank);
  bytes_.reserve(text.size() / 2);
  std::size_t count = 0;
  std::size_t single = 0;
  std::string token;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty()) continue;
    const std::size_t blank = line.find(' ');
    Rank rank = no_rank;
    if (blank != std::string_view::npos) {
      const char* const end = line.data() + line.size() - (line.ends_with('\r') ? 1 : 0);
      if (std::from_chars(line.data() + blank + 1, end, rank).ptr != end) rank = no_rank;
    }
    token.clear();
    decode_base64(line.substr(0, blank), token);
    if (rank >= rank_limit || token.empty() || token.size() > 255) refuse(encoding, "line " + std::to_string(count + 1));
    if (++count > expected || bytes_.size() + token.size() > offset_mask) refuse(encoding, "it is too long");
    single += token.size() == 1;
    add(token, rank);
  }
  if (count != expected || single != 256) refuse(encoding, "it has " + std::to_string(count) + " tokens");
  bytes_.shrink_to_fit();
}

void Vocabulary::add(std::string_view token, Rank rank) {
  const std::uint64_t hash = hash_bytes(token.data(), token.size());
  std::size_t at = place(hash);
  while (slots_[at] != 0) at = at + 1 == slots_.size() ? 0 : at + 1;
  slots_[at] = std::uint64_t{rank} << rank_shift | std::uint64_t{bytes_.size()} << offset_shift |
               std::uint64_t{token.size()} << length_shift | (hash & tag_mask);
  bytes_ += token;
  longest_ = std::max(longest_, token.size());
  if (token.size() == 2) {
    pairs_[std::size_t{static_cast<unsigned char>(token[0])} << 8 | static_cast<unsigned char>(token[1])] = rank;
  }
}

}  // namespace batchd
