// How often in a row a provider has denied a batch's file. Owned by the watch stage. A file may be invisible for a while
// (PROTOCOL.md 17), so that one denial proves nothing; and no other failure tells whether it is there.
#pragma once

#include "core/error.hpp"
#include "core/types.hpp"

#include <unordered_map>

namespace batchd {

class Denials {
 public:
  /// True when this is the denial that makes `most` in a row: the file is gone.
  bool prove(const BatchId& batch, const ProviderError& error, int most) {
    const bool denied = error.kind == ErrorKind::not_found;
    if (denied && ++counts_[batch] < most) return false;
    counts_.erase(batch);
    return denied;
  }
  void seen(const BatchId& batch) { counts_.erase(batch); }

 private:
  std::unordered_map<BatchId, int> counts_;
};

}  // namespace batchd
