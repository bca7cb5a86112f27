// What a replica remembers of the database's word: for each of its terms, the instance in which it began and the highest count of
// beats that a commit has confirmed. A database that knows a lower one, or not even that the term was there, has gone back in
// time. The store owns one; threads of the pool share it.
#pragma once

#include "core/types.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace batchd {

class Beats {
 public:
  /// The transaction in which the term began has been committed.
  void begin(Term term, std::string instance) {
    const std::scoped_lock guard(lock_);
    terms_[term].instance = std::move(instance);
  }
  /// Where a term began; "" for one that did not begin here, or is over.
  std::string instance(Term term) const {
    const std::scoped_lock guard(lock_);
    const auto found = terms_.find(term);
    return found == terms_.end() ? std::string{} : found->second.instance;
  }
  /// The beats of a term that are known to be kept; 0 for one that has none yet.
  std::int64_t confirmed(Term term) const {
    const std::scoped_lock guard(lock_);
    const auto found = terms_.find(term);
    return found == terms_.end() ? 0 : found->second.confirmed;
  }
  /// A transaction in which the database counted so many has been committed.
  void confirm(Term term, std::int64_t beats) {
    const std::scoped_lock guard(lock_);
    std::int64_t& known = terms_[term].confirmed;
    known = std::max(known, beats);
  }
  /// The term is over.
  void forget(Term term) {
    const std::scoped_lock guard(lock_);
    terms_.erase(term);
  }

 private:
  struct Known {
    std::string instance;
    std::int64_t confirmed = 0;
  };

  mutable std::mutex lock_;
  std::map<Term, Known> terms_;
};

}  // namespace batchd
