#include "tokens/merge.hpp"

#include <algorithm>
#include <functional>

namespace batchd {

std::size_t PieceMerger::count(std::string_view piece) {
  if (piece.size() <= longest_short) return piece.empty() ? 0 : by_scan(piece);
  return ends(piece).size();
}

const std::vector<std::uint32_t>& PieceMerger::ends(std::string_view piece) {
  ends_.clear();
  if (piece.empty()) return ends_;
  if (piece.size() <= longest_short) {
    const std::size_t parts = by_scan(piece);
    ends_.assign(starts_ + 1, starts_ + parts + 1);
  } else if (piece.size() <= window_) {
    by_heap(piece, ends_);
  } else {
    by_windows(piece, ends_);
  }
  return ends_;
}

std::size_t PieceMerger::by_scan(std::string_view piece) {
  const char* const bytes = piece.data();
  std::size_t parts = piece.size();
  for (std::size_t i = 0; i <= parts; ++i) starts_[i] = static_cast<std::uint8_t>(i);
  std::size_t best = 0;
  for (std::size_t i = 0; i + 1 < parts; ++i) {
    ranks_[i] = vocabulary_.pair(bytes[i], bytes[i + 1]);
    if (ranks_[i] < ranks_[best]) best = i;
  }
  while (parts > 1 && ranks_[best] != no_rank) {
    // Part best + 1 joins part best.
    const std::size_t moved = parts - best - 1;
    std::copy(starts_ + best + 2, starts_ + best + 2 + moved, starts_ + best + 1);
    std::copy(ranks_ + best + 2, ranks_ + best + 1 + moved, ranks_ + best + 1);
    --parts;
    const auto pair_at = [&](std::size_t i) {
      return i + 1 < parts ? vocabulary_.rank(bytes + starts_[i], std::size_t{starts_[i + 2]} - starts_[i]) : no_rank;
    };
    ranks_[best] = pair_at(best);
    if (best > 0) ranks_[best - 1] = pair_at(best - 1);
    best = static_cast<std::size_t>(std::min_element(ranks_, ranks_ + parts - 1) - ranks_);
  }
  return parts;
}

Rank PieceMerger::joined(std::string_view piece, std::uint32_t at) const {
  const std::uint32_t next = parts_[at].next;
  if (next >= piece.size()) return no_rank;
  return vocabulary_.rank(piece.data() + at, parts_[next].next - at);
}

void PieceMerger::by_heap(std::string_view piece, std::vector<std::uint32_t>& ends) {
  const auto size = static_cast<std::uint32_t>(piece.size());
  parts_.resize(size);
  heap_.clear();
  const auto first_is_least = std::greater<>();
  for (std::uint32_t i = 0; i < size; ++i) {
    parts_[i] = {i - 1, i + 1, i + 1 < size ? vocabulary_.pair(piece[i], piece[i + 1]) : no_rank};
    if (parts_[i].rank != no_rank) heap_.push_back(std::uint64_t{parts_[i].rank} << 32 | i);
  }
  std::make_heap(heap_.begin(), heap_.end(), first_is_least);
  const auto renew = [&](std::uint32_t at) {
    const Rank rank = joined(piece, at);
    parts_[at].rank = rank;
    if (rank == no_rank) return;
    heap_.push_back(std::uint64_t{rank} << 32 | at);
    std::push_heap(heap_.begin(), heap_.end(), first_is_least);
  };
  while (!heap_.empty()) {
    const std::uint64_t least = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), first_is_least);
    heap_.pop_back();
    const auto at = static_cast<std::uint32_t>(least);
    if (parts_[at].rank != least >> 32) continue;  // it or its neighbour has become another one since
    const std::uint32_t gone = parts_[at].next;
    parts_[at].next = parts_[gone].next;
    parts_[gone].rank = no_rank;
    if (parts_[at].next < size) parts_[parts_[at].next].before = at;
    renew(at);
    if (at > 0) renew(parts_[at].before);
  }
  for (std::uint32_t at = 0; at < size; at = parts_[at].next) ends.push_back(parts_[at].next);
}

/// Whether the tokens [begin, middle) and [middle, end) come out as they are when they stand side by side.
bool PieceMerger::stay_apart(std::string_view piece, std::uint32_t begin, std::uint32_t middle, std::uint32_t end) {
  window_ends_.clear();
  by_heap(piece.substr(begin, end - begin), window_ends_);
  return window_ends_.size() == 2 && window_ends_[0] == middle - begin;
}

// A row of tokens is what the whole piece becomes if, and only if, every two neighbours stay apart by themselves: the first merge
// across a border would be made between those two alone as well. So a piece can be read a window at a time. The last tokens of
// a window are left to the next one, for what follows may change them, and where the windows meet the two neighbours are tried;
// when they do not stay apart, the next window starts a token earlier and is twice as long.
void PieceMerger::by_windows(std::string_view piece, std::vector<std::uint32_t>& ends) {
  const std::size_t before = ends.size();
  const std::size_t margin = 2 * vocabulary_.longest();
  std::size_t window = std::max(window_, 4 * margin);
  std::vector<std::uint32_t> found;
  while (ends.size() == before || ends.back() < piece.size()) {
    const std::uint32_t begin = ends.size() == before ? 0 : ends.back();
    const std::string_view part = piece.substr(begin, window);
    const bool last = begin + part.size() == piece.size();
    found.clear();
    by_heap(part, found);
    if (begin > 0) {
      const std::uint32_t earlier = ends.size() - 1 == before ? 0 : ends[ends.size() - 2];
      if (!stay_apart(piece, earlier, begin, begin + found.front())) {
        ends.pop_back();
        window *= 2;
        continue;
      }
    }
    for (const std::uint32_t end : found) {
      if (!last && end + margin > part.size()) break;
      ends.push_back(begin + end);
    }
    window = std::max(window_, 4 * margin);
  }
}

}  // namespace batchd
