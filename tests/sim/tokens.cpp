#include "tokens.hpp"

#include <boost/json.hpp>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace sim {
namespace {

std::uint32_t quarter(std::uint64_t bytes) {
  return static_cast<std::uint32_t>((bytes + 3) / 4);
}

}  // namespace

TokenCounter TokenCounter::table(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("--token-table " + path + ": cannot be read");
  boost::system::error_code error;
  const auto parsed = boost::json::parse(std::string(std::istreambuf_iterator<char>(in), {}), error);
  if (error || !parsed.is_object())
    throw std::runtime_error("--token-table " + path + ": expected a JSON object {prompt: tokens}");
  TokenCounter counter;
  counter.by_table_ = true;
  Sha256Hasher hasher;
  for (const auto& [prompt, tokens] : parsed.get_object()) {
    if (!tokens.is_int64() || tokens.get_int64() < 0)
      throw std::runtime_error("--token-table " + path + ": tokens must be whole numbers");
    hasher.start();
    hasher.add({prompt.data(), prompt.size()});
    counter.table_[hex(hasher.finish())] = static_cast<std::uint32_t>(tokens.get_int64());
  }
  return counter;
}

std::uint32_t TokenCounter::count(std::uint64_t body_bytes, std::uint64_t prompt_bytes, const Sha256& prompt) const {
  if (!by_table_) return quarter(body_bytes);
  const auto known = table_.find(hex(prompt));
  return known == table_.end() ? quarter(prompt_bytes) : known->second;
}

}  // namespace sim
