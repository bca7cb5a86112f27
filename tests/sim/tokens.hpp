// How the simulator counts the tokens of a request, by itself and never by the daemon's rules.
#pragma once

#include "hashing.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace sim {

class TokenCounter {
 public:
  /// The bytes of the body divided by four, rounded up.
  static TokenCounter bytes4() { return TokenCounter(); }
  /// `path` names a JSON object {prompt: tokens}; prompts that it lacks count as bytes4 of the prompt.
  /// Throws std::runtime_error with the reason when the file cannot be used.
  static TokenCounter table(const std::string& path);

  std::uint32_t count(std::uint64_t body_bytes, std::uint64_t prompt_bytes, const Sha256& prompt) const;

 private:
  bool by_table_ = false;
  std::unordered_map<std::string, std::uint32_t> table_;  ///< by the prompt's SHA-256 in hex
};

}  // namespace sim
