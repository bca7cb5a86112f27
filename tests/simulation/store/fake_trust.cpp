// Terms, how far the database can be believed, and which installation it is: it may have forgotten what it once confirmed.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

constexpr Instant ends_kept = std::chrono::days{7};

}  // namespace

Term FakeDatabase::join(const ReplicaInfo& replica) {
  Term term;
  do {
    term = Term{static_cast<std::int64_t>(server_->dice().next() >> 1U)};
  } while (is_alive(term));
  ReplicaRow row;
  row.term = term;
  row.info = replica;
  row.heartbeat_at = server_->clock();
  replicas_.push_back(std::move(row));
  if (!replica.providers.empty()) distrust(replica.providers, false);
  return term;
}

Beat FakeDatabase::heartbeat(Term term, std::int64_t confirmed, std::string_view instance) {
  ReplicaRow* const row = find_replica(term);
  if (row == nullptr) {
    if (instance != instance_.id || without(Mutant::beats_check) || !end_forgotten(term, confirmed)) return {Standing::buried, 0};
  } else {
    row->heartbeat_at = server_->clock();
    ++row->beats;
    const bool forgotten = row->beats <= confirmed || is_rewound();
    if (!forgotten || without(Mutant::beats_check)) return {Standing::alive, row->beats};
    remove_replica(term);
  }
  distrust({}, true);
  return {Standing::rewound, 0};
}

/// A term that is not alive: true when this database never ended it, or ended it before it had confirmed so much.
bool FakeDatabase::end_forgotten(Term term, std::int64_t confirmed) {
  if (without(Mutant::ended_terms)) return false;
  const auto ended =
      std::find_if(ended_terms_.begin(), ended_terms_.end(), [term](const EndedTermRow& row) { return row.term == term; });
  if (ended == ended_terms_.end()) {
    remember_ended(term, confirmed);
    return true;
  }
  if (ended->beats >= confirmed) return false;
  ended->beats = confirmed;
  return true;
}

void FakeDatabase::remember_ended(Term term, std::int64_t beats) {
  const Instant now = server_->clock();
  std::erase_if(ended_terms_, [now](const EndedTermRow& row) { return row.ended_at < now - ends_kept; });
  ended_terms_.push_back({term, now, beats});
}

std::optional<std::int64_t> FakeDatabase::beats_of(Term term) const {
  const ReplicaRow* const row = find_replica(term);
  return row == nullptr ? std::nullopt : std::optional(row->beats);
}

void FakeDatabase::distrust() {
  distrust({}, true);
}

void FakeDatabase::distrust(const std::vector<std::string>& providers, bool lost) {
  const bool rewound = lost || is_rewound();
  const Instant now = server_->clock();
  std::set<std::string> distrusted(providers.begin(), providers.end());
  if (rewound) {
    if (!without(Mutant::doubt)) instance_.rewound_at = now;
    for (const DeploymentRow& row : deployments_) distrusted.insert(row.provider);
  }
  instance_.timeline = server_->timeline();
  for (const std::string& provider : distrusted) {
    UnmatchedRow& row = unmatched_[provider];
    row.rewound = row.rewound || rewound || (instance_.rewound_at && !is_known(provider));
    row.since = server_->clock();
  }
}

bool FakeDatabase::is_known(std::string_view provider) const {
  return std::any_of(deployments_.begin(), deployments_.end(),
                     [&](const DeploymentRow& row) { return row.provider == provider; });
}

std::vector<Unmatched> FakeDatabase::unmatched() const {
  std::vector<Unmatched> providers;
  for (const auto& [provider, row] : unmatched_) providers.push_back({provider, row.rewound, std::to_string(row.since.count())});
  return providers;
}

void FakeDatabase::matched(Term term, const Unmatched& provider) {
  const auto row = unmatched_.find(provider.provider);
  if (row == unmatched_.end() || !is_alive(term) || is_rewound()) return;
  if (std::to_string(row->second.since.count()) == provider.mark) unmatched_.erase(row);
}

bool FakeDatabase::is_open_loss(const StrayRow& row) const {
  if (row.kind != StrayKind::lost) return false;
  if (instance_.loss_accepted && row.found_at <= *instance_.loss_accepted) return false;
  const ShardRow* const shard = find_shard(row.stray.shard);
  return shard == nullptr || shard->shard.batch != row.stray.batch;
}

