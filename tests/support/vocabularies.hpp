// Small vocabularies of the tests' own.
#pragma once

#include "tokens/vocabulary.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace batchd::test {

inline std::string base64_of(std::string_view bytes) {
  constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (std::size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : alphabet[bits >> (18 - 6 * k) & 63];
  }
  return out;
}

/// Every byte, then these, by rising rank.
inline Vocabulary small_vocabulary(Encoding encoding, const std::vector<std::string>& more = {}) {
  std::string text;
  std::size_t rank = 0;
  for (int byte = 0; byte < 256; ++byte)
    text += base64_of(std::string(1, static_cast<char>(byte))) + " " + std::to_string(rank++) + "\n";
  for (const std::string& token : more) text += base64_of(token) + " " + std::to_string(rank++) + "\n";
  return Vocabulary(encoding, text, rank);
}

}  // namespace batchd::test
