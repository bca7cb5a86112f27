#include "core/output_bound.hpp"

#include <algorithm>
#include <bit>

namespace batchd {
namespace {

// Eight buckets for each doubling, and one for each number below eight.
constexpr std::size_t buckets_a_doubling = 8;
constexpr int doubling_bits = 3;
constexpr Tokens most_output_tokens = 1'000'000'000;

}  // namespace

std::size_t OutputSizes::bucket_of(Tokens tokens) {
  const auto value = static_cast<std::uint64_t>(std::clamp<Tokens>(tokens, 0, most_output_tokens));
  if (value < buckets_a_doubling) return static_cast<std::size_t>(value);
  const int shift = std::bit_width(value) - 1 - doubling_bits;
  return buckets_a_doubling + static_cast<std::size_t>(shift) * buckets_a_doubling +
         static_cast<std::size_t>((value >> shift) - buckets_a_doubling);
}

Tokens OutputSizes::top_of(std::size_t bucket) {
  if (bucket < buckets_a_doubling) return static_cast<Tokens>(bucket);
  const std::size_t shift = (bucket - buckets_a_doubling) / buckets_a_doubling;
  const std::size_t step = (bucket - buckets_a_doubling) % buckets_a_doubling;
  return static_cast<Tokens>(((buckets_a_doubling + step + 1) << shift) - 1);
}

OutputSizes::OutputSizes(std::vector<std::int64_t> counts) : counts_(std::move(counts)) {
  counts_.resize(std::min(counts_.size(), bucket_of(most_output_tokens) + 1));
  for (std::int64_t& count : counts_) {
    count = std::clamp<std::int64_t>(count, 0, 2 * many);
    total_ += count;
  }
}

void OutputSizes::add(Tokens output) {
  const std::size_t bucket = bucket_of(output);
  if (counts_.size() <= bucket) counts_.resize(bucket + 1);
  ++counts_[bucket];
  ++total_;
}

void OutputSizes::add(const OutputSizes& newer) {
  if (counts_.size() < newer.counts_.size()) counts_.resize(newer.counts_.size());
  for (std::size_t i = 0; i < newer.counts_.size(); ++i) counts_[i] += newer.counts_[i];
  total_ += newer.total_;
  while (total_ > many) {
    total_ = 0;
    for (std::int64_t& count : counts_) {
      count /= 2;
      total_ += count;
    }
  }
}

std::optional<Tokens> OutputSizes::usual() const {
  if (total_ < enough) return std::nullopt;
  std::int64_t below = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) {
    below += counts_[bucket];
    if (below * 100 >= total_ * 99) return top_of(bucket);
  }
  return std::nullopt;
}

Tokens OutputSizes::mean() const {
  if (total_ == 0) return 0;
  Tokens sum = 0;
  for (std::size_t bucket = 0; bucket < counts_.size(); ++bucket) sum += counts_[bucket] * top_of(bucket);
  return sum / total_;
}

}  // namespace batchd