bool FakeDatabase::is_trusted(std::string_view provider) const {
  if (is_rewound() || unmatched_.contains(provider)) return false;
  // A loss concerns every provider: what waits here may have been answered there.
  const auto used = [this](const auto& entry) {
    return entry.second.rewound && std::any_of(deployments_.begin(), deployments_.end(), [&](const DeploymentRow& row) {
             return row.configured && row.provider == entry.first;
           });
  };
  if (std::any_of(unmatched_.begin(), unmatched_.end(), used)) return false;
  return without(Mutant::loss_gate) ||
         std::none_of(strays_.begin(), strays_.end(), [this](const StrayRow& row) { return is_open_loss(row); });
}

bool FakeDatabase::takes_work(std::string_view provider) const {
  return without(Mutant::plan_gate) || is_trusted(provider);
}

bool FakeDatabase::is_doubtful(const ShardRow& row) const {
  if (!instance_.rewound_at || row.created_at >= *instance_.rewound_at) return false;
  return !instance_.loss_accepted || *instance_.rewound_at > *instance_.loss_accepted;
}

bool FakeDatabase::adopt() {
  const bool moved = has_moved();
  instance_.identity = server_->identity();
  if (moved) distrust({}, true);
  ++notifications_;
  return moved;
}

std::pair<std::int64_t, std::int64_t> FakeDatabase::accept_loss() {
  const Instant now = server_->clock();
  std::int64_t shards = 0;
  for (ShardRow& row : live_) {
    const bool waits = row.shard.state == ShardState::submitted || row.shard.state == ShardState::finished;
    if (!waits || row.shard.failures == 0 || !is_doubtful(row)) continue;
    row.due_at = now;
    ++shards;
  }
  const std::int64_t batches =
      std::count_if(strays_.begin(), strays_.end(), [this](const StrayRow& row) { return is_open_loss(row); });
  instance_.loss_accepted = server_->clock();
  ++notifications_;
  return {shards, batches};
}

std::string FakeDatabase::adopt_as_new_instance(Milliseconds silence) {
  const Instant now = server_->clock();
  for (const ReplicaRow& row : replicas_) {
    if (row.heartbeat_at > now - silence)
      throw StoreError("a replica of this database is alive: process " + std::to_string(row.info.pid));
  }
  for (const ReplicaRow& row : replicas_) remember_ended(row.term, row.beats);
  replicas_.clear();
  for (auto& [name, owner] : roles_) owner.reset();
  std::vector<ShardId> merged;
  for (ShardRow& row : live_) {
    if (row.shard.state == ShardState::merged) {
      merged.push_back(row.shard.id);
    } else {
      give_up(row, now);
    }
  }
  for (const ShardId id : merged) {
    ShardRow& row = *find_live(id);
    row.shard.state = ShardState::closed;
    row.owner.reset();
    row.state_at = now;
    row.closed_at = now;
    close(id);
  }
  for (ShardRow& row : closed_) {
    row.shard.input_file.reset();
    row.shard.output_file.reset();
    row.shard.error_file.reset();
  }
  for (DeploymentRow& row : deployments_) row.reserved = 0;
  submissions_.clear();
  strays_.clear();
  unmatched_.clear();
  instance_.id = new_name();
  instance_.rewound_at.reset();
  instance_.timeline = server_->timeline();
  instance_.identity = server_->identity();
  return instance_.id;
}

void FakeDatabase::give_up(ShardRow& row, Instant now) {
  Shard& s = row.shard;
  s.state = ShardState::finished;
  s.finish_reason = FinishReason::given_up;
  s.input_file.reset();
  s.batch.reset();
  s.batch_status = BatchStatus::unknown;
  s.output_file.reset();
  s.error_file.reset();
  s.error.clear();
  s.intent = false;
  s.looks = 0;
  s.reserved = 0;
  s.failures = 0;
  row.intent_at.reset();
  row.owner.reset();
  row.due_at = now;
  row.state_at = now;
  if (!row.finished_at) row.finished_at = now;
}

}  // namespace batchd::simulation
