// This replica's standing among the others: its term, kept alive by a heartbeat.
// The row in the database is the truth; the local clock may only shorten the trust in it. Whoever calls a provider asks
// `trusted()` first, whoever writes carries `term()`.
#pragma once

#include "core/types.hpp"
#include "db/store.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "runtime/clock.hpp"

#include <functional>
#include <optional>
#include <string>

namespace batchd {

class Session {
 public:
  Session(Store& store, Clock& clock, Log& log, Metrics& metrics, ReplicaInfo self, Milliseconds ttl)
      : store_(store), clock_(clock), log_(log), metrics_(metrics), self_(std::move(self)), ttl_(ttl) {}

  /// True while this replica may act: its heartbeat was renewed less than two thirds of the ttl ago.
  bool trusted() const { return term_ && clock_.now() < trusted_until_; }
  /// The same for what was leased under a term: true only while that is still the present one.
  bool trusted(Term lease) const { return trusted() && *term_ == lease; }
  /// The present term; only meaningful while `trusted()`.
  Term term() const { return term_.value_or(Term{}); }

  /// Joins when there is no term, else renews it, and buries replicas that stopped renewing. Throws StoreError; and
  /// std::runtime_error when the database was adopted as another instance since this process joined first.
  Task<void> beat();
  /// Called when others were found dead: their shards and roles are free now. Set before run().
  std::function<void()> on_burial;
  /// Called under the new term when the database had gone back, before anything else is done: what this process had written
  /// there when it started may be gone. False when that term is over already: it is called again under the next. Set before
  /// run().
  std::function<Task<bool>(Term term)> on_rewound;
  /// Beats for ever, three times a ttl.
  Task<void> run();
  /// Gives everything back, for good; whatever is still under way counts as abandoned.
  Task<void> leave();

  /// The process is about to end: steps that take long and lose nothing by being broken off do so at their next pause.
  void hand_back() { handing_back_ = true; }
  bool handing_back() const { return handing_back_; }

 private:
  Store& store_;
  Clock& clock_;
  Log& log_;
  Metrics& metrics_;
  ReplicaInfo self_;
  Milliseconds ttl_;
  std::string instance_;  // under which everything of this process is named
  std::optional<Term> term_;
  Clock::TimePoint trusted_until_{};
  std::optional<Clock::TimePoint> last_burial_;
  bool rewound_ = false;  // and on_rewound is not done yet
  bool handing_back_ = false;
  bool left_ = false;
};

}  // namespace batchd
