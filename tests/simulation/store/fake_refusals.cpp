// What tells a culprit from a lane that does not work: how the trial of a refused shard came out.
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {

Suspicion FakeDatabase::suspicion(ShardId id) const {
  Suspicion found;
  const ShardRow* const row = find_shard(id);
  if (row == nullptr) return found;
  const Shard& s = row->shard;
  const std::optional<Instant> since = row->suspect_since ? row->suspect_since : row->finished_at;
  found.halved = row->suspect_since.has_value();
  for (const auto* const table : {&live_, &closed_}) {
    for (const ShardRow& other : *table) {
      if (other.shard.deployment != s.deployment || other.shard.lane.endpoint != s.lane.endpoint) continue;
      if (since && other.accepted_at && *other.accepted_at > *since) found.lane_works = true;
      if (other.shard.id != s.id && other.shard.state == ShardState::finished &&
          other.shard.finish_reason == FinishReason::refused && other.suspect_since && undecided(other) == 1) {
        found.other_suspect = true;
      }
    }
  }
  if (!row->trial) return found;

  // Trials are followed to the one that is not halved itself.
  const ShardRow* trial = nullptr;
  int depth = 0;
  for (const ShardRow* at = row; at->trial; ++depth, at = trial) {
    const bool is_halved = at->shard.state == ShardState::finished && at->shard.finish_reason == FinishReason::refused;
    const ShardRow* const next = depth == 0 || is_halved ? find_shard(*at->trial) : nullptr;
    if (next == nullptr) break;
    trial = next;
  }
  if (trial == nullptr) {
    found.trial = trial_of(ShardState::closed, FinishReason::given_up, false, 0);
    return found;
  }
  found.trial = trial_of(trial->shard.state, trial->shard.finish_reason, trial->accepted_at.has_value(), undecided(*trial));
  if (depth > 1 && found.trial != Trial::refused) found.trial = Trial::waiting;
  return found;
}

std::int64_t FakeDatabase::undecided(const ShardRow& row) const {
  return row.shard.requests - bit_count(row.decided);
}

}  // namespace batchd::simulation
