// Which requests a shard holds, and which of them are decided.
// Ids are kept as ranges (a shard of contiguous requests is one range), grouped by the flow they came from;
// a request's rank is its place in that order and its bit in the bitmap. Both are values: no I/O.
#pragma once

#include "core/types.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// Ids first .. last, both included.
struct IdRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  friend bool operator==(const IdRange&, const IdRange&) = default;
};

/// A run of members that came from one flow, in ascending order of id.
struct MemberChunk {
  FlowId flow;
  std::vector<IdRange> ranges;  ///< ascending, disjoint
};

class Members {
 public:
  Members() = default;
  explicit Members(std::vector<MemberChunk> chunks);

  std::size_t size() const { return size_; }
  /// The place of a request among the members; nothing when it is not one of them.
  std::optional<std::size_t> rank(RequestId id) const;
  FlowId flow_at(std::size_t rank) const;
  RequestId at(std::size_t rank) const;
  const std::vector<MemberChunk>& chunks() const { return chunks_; }
  /// The rank of the first member of a chunk.
  std::size_t first_rank(std::size_t chunk) const { return chunk_start_[chunk]; }

 private:
  struct Span {
    std::int64_t first, last;
    std::size_t rank;  // of `first`
    std::size_t chunk;
  };
  std::vector<MemberChunk> chunks_;
  std::vector<std::size_t> chunk_start_;
  std::vector<Span> by_rank_;
  std::vector<Span> by_id_;
  std::size_t size_ = 0;
};

/// Reads PostgreSQL's text form of an int8multirange, `{[1,5),[9,10)}`; nothing when it is malformed.
std::optional<std::vector<IdRange>> parse_multirange(std::string_view text);

/// One bit a member, set when the member is decided (settled or returned); bytes as stored, least significant bit first.
class Bitmap {
 public:
  explicit Bitmap(std::size_t size = 0) : bytes_((size + 7) / 8, '\0'), size_(size) {}
  Bitmap(std::string bytes, std::size_t size);

  bool test(std::size_t i) const { return (static_cast<unsigned char>(bytes_[i / 8]) >> (i % 8)) & 1U; }
  void set(std::size_t i) { bytes_[i / 8] = static_cast<char>(static_cast<unsigned char>(bytes_[i / 8]) | (1U << (i % 8))); }
  std::size_t size() const { return size_; }
  std::size_t count() const;
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::size_t size_;
};

}  // namespace batchd
