#include "hashing.hpp"

#include <openssl/evp.h>

#include <cstring>
#include <functional>
#include <stdexcept>
#include <utility>

namespace sim {
namespace {

constexpr char hex_digits[] = "0123456789abcdef";

}  // namespace

Sha256Hasher::Sha256Hasher() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  if (algorithm_ == nullptr || context_ == nullptr) throw std::runtime_error("OpenSSL has no SHA-256");
}

Sha256Hasher::~Sha256Hasher() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

void Sha256Hasher::start() {
  EVP_DigestInit_ex2(context_, algorithm_, nullptr);
}

void Sha256Hasher::add(std::string_view bytes) {
  EVP_DigestUpdate(context_, bytes.data(), bytes.size());
}

Sha256 Sha256Hasher::finish() {
  Sha256 digest{};
  EVP_DigestFinal_ex(context_, digest.data(), nullptr);
  return digest;
}

void append_hex(std::string& out, const Sha256& digest) {
  char text[64];
  for (std::size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = hex_digits[digest[i] >> 4];
    text[2 * i + 1] = hex_digits[digest[i] & 15];
  }
  out.append(text, sizeof text);
}

void append_hex(std::string& out, std::uint64_t value) {
  char text[16];
  for (int i = 0; i < 16; ++i) text[i] = hex_digits[(value >> (60 - 4 * i)) & 15];
  out.append(text, sizeof text);
}

std::string hex(const Sha256& digest) {
  std::string out;
  append_hex(out, digest);
  return out;
}

std::uint64_t mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t hash_of(std::string_view bytes) {
  return mix(std::hash<std::string_view>{}(bytes));
}

std::uint64_t hash_of(const Sha256& digest) {
  std::uint64_t word;
  std::memcpy(&word, digest.data(), sizeof word);
  return word;
}

bool HashSet::insert(std::uint64_t hash) {
  if (hash == 0) hash = 1;
  if ((size_ + 1) * 4 > slots_.size() * 3) grow();
  const bool added = place(hash);
  size_ += added ? 1 : 0;
  return added;
}

bool HashSet::contains(std::uint64_t hash) const {
  if (slots_.empty()) return false;
  if (hash == 0) hash = 1;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask; slots_[at] != 0; at = (at + 1) & mask) {
    if (slots_[at] == hash) return true;
  }
  return false;
}

bool HashSet::place(std::uint64_t hash) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash & mask;
  for (; slots_[at] != 0; at = (at + 1) & mask) {
    if (slots_[at] == hash) return false;
  }
  slots_[at] = hash;
  return true;
}

void HashSet::grow() {
  const auto old = std::exchange(slots_, std::vector<std::uint64_t>(slots_.empty() ? 1024 : slots_.size() * 2));
  for (const auto hash : old) {
    if (hash != 0) place(hash);
  }
}

}  // namespace sim
