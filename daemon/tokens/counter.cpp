#include "tokens/counter.hpp"

#include "core/tokens.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace batchd {
namespace {

constexpr std::int64_t fewest = 8;
constexpr double standard_errors = 4;

int stratum_of(Tokens estimated, std::string_view body) {
  const auto bytes = static_cast<double>(std::max<std::size_t>(body.size(), 1));
  const auto beyond_ascii = std::count_if(body.begin(), body.end(), [](char c) { return (c & 0x80) != 0; });
  const auto size = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(estimated)));
  const auto density = static_cast<int>(16.0 * static_cast<double>(estimated) / bytes);
  const auto script = static_cast<int>(std::lround(3.0 * static_cast<double>(beyond_ascii) / bytes));
  return (size * 32 + std::clamp(density, 0, 31)) * 4 + script;
}

}  // namespace

TokenCounter::TokenCounter(const Vocabulary* vocabulary, const BodyKind& kind, Bytes expected, CountingPolicy policy)
    : policy_(policy), left_(expected > policy.exact ? 0 : policy.exact) {
  if (vocabulary) counter_.emplace(*vocabulary, kind);
}

void TokenCounter::add(std::string_view body) {
  ++sure_.lines;
  const auto bytes = static_cast<Bytes>(body.size());
  if (!counter_) {
    sure_.tokens += estimate_tokens(body);
    return;
  }
  if (bytes <= left_ || body.find("data:image") != std::string_view::npos) {
    left_ = std::max<Bytes>(left_ - bytes, 0);
    ++sure_.counted;
    sure_.tokens += counter_->count(body);
    return;
  }
  left_ = 0;
  const Tokens estimated = estimate_tokens(body);
  const auto x = static_cast<double>(estimated);
  Stratum& stratum = strata_[stratum_of(estimated, body)];
  stratum.all += x;
  if (is_chosen(stratum)) {
    const auto y = static_cast<double>(counter_->count(body));
    Stratum one;
    one.counted = 1;
    one.x = x;
    one.y = y;
    one.xx = x * x;
    one.xy = x * y;
    one.yy = y * y;
    stratum.take(one);
    ++sure_.counted;
  }
  ++stratum.bodies;
}

bool TokenCounter::is_chosen(Stratum& stratum) {
  const auto dozen = static_cast<std::uint64_t>(policy_.one_in);
  const std::uint64_t place = static_cast<std::uint64_t>(stratum.bodies) % dozen;
  if (place == 0) {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    stratum.chosen = random_ % dozen;
  }
  return place == stratum.chosen;
}

void TokenCounter::Stratum::take(const Stratum& other) {
  bodies += other.bodies;
  counted += other.counted;
  all += other.all;
  x += other.x;
  y += other.y;
  xx += other.xx;
  xy += other.xy;
  yy += other.yy;
}

TokenCounter::Guess TokenCounter::guess(const Stratum& s) {
  if (s.counted < fewest || s.x <= 0) return {s.y + std::max(s.all - s.x, 0.0), 0};
  const double ratio = s.y / s.x;
  const auto n = static_cast<double>(s.counted);
  const double squares = std::max(s.yy - 2 * ratio * s.xy + ratio * ratio * s.xx, 0.0) / (n - 1);
  // The usual n / N of the bodies, corrected for a sample whose bodies are longer or shorter than all.
  const double share = s.x / s.all;
  return {ratio * s.all, n * squares * std::max(1 - share, 0.0) / (share * share)};
}

TokenEstimate TokenCounter::total() const {
  TokenEstimate total = sure_;
  Stratum rest;
  double tokens = 0;
  double variance = 0;
  const auto add_guess = [&](const Stratum& stratum) {
    const Guess one = guess(stratum);
    tokens += one.tokens;
    variance += one.variance;
  };
  for (const auto& [key, stratum] : strata_) {
    if (stratum.counted < fewest) {
      rest.take(stratum);
    } else {
      add_guess(stratum);
    }
  }
  add_guess(rest);
  total.tokens += std::llround(tokens);
  total.bound = static_cast<Tokens>(std::ceil(standard_errors * std::sqrt(variance)));
  return total;
}

}  // namespace batchd
