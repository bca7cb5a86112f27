#include "core/backoff.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// splitmix64: well-mixed bits from any seed.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

Milliseconds backoff(const BackoffPolicy& policy, int failures, std::uint64_t seed, std::optional<Milliseconds> asked) {
  const int doublings = std::clamp(failures - 1, 0, 40);
  const std::int64_t most = std::max<std::int64_t>(policy.max.count(), 1);
  const std::int64_t base = std::max<std::int64_t>(policy.base.count(), 1);
  const std::int64_t whole = base > (most >> doublings) ? most : base << doublings;
  const auto jitter =
      static_cast<std::int64_t>(mix(seed + static_cast<std::uint64_t>(failures)) % static_cast<std::uint64_t>(whole / 2 + 1));
  const Milliseconds delay{whole - jitter};
  if (!asked) return delay;
  return std::max(delay, std::min(*asked, Milliseconds{std::chrono::hours{24}}));
}

}  // namespace batchd
