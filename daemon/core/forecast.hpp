// What requests that are not enqueued yet would come to: files, and when they would be answered. Pure, from what is observed.
#pragma once

#include "core/types.hpp"

#include <cstdint>
#include <optional>

namespace batchd {

/// Into how many files requests of one lane would be packed, one after the other.
class FileCounter {
 public:
  /// `bytes_per_request`: what a line adds to its body.
  FileCounter(std::int64_t max_requests, Bytes max_bytes, Bytes bytes_per_request)
      : max_requests_(max_requests), max_bytes_(max_bytes), extra_(bytes_per_request) {}
  void add(Bytes body);
  std::int64_t files() const { return files_; }

 private:
  std::int64_t max_requests_;
  Bytes max_bytes_, extra_;
  std::int64_t files_ = 0, requests_ = 0;
  Bytes bytes_ = 0;
};

/// From now until `wanted` tokens are answered that come behind `ahead` others, where `limit` may be enqueued at a time and a
/// batch usually takes `turnaround`; nothing when that is not known.
std::optional<Milliseconds> finish_in(Tokens ahead, Tokens wanted, Tokens limit, std::optional<Milliseconds> turnaround);

}  // namespace batchd
