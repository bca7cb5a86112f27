// The only source of chance in a schedule: the same seed gives the same numbers on every machine.
#pragma once

#include "core/types.hpp"

#include <cstdint>
#include <vector>

namespace batchd::simulation {

/// SplitMix64 (Steele, Lea, Flood 2014): short, fast, the same everywhere.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  /// From `low` to `high`, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  Milliseconds between(Milliseconds low, Milliseconds high) { return Milliseconds{between(low.count(), high.count())}; }
  /// True in `chance` of all cases, from 0 to 1.
  bool flip(double chance) { return static_cast<double>(next() >> 11) * 0x1.0p-53 < chance; }
  template <class T>
  const T& pick(const std::vector<T>& choices) {
    return choices[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(choices.size()) - 1))];
  }
  /// Dice of its own for a part of the schedule: what one part draws does not change what another one sees.
  Dice fork() { return Dice(next()); }

 private:
  std::uint64_t state_;
};

}  // namespace batchd::simulation
