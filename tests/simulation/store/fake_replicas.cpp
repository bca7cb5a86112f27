// Replicas, roles, the configured deployments and their pauses, and a clock that was set.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {

bool FakeDatabase::holds_role(Term term, std::string_view role) const {
  const auto found = roles_.find(role);
  return found != roles_.end() && found->second == term;
}

void FakeDatabase::remove_replica(Term term) {
  if (const auto beats = beats_of(term)) remember_ended(term, *beats);
  std::erase_if(replicas_, [term](const ReplicaRow& row) { return row.term == term; });
}

void FakeDatabase::leave(Term term) {
  for (ShardRow& row : live_) {
    if (row.owner == term) row.owner.reset();
  }
  for (auto& [name, owner] : roles_) {
    if (owner == term) owner.reset();
  }
  remove_replica(term);
}

bool FakeDatabase::hold_role(Term term, std::string_view role) {
  if (!is_alive(term)) return false;
  const auto found = roles_.find(role);
  if (found == roles_.end()) {
    roles_.emplace(std::string(role), term);
    return true;
  }
  if (!is_free(found->second, term)) return false;
  found->second = term;
  return true;
}

void FakeDatabase::drop_role(Term term, std::string_view role) {
  const auto found = roles_.find(role);
  if (found != roles_.end() && found->second == term) found->second.reset();
}

bool FakeDatabase::publish(Term term, const std::vector<DeploymentSettings>& deployments, const MoneyRules& money) {
  if (!is_alive(term)) return false;
  std::int64_t generation = 1;
  for (const DeploymentRow& row : deployments_) generation = std::max(generation, row.generation + 1);
  for (const DeploymentSettings& settings : deployments) {
    DeploymentRow* row = find_deployment(settings.name);
    if (row == nullptr) {
      DeploymentRow made;
      made.name = settings.name;
      const auto goes_after = [](const DeploymentRow& d, const std::string& name) { return d.name < name; };
      const auto place = std::lower_bound(deployments_.begin(), deployments_.end(), settings.name, goes_after);
      row = &*deployments_.insert(place, std::move(made));
    }
    row->provider = settings.provider;
    row->model = settings.model;
    if (row->limit != settings.enqueued_token_limit || row->dynamic_limit != settings.dynamic_token_limit) {
      row->believed.reset();
      row->told.reset();
    }
    row->limit = settings.enqueued_token_limit;
    row->dynamic_limit = settings.dynamic_token_limit;
    row->generation = generation;
    row->configured = true;
  }
  for (DeploymentRow& row : deployments_) row.configured = row.configured && row.generation == generation;
  publish_money(money);
  return true;
}

Burial FakeDatabase::bury_dead(Milliseconds ttl, std::optional<Milliseconds> since) {
  Burial burial;
  burial.clock_step = mend_clock(ttl, since);
  const Instant now = server_->clock();
  std::vector<Term> dead;
  for (const ReplicaRow& row : replicas_) {
    if (row.heartbeat_at < now - ttl) dead.push_back(row.term);
  }
  for (const Term term : dead) remove_replica(term);
  burial.replicas = static_cast<int>(dead.size());
  if (burial.replicas > 0) {
    for (auto& [provider, search] : orphan_searches_) {
      search.due_at = std::min(search.due_at, now);
      search.suspected_at = now;
    }
  }
  return burial;
}

Milliseconds FakeDatabase::mend_clock(Milliseconds ttl, std::optional<Milliseconds> since) {
  const Instant seen = clock_seen_;
  const Instant present = server_->clock();
  clock_seen_ = present;
  if (since && present - seen > *since + ttl) {
    // Everybody's heartbeat looks old. Who is dead will be so again after another ttl.
    for (ReplicaRow& row : replicas_) row.heartbeat_at = present;
    return to_milliseconds(present - seen - *since);
  }
  if (seen - present < std::chrono::seconds{1}) return Milliseconds{0};
  const Instant back = seen - present + since.value_or(Milliseconds{0});
  move_along(present, back);
  return to_milliseconds(-back);
}

void FakeDatabase::move_along(Instant present, Instant back) {
  const auto moved = [&](Instant at) { return at > present ? at - back : at; };
  const auto waits = [&](Instant at) { return at > present ? std::max(at - back, present) : at; };
  const auto move = [&](std::optional<Instant>& at) {
    if (at && *at != infinity) at = moved(*at);
  };
  for (ReplicaRow& row : replicas_) row.heartbeat_at = std::min(row.heartbeat_at, present);
  for (ShardRow& row : live_) {
    row.due_at = waits(row.due_at);
    move(row.intent_at);
    row.state_at = moved(row.state_at);
  }
  for (DeploymentRow& row : deployments_) move(row.paused_until);
  for (DeltaRow& row : deltas_) row.at = moved(row.at);
  for (FlowRow& row : flows_) {
    move(row.waiting_since);
    move(row.cursor_waiting_since);
    for (auto& [due_at, id] : row.retries) {
      due_at = waits(due_at);
      find_request(id)->due_at = due_at;
    }
    std::sort(row.retries.begin(), row.retries.end());
  }
  for (auto& [provider, reached_at] : file_ceilings_) reached_at = moved(reached_at);
  for (auto& [provider, search] : orphan_searches_) search.due_at = std::min(search.due_at, present);
}

void FakeDatabase::pause_deployment(Term term, std::string_view name, std::string_view reason, Milliseconds duration,
                                    Milliseconds longest) {
  DeploymentRow* const row = find_deployment(name);
  if (row == nullptr || !is_alive(term)) return;
  const Instant now = server_->clock();
  const bool until_resumed = duration.count() == 0;
  if (!until_resumed && row->paused_until && *row->paused_until > now) return;
  Instant length = duration;
  if (row->paused_until && row->paused_for &&
      (*row->paused_until == infinity || now < *row->paused_until + 2 * *row->paused_for)) {
    length = std::min<Instant>(2 * *row->paused_for, std::max(duration, longest));
  }
  row->paused_until = until_resumed ? infinity : now + length;
  row->paused_for = length;
  row->pause_reason = std::string(reason);
}

std::vector<std::string> FakeDatabase::retry_account(std::string_view provider) {
  std::vector<std::string> lifted;
  const Instant now = server_->clock();
  for (DeploymentRow& row : deployments_) {
    if (row.provider != provider || row.pause_reason != "account") continue;
    row.paused_until.reset();
    row.pause_reason.reset();
    lifted.push_back(row.name);
    for (ShardRow& shard : live_) {
      if (shard.shard.deployment == row.name && shard.shard.failures > 0) shard.due_at = std::min(shard.due_at, now);
    }
  }
  return lifted;
}

}  // namespace batchd::simulation
