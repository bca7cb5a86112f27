// Hashes that the simulator lives by: SHA-256 of prompts (what answers are checked with), and a compact set of 64-bit
// hashes that remembers what was seen in 16 bytes an entry at most.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct evp_md_ctx_st;
struct evp_md_st;

namespace sim {

using Sha256 = std::array<unsigned char, 32>;

/// One hasher, used for many messages: the costly set-up is done once.
class Sha256Hasher {
 public:
  Sha256Hasher();
  ~Sha256Hasher();
  Sha256Hasher(const Sha256Hasher&) = delete;
  Sha256Hasher& operator=(const Sha256Hasher&) = delete;

  void start();
  void add(std::string_view bytes);
  Sha256 finish();

 private:
  evp_md_st* algorithm_;
  evp_md_ctx_st* context_;
};

std::string hex(const Sha256& digest);
void append_hex(std::string& out, const Sha256& digest);
void append_hex(std::string& out, std::uint64_t value);

/// Mixes a number into one that looks random (splitmix64).
std::uint64_t mix(std::uint64_t value);
std::uint64_t hash_of(std::string_view bytes);
std::uint64_t hash_of(const Sha256& digest);

class HashSet {
 public:
  /// False when it was there already.
  bool insert(std::uint64_t hash);
  bool contains(std::uint64_t hash) const;
  std::size_t size() const { return size_; }

 private:
  void grow();
  bool place(std::uint64_t hash);

  std::vector<std::uint64_t> slots_;  ///< 0: free
  std::size_t size_ = 0;
};

}  // namespace sim
