#include "core/forecast.hpp"

#include <algorithm>
#include <cmath>

namespace batchd {

void FileCounter::add(Bytes body) {
  const Bytes line = body + extra_;
  if (files_ == 0 || requests_ >= max_requests_ || bytes_ + line > max_bytes_) {
    ++files_;
    requests_ = 0;
    bytes_ = 0;
  }
  ++requests_;
  bytes_ += line;
}

std::optional<Milliseconds> finish_in(Tokens ahead, Tokens wanted, Tokens limit, std::optional<Milliseconds> turnaround) {
  if (!turnaround || limit <= 0) return std::nullopt;
  const double rounds = std::ceil(static_cast<double>(ahead + wanted) / static_cast<double>(limit));
  constexpr double longest = 1e13;  // some centuries
  return Milliseconds{
      static_cast<std::int64_t>(std::min(longest, std::max(1.0, rounds) * static_cast<double>(turnaround->count())))};
}

}  // namespace batchd
