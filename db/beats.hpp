// What a replica remembers of the database's word: for each of its terms, the highest count of beats that a commit has confirmed.
// A database that knows a lower one has gone back in time. The store owns one; threads of the pool share it.
#pragma once

#include "core/types.hpp"

#include <algorithm>
#include <map>
#include <mutex>

namespace batchd {

class Beats {
 public:
  /// The beats of a term that are known to be kept; 0 for one that has none yet.
  std::int64_t confirmed(Term term) const {
    const std::scoped_lock guard(lock_);
    const auto found = confirmed_.find(term);
    return found == confirmed_.end() ? 0 : found->second;
  }
  /// A transaction in which the database counted so many has been committed.
  void confirm(Term term, std::int64_t beats) {
    const std::scoped_lock guard(lock_);
    std::int64_t& known = confirmed_[term];
    known = std::max(known, beats);
  }
  /// The term is over.
  void forget(Term term) {
    const std::scoped_lock guard(lock_);
    confirmed_.erase(term);
  }

 private:
  mutable std::mutex lock_;
  std::map<Term, std::int64_t> confirmed_;
};

}  // namespace batchd
