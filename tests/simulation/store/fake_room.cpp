// Quotas: what is believed of them, who gets the room, what ended batches leave behind.
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

/// An age of something that lies ahead, because the clock was set, is a long one.
constexpr Milliseconds long_ago{86'400'000};

Milliseconds age_of(const std::optional<Instant>& then, Instant now) {
  return then && *then <= now ? to_milliseconds(now - *then) : long_ago;
}

}  // namespace

Room FakeDatabase::room_of(const DeploymentRow& row) const {
  const Instant now = server_->clock();
  Room room;
  room.limit = row.limit;
  room.dynamic_limit = row.dynamic_limit;
  room.believed = row.believed.value_or(row.limit);
  room.told = row.told;
  room.told_age = age_of(row.told_at, now);
  room.settled_for = age_of(row.settled_at, now);
  room.strikes = row.strikes;
  room.release_lag = row.release_lag;
  room.lag_blamed = row.lag_blamed;
  if (row.ended_at && *row.ended_at <= now) room.since_end = to_milliseconds(now - *row.ended_at);
  room.refusals = row.refusals;
  return room;
}

RoomUse FakeDatabase::use_of(const DeploymentRow& row) const {
  const Instant now = server_->clock();
  RoomUse use;
  use.reserved = row.reserved;
  for (const auto& [tokens, until] : row.leaving) {
    if (until > now && until <= now + longest_release_lag) use.leaving += tokens;
  }
  for (const ShardRow& shard : live_) {
    const Shard& s = shard.shard;
    if (s.deployment == row.name && s.state == ShardState::uploaded && !s.intent)
      use.largest_waiting = std::max(use.largest_waiting, s.tokens);
  }
  return use;
}

bool FakeDatabase::gets_room(const ShardRow& row) const {
  const DeploymentRow* const deployment = find_deployment(row.shard.deployment);
  if (deployment == nullptr || !deployment->configured) return true;
  if (!has_room(room_of(*deployment), use_of(*deployment), row.shard.tokens)) return false;
  const Instant now = server_->clock();
  return std::none_of(live_.begin(), live_.end(), [&](const ShardRow& other) {
    const Shard& s = other.shard;
    return s.state == ShardState::uploaded && s.deployment == deployment->name && !s.intent && other.passed_at &&
           *other.passed_at + longest_passing(deployment->turnaround) < now && other.due_at <= now &&
           is_leased_before(&other, &row);
  });
}

void FakeDatabase::note_passed(const DeploymentRow& deployment, const ShardRow& row) {
  const Instant now = server_->clock();
  const Room room = room_of(deployment);
  const RoomUse use = use_of(deployment);
  for (ShardRow& other : live_) {
    const Shard& s = other.shard;
    if (s.state != ShardState::uploaded || s.deployment != deployment.name || s.intent || other.passed_at) continue;
    if (other.due_at > now || server_->is_locked(s.id) || !is_leased_before(&other, &row)) continue;
    if (!has_room(room, use, s.tokens)) other.passed_at = now;
  }
}

void FakeDatabase::release_room(DeploymentRow& deployment, const ShardRow& row, Tokens tokens) const {
  const Instant now = server_->clock();
  deployment.ended_at = now;
  const auto took = row.submitted_at ? std::max(to_milliseconds(now - *row.submitted_at), Milliseconds{0}) : Milliseconds{0};
  deployment.turnaround = usual_turnaround(deployment.turnaround, took);
  std::erase_if(deployment.leaving, [now](const auto& entry) { return entry.second <= now; });
  if (deployment.release_lag > Milliseconds{0}) deployment.leaving.emplace_back(tokens, now + deployment.release_lag);
}

std::optional<Learnt> FakeDatabase::learn(Term term, std::string_view deployment, const RoomLesson& lesson) {
  DeploymentRow* const row = find_deployment(deployment);
  if (row == nullptr || !is_alive(term)) return std::nullopt;
  const Instant now = server_->clock();
  const Room before = room_of(*row);
  const Room after = batchd::learn(before, use_of(*row), lesson);
  row->believed = after.believed == row->limit ? std::nullopt : std::optional(after.believed);
  row->told = after.told;
  if (after.told_age < before.told_age) row->told_at = now;
  if (after.settled_for < before.settled_for) row->settled_at = now;
  row->strikes = after.strikes;
  row->refusals = after.refusals;
  row->release_lag = after.release_lag;
  row->lag_blamed = after.lag_blamed;
  return Learnt{before, after};
}

}  // namespace batchd::simulation
