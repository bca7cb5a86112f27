// A stage moves shards along one arrow of the drawing in core/shard.hpp. All stages are this one loop around `run_once`:
// do what is due, then wait until the interval is over or somebody rings.
#pragma once

#include "core/backoff.hpp"
#include "core/shard.hpp"
#include "db/store.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "provider/provider.hpp"
#include "runtime/clock.hpp"
#include "runtime/task.hpp"
#include "stages/session.hpp"
#include "tokens/vocabularies.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace batchd {

/// The code of an error that a shard waits with, until a person says that its requests may be paid for again: it is older than a
/// loss of commits, and the provider does not have its answers any more. They may have been merged in what is lost.
inline constexpr std::string_view answers_lost = "answers_lost";

/// What a configured deployment adds to its ledger row.
struct Route {
  Provider* provider = nullptr;
  std::string provider_name;
  std::int64_t max_requests = 0;  ///< lines a file may have here
  Bytes max_bytes = 0;            ///< bytes a file may have here
  Tokens limit = 0;               ///< enqueued tokens the deployment may hold
};

/// The bells of the loops, by what they wait for.
struct Bells {
  Wakeup plan, upload, submit, merge, close, cancel, orphans;
};

/// The shards that steps of this process are working on: a lease of ours that is not among them was dropped by a failure.
class BusyShards {
 public:
  class Mark {
   public:
    Mark(BusyShards& busy, ShardId shard) : busy_(busy), shard_(shard) { busy_.shards_.push_back(shard); }
    ~Mark() { std::erase(busy_.shards_, shard_); }
    Mark(const Mark&) = delete;
    Mark& operator=(const Mark&) = delete;

   private:
    BusyShards& busy_;
    ShardId shard_;
  };
  const std::vector<ShardId>& all() const { return shards_; }
  /// One lease at a time: a shard between being leased and being marked must not be taken for a dropped one.
  bool leasing = false;
  Wakeup lease_ended;

 private:
  std::vector<ShardId> shards_;
};

/// What stages need of the world; references to what application.cpp owns.
struct StageContext {
  Store& store;
  Session& session;
  Clock& clock;
  Log& log;
  Metrics& metrics;
  Bells& bells;
  BusyShards& busy;
  const std::map<std::string, Provider*>& providers;  ///< by name
  const std::map<std::string, Route>& routes;         ///< by deployment
  std::string instance;                               ///< this instance's id, part of every remote name
  BackoffPolicy backoff;
  /// Providers where a file may have been left that no shard knows of; the stage that looks for them passes it on.
  std::set<std::string> suspected{};
  /// By which tokens are counted; null where they are only estimated.
  const Vocabularies* vocabularies = nullptr;

  /// Somewhere tokens of ended batches go on counting for a while: room comes free when no bell rings.
  bool room_comes_late = false;

  /// An upload's answer was lost, or a file did not go when it was told to.
  void suspect_orphans(const std::string& provider) {
    suspected.insert(provider);
    bells.orphans.notify();
  }

  /// The provider of a shard, or null when the configuration does not know it (any more).
  Provider* provider_of(const Shard& shard) const {
    const auto found = providers.find(shard.provider);
    return found == providers.end() ? nullptr : found->second;
  }
};

class Stage {
 public:
  Stage(std::string name, StageContext& context, Wakeup& bell, Milliseconds interval)
      : context_(context), name_(std::move(name)), bell_(bell), interval_(interval) {}
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  const std::string& name() const { return name_; }
  /// The loop; ends only by cancellation, and then only between two passes. May run several times over at once: the scout
  /// looks for work at every interval and rings for the others when there is some; they look far more seldom.
  Task<void> run(bool scout = true);

 protected:
  /// One pass: returns how much was done; 0 lets the loop wait. Throws StoreError when the database is away.
  virtual Task<int> run_once() = 0;
  /// Leases the best due shard of `state` and runs `step` on it; returns how many there were.
  Task<int> lease_and_step(ShardState state);
  /// What a stage of shards does with one it has leased.
  virtual Task<void> step(Shard shard);
  /// How long a step would find its provider's calls withheld: it costs nothing, not even the work before the call.
  Milliseconds withheld_for(const Shard& shard) const;
  /// How long to wait when there was nothing to do.
  virtual Milliseconds pause() const { return interval_; }

  /// Applies an event and records it. A lost lease is counted and logged here; the caller only stops.
  Task<SaveResult> advance(Shard& shard, const ShardEvent& event, bool keep_lease = false);
  /// Later, because of what a provider answered: backoff by the shard's own count of failures.
  Milliseconds retry_delay(const Shard& shard, const ProviderError& error) const;
  /// Records a failed step without effect. An account failure pauses the deployment.
  Task<void> delay(Shard& shard, std::string_view step, const ProviderError& error);
  /// Same state, same count of failures, later: nothing is wrong, it is only not yet time.
  Task<void> postpone(Shard& shard, Milliseconds later);
  /// Lets the deployment's ledger learn, and shows and tells what is believed otherwise from now on.
  Task<void> learn(Term term, const std::string& deployment, const RoomLesson& lesson);
  /// The provider had no room for a shard whose reservation still stands.
  Task<void> learn_from_refusal(const Shard& shard, std::string_view message);
  /// Stops new submissions of the shard's deployment because nothing can work there until someone acts; `reason` is `account`,
  /// or `refused` when the provider takes none of our files. Probes come after the backoff's delays.
  Task<void> pause_lane(const Shard& shard, const ProviderError& error, std::string_view reason);

  StageContext& context_;

 private:
  Task<int> guarded_pass(bool& failed);
  /// What a step put off is looked at when it is due, however long the interval.
  void note_due(const Shard& shard);
  Milliseconds until_due(Milliseconds at_most);

  std::string name_;
  Wakeup& bell_;
  Milliseconds interval_;
  std::optional<ShardState> leases_;     // the state of the shards it works on
  std::multiset<Clock::TimePoint> due_;  // when what this process put off wants to be looked at
};

}  // namespace batchd
