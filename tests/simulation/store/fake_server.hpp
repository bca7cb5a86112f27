// The server under a fake database: its clock, its identity, its history, its chance. None of it is in a backup, so all copies of
// a database that were made from one another share it, whichever of them is in use.
#pragma once

#include "core/types.hpp"
#include "simulation/dice.hpp"

#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace batchd::simulation {

/// Time as the database stores it, since the schedule began.
using Instant = std::chrono::microseconds;
/// PostgreSQL's 'infinity'.
constexpr Instant infinity = Instant::max();

/// What PostgreSQL would have refused by a constraint: only a bug in whoever wrote it can bring that about, so that a campaign
/// counts it as a violation. The transaction is undone.
class ConstraintViolated : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

class FakeServer {
 public:
  FakeServer(std::function<Milliseconds()> now, Dice& dice) : now_(std::move(now)), dice_(dice) {}

  /// clock_timestamp(): never the same twice, because whole protocols rest on that (`since`, `suspected_at`, `wished_at`).
  Instant clock() {
    const Instant reading = std::chrono::duration_cast<Instant>(now_()) + skew_;
    last_ = reading <= last_ && last_ - reading < Milliseconds{1} ? last_ + Instant{1} : reading;
    return last_;
  }
  /// Sets the clock by so much, backwards if negative.
  void step_clock(Milliseconds by) {
    // Microseconds of their own tell the moments that are lived through a second time from the first ones.
    skew_ += std::chrono::duration_cast<Instant>(by) + Instant{dice_.between(std::int64_t{1}, std::int64_t{999})};
    last_ = Instant::min() / 2;
  }

  /// Another history begins: a standby was promoted, or a backup recovered to a point in time.
  void begin_timeline() { ++timeline_; }
  int timeline() const { return timeline_; }
  /// The database runs at another place from now on: a dump of it was restored there, or it was cloned.
  void move() { ++identity_; }
  std::int64_t identity() const { return identity_; }

  /// A backup has taken the place of what was here: whatever was under way in the database then is gone.
  void restored() { ++restores_; }
  int restores() const { return restores_; }

  /// As a transaction locks a row whose COMMIT is on its way: nobody leases the shard until what is returned is gone.
  std::shared_ptr<const void> lock(ShardId shard) {
    locked_->insert(shard);
    return {nullptr, [locked = locked_, shard](const void*) { locked->erase(locked->find(shard)); }};
  }
  bool is_locked(ShardId shard) const { return locked_->contains(shard); }

  Dice& dice() { return dice_; }

  /// Told when a duplicate is marked as used, that is when nobody will read its answers any more.
  std::function<void(const BatchId&)> on_stray_used;

  /// Throws ConstraintViolated, and remembers it for those who look afterwards, whoever swallows it.
  [[noreturn]] void violated(std::string constraint) {
    violations_.push_back(constraint);
    throw ConstraintViolated(constraint);
  }
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  std::function<Milliseconds()> now_;
  Dice& dice_;
  Instant skew_{0};
  Instant last_ = Instant::min() / 2;
  int timeline_ = 1;
  std::int64_t identity_ = 1;
  int restores_ = 0;
  std::shared_ptr<std::multiset<ShardId>> locked_ = std::make_shared<std::multiset<ShardId>>();
  std::vector<std::string> violations_;
};

}  // namespace batchd::simulation
