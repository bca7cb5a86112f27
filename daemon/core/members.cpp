#include "core/members.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <stdexcept>

namespace batchd {
namespace {

constexpr auto before_rank = [](std::size_t rank, const auto& span) { return rank < span.rank; };

}  // namespace

Members::Members(std::vector<MemberChunk> chunks) : chunks_(std::move(chunks)) {
  for (std::size_t c = 0; c < chunks_.size(); ++c) {
    chunk_start_.push_back(size_);
    for (const IdRange& range : chunks_[c].ranges) {
      by_rank_.push_back({range.first, range.last, size_, c});
      size_ += static_cast<std::size_t>(range.last - range.first + 1);
    }
  }
  by_id_ = by_rank_;
  std::sort(by_id_.begin(), by_id_.end(), [](const Span& a, const Span& b) { return a.first < b.first; });
}

std::optional<std::size_t> Members::rank(RequestId id) const {
  auto after =
      std::upper_bound(by_id_.begin(), by_id_.end(), id.value, [](std::int64_t v, const Span& s) { return v < s.first; });
  if (after == by_id_.begin()) return std::nullopt;
  const Span& span = *std::prev(after);
  if (id.value > span.last) return std::nullopt;
  return span.rank + static_cast<std::size_t>(id.value - span.first);
}

FlowId Members::flow_at(std::size_t rank) const {
  const auto after = std::upper_bound(by_rank_.begin(), by_rank_.end(), rank, before_rank);
  return chunks_[std::prev(after)->chunk].flow;
}

RequestId Members::at(std::size_t rank) const {
  const Span& span = *std::prev(std::upper_bound(by_rank_.begin(), by_rank_.end(), rank, before_rank));
  return RequestId{span.first + static_cast<std::int64_t>(rank - span.rank)};
}

std::optional<std::vector<IdRange>> parse_multirange(std::string_view text) {
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::vector<IdRange> ranges;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    if (!ranges.empty() && *at++ != ',') return std::nullopt;
    if (at == end || *at++ != '[') return std::nullopt;
    IdRange range;
    const auto [mid, first_error] = std::from_chars(at, end, range.first);
    if (first_error != std::errc{} || mid == end || *mid != ',') return std::nullopt;
    const auto [stop, last_error] = std::from_chars(mid + 1, end, range.last);
    if (last_error != std::errc{} || stop == end || *stop != ')') return std::nullopt;
    if (range.last <= range.first) return std::nullopt;
    --range.last;  // the canonical form excludes its upper bound
    ranges.push_back(range);
    at = stop + 1;
  }
  return ranges;
}

Bitmap::Bitmap(std::string bytes, std::size_t size) : bytes_(std::move(bytes)), size_(size) {
  if (bytes_.size() != (size_ + 7) / 8) throw std::invalid_argument("a bitmap of the wrong length for its shard");
}

std::size_t Bitmap::count() const {
  std::size_t set = 0;
  for (const char c : bytes_) set += static_cast<std::size_t>(std::popcount(static_cast<unsigned char>(c)));
  return set;
}

}  // namespace batchd
