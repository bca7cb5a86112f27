// Two adapters of the store port driven by the same random steps: what one side holds, how what it says is written down so that
// the two can be compared, and the steps. Identities are named by the order in which they appear, so that each side may number
// as it likes; times are told in minutes.
#pragma once

#include "conformance/store_harness.hpp"
#include "core/orphan.hpp"
#include "simulation/dice.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchd::conformance {

/// Names for one kind of identity: the first that appears is number 0.
template <class Id>
class Names {
 public:
  std::size_t of(Id id) {
    const auto [at, fresh] = numbers_.try_emplace(id, ids_.size());
    if (fresh) ids_.push_back(id);
    return at->second;
  }
  bool knows(Id id) const { return numbers_.contains(id); }
  const std::vector<Id>& ids() const { return ids_; }

 private:
  std::map<Id, std::size_t> numbers_;
  std::vector<Id> ids_;
};

/// A replica's view of a shard, as fresh or as stale as it may be.
struct Held {
  std::size_t term = 0;
  Shard shard;
};

struct HeldContents {
  ShardId shard;
  ShardContents contents;
};

/// One adapter with everything that replicas and producers have in their heads.
struct Side {
  explicit Side(MakeHarness make) : harness(make()) {}

  Store& store_of(std::size_t term) { return harness->store(term % 2); }
  template <class T>
  T wait(Task<T> task) {
    return harness->wait(std::move(task));
  }

  std::unique_ptr<StoreHarness> harness;
  Names<RequestId> requests;
  std::map<RequestId, Lane> lanes;
  Names<ShardId> shards;
  std::vector<Term> terms;
  std::size_t planner = 0;  ///< which of them took the role last
  std::vector<Held> held;
  std::vector<HeldContents> contents;
  std::vector<Flow> flows;
  std::vector<Unmatched> unmatched;
  std::vector<WishedBatch> wished;
  std::vector<std::pair<std::string, OrphanTask>> tasks;
  std::vector<Stray> strays;
  /// A settling that was made, to be made once more.
  struct Settled {
    std::size_t term = 0;
    HeldContents held;
    SettleChunk chunk;
  };
  std::optional<Settled> settled;
  std::optional<std::chrono::steady_clock::time_point> buried;
  struct Known {
    Names<RequestId> requests;
    Names<ShardId> shards;
  };
  std::optional<Known> backup;
};

// Written down: the same on both sides when both mean the same.
inline std::string yes(bool value) {
  return value ? "yes" : "no";
}
std::string tell(Side& side, RequestId id);
std::string tell(Side& side, ShardId id);
std::string tell(Side& side, Term term);
std::string tell(Side& side, const Shard& shard);
std::string tell(Side& side, const ShardContents& contents);
std::string tell(Side& side, const Flow& flow);
std::string tell(Side& side, const DeploymentLoad& load);
std::string tell(Side& side, const LiveBatch& batch);
std::string tell(Side& side, const WishedBatch& batch);
std::string tell(Side& side, const BookEntry& entry);
std::string tell(Side& side, const Stray& stray);
std::string tell(Side& side, const FileBooks& books);
std::string tell(Side& side, const StoreGauges& gauges);
std::string tell(Side& side, const JobProgress& job);
std::string tell(Side& side, const Suspicion& suspicion);
/// A line for each row.
std::vector<std::string> tell(Side& side, const Picture& picture);

template <class T>
std::string tell_all(Side& side, const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) text += (text.empty() ? "" : ", ") + tell(side, value);
  return "[" + text + "]";
}

struct Step {
  std::string what;
  std::function<std::string(Side&)> act;
};
/// A step that has nothing to tell.
template <class Act>
Step silent_step(std::string what, Act act) {
  return {std::move(what), [act](Side& side) {
            act(side);
            return std::string();
          }};
}

/// What a schedule has done so far that is the same on both sides.
struct Plot {
  simulation::Dice dice;
  int steps = 0;
  int minutes = 0;     ///< that have passed
  bool moved = false;  ///< the database is visibly a copy just now
  bool backed_up = false;
  int aftermath = 0;  ///< steps for which nobody has noticed yet that a backup was restored
  std::map<std::string, int> suspected_at = {};
};

/// Drawn from what `side` holds; on the other side, where all was the same so far, it means the same.
Step draw(Plot& plot, const Side& side);

// Parts of draw(), each with steps of one kind (differential_*.cpp).
Step draw_order(Plot& plot, const Side& side);
Step draw_upkeep(Plot& plot, const Side& side);
Step draw_history(Plot& plot);
Step draw_recovery(Plot& plot);
Step draw_planning(Plot& plot, const Side& side);
Step draw_shard(Plot& plot, const Side& side);
Step draw_members(Plot& plot, const Side& side);
Step draw_books(Plot& plot, const Side& side);

/// One of so many, or 0 when there is none.
inline std::size_t one_of(simulation::Dice& dice, std::size_t size) {
  return size == 0 ? 0 : static_cast<std::size_t>(dice.between(std::int64_t{0}, static_cast<std::int64_t>(size) - 1));
}
/// One of the youngest terms, most of which are alive.
inline std::size_t draw_term(simulation::Dice& dice, const Side& side) {
  return side.terms.size() - 1 - one_of(dice, std::min<std::size_t>(side.terms.size(), 4));
}
inline bool chance(simulation::Dice& dice, int percent) {
  return dice.flip(percent / 100.0);
}
/// Nothing is ever due exactly when it is looked at: a run on PostgreSQL takes some seconds.
inline Milliseconds minutes_and_a_half(std::int64_t minutes) {
  return Milliseconds{minutes * 60'000 + 30'000};
}

}  // namespace batchd::conformance
