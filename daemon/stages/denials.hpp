// How often in a row a provider has denied a batch's file. Owned by the watch stage. A file may be invisible for a while
// (PROTOCOL.md 17), so that one denial proves nothing; and no other failure tells whether it is there.
#pragma once

#include "core/error.hpp"
#include "core/types.hpp"

#include <unordered_map>

namespace batchd {

class Denials {
 public:
  /// True from the denial on that makes `most` in a row: the file is gone.
  bool prove(const BatchId& batch, const ProviderError& error, int most) {
    if (error.kind == ErrorKind::not_found) return ++counts_[batch] >= most;
    counts_.erase(batch);
    return false;
  }
  void seen(const BatchId& batch) { counts_.erase(batch); }

 private:
  std::unordered_map<BatchId, int> counts_;
};

}  // namespace batchd
