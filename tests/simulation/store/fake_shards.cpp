// Shards: leasing them, saving what they became, what a provider's word changes about them.
#include "core/money_step.hpp"
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <tuple>

namespace batchd::simulation {

bool is_leased_before(const ShardRow* a, const ShardRow* b) {
  const auto key = [](const ShardRow& row) {
    return std::tuple(-std::int64_t{row.shard.priority}, row.deadline.value_or(infinity), row.shard.id);
  };
  return key(*a) < key(*b);
}

namespace {

constexpr Instant ceiling_lasts = std::chrono::minutes{10};
constexpr std::size_t hurried_most = 50;

bool says_accepted(BatchStatus status) {
  return status == BatchStatus::in_progress || status == BatchStatus::finalizing;
}

bool was_accepted(const Shard& after) {
  return says_accepted(after.batch_status) || after.batch_status == BatchStatus::completed ||
         after.finish_reason == FinishReason::ran || after.finish_reason == FinishReason::expired;
}

bool is_over(ShardState state) {
  return state == ShardState::finished || state == ShardState::merged || state == ShardState::closed;
}

}  // namespace

bool FakeDatabase::is_free(const std::optional<Term>& owner, Term term) const {
  return !owner || *owner == term || !is_alive(*owner);
}

std::int64_t FakeDatabase::wishes_in(const ShardRow& row) const {
  return std::count_if(wishes_.begin(), wishes_.end(), [&](RequestId id) { return row.members.rank(id).has_value(); });
}

bool FakeDatabase::is_unwanted(const ShardRow& row) const {
  const Shard& shard = row.shard;
  if (row.wished_at) return true;
  const auto is_unplaced = [this](RequestId id) { return find_request(id)->wish == Wish::unplaced; };
  if (std::any_of(wishes_.begin(), wishes_.end(), is_unplaced) && wishes_in(row) > 0) return true;
  const DeploymentRow* const deployment = find_deployment(shard.deployment);
  if (shard.state == ShardState::uploaded && deployment != nullptr && deployment->configured &&
      is_too_large(room_of(*deployment), shard.requests, shard.tokens)) {
    return true;
  }
  if (pauses_.empty()) return false;
  bool any = false, all = true;
  for (const MemberChunk& chunk : row.members.chunks()) {
    const bool paused = is_paused("job:" + find_flow(chunk.flow)->job);
    any = any || paused;
    all = all && paused;
  }
  if (any && !all) return true;
  return is_paused("deployment:" + shard.deployment) &&
         std::any_of(deployments_.begin(), deployments_.end(), [&](const DeploymentRow& other) {
           return other.model == shard.lane.model && other.name != shard.deployment && other.configured && !is_paused("all") &&
                  !is_paused("deployment:" + other.name);
         });
}

Shard FakeDatabase::leased(ShardRow& row, Term term) {
  const Instant now = server_->clock();
  row.owner = term;
  Shard shard = row.shard;
  shard.lease = term;
  if (row.intent_at) shard.intent_age = to_milliseconds(now - *row.intent_at);
  shard.state_age = to_milliseconds(now - row.state_at);
  const bool may_be_given_up = (shard.state == ShardState::planned || shard.state == ShardState::uploaded) && !shard.intent;
  shard.unwanted = may_be_given_up && is_unwanted(row);
  if (shard.state == ShardState::merged && !file_ceilings_.empty()) {
    const auto ceiling = file_ceilings_.find(shard.provider);
    shard.hurried = ceiling != file_ceilings_.end() && ceiling->second > now - ceiling_lasts;
  }
  shard.doubtful = is_doubtful(row);
  return shard;
}

std::vector<Shard> FakeDatabase::lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) {
  std::vector<Shard> shards;
  if (!is_alive(term) || has_moved()) return shards;
  const Instant now = server_->clock();
  std::vector<ShardRow*> best;
  for (ShardRow& row : live_) {
    if (row.shard.state != state || row.due_at > now || !is_free(row.owner, term) || server_->is_locked(row.shard.id)) continue;
    if (std::find(busy.begin(), busy.end(), row.shard.id) != busy.end()) continue;
    const bool waits_for_room = state == ShardState::uploaded && !row.shard.intent && !gets_room(row);
    if (!waits_for_room || is_unwanted(row)) best.push_back(&row);
  }
  std::sort(best.begin(), best.end(), is_leased_before);
  if (best.size() > static_cast<std::size_t>(most)) best.resize(static_cast<std::size_t>(most));
  shards.reserve(best.size());
  for (ShardRow* const row : best) shards.push_back(leased(*row, term));
  return shards;
}

std::optional<Shard> FakeDatabase::lease_one(Term term, ShardId id, ShardState state) {
  ShardRow* const row = find_live(id);
  if (row == nullptr || row->shard.state != state || !is_free(row->owner, term) || !is_alive(term) || has_moved() ||
      server_->is_locked(id)) {
    return std::nullopt;
  }
  return leased(*row, term);
}

void FakeDatabase::check_shard(const Shard& s) const {
  const auto require = [&](bool holds, const char* constraint) {
    if (!holds) server_->violated(std::string(constraint) + ": shard " + std::to_string(s.id.value));
  };
  const bool at_provider = s.state == ShardState::uploaded || s.state == ShardState::submitted;
  require(s.requests > 0 && s.attempt > 0 && s.tokens >= 0, "shard_has_members");
  require(!at_provider || s.input_file, "shard_uploaded_has_a_file");
  require(s.state != ShardState::submitted || s.batch, "shard_submitted_has_a_batch");
  require(!s.intent || s.state == ShardState::uploaded, "shard_intends_only_what_is_uploaded");
  require(s.reserved >= 0 && (s.reserved == 0 || s.state == ShardState::submitted || s.intent),
          "shard_reserves_only_what_may_run");
  require(is_over(s.state) == (s.finish_reason != FinishReason::none), "shard_finished_for_a_reason");
}

bool FakeDatabase::accepts(const DeploymentRow& deployment, Tokens growth, const ShardRow& row) const {
  if (growth <= 0) return true;
  if (!has_room(room_of(deployment), use_of(deployment), growth) && !without(Mutant::guarded_reservation)) return false;
  if (!deployment.configured || has_moved() || !takes_work(deployment.provider)) return false;
  if (deployment.paused_until && *deployment.paused_until > server_->clock()) return false;
  if (pauses_.empty()) return true;
  if (is_paused("all") || is_paused("deployment:" + deployment.name)) return false;
  const auto& chunks = row.members.chunks();
  return std::none_of(chunks.begin(), chunks.end(),
                      [&](const MemberChunk& chunk) { return is_paused("job:" + find_flow(chunk.flow)->job); });
}

bool FakeDatabase::is_expected(const ShardRow& row, Term term, const Shard& before) const {
  if (!without(Mutant::term_check) && (row.owner != term || !is_alive(term))) return false;
  const Shard& now = row.shard;
  return now.state == before.state && now.attempt == before.attempt && now.intent == before.intent &&
         now.reserved == before.reserved;
}

void FakeDatabase::write(ShardRow& row, const Shard& after, bool keep_lease) {
  const Instant now = server_->clock();
  const bool same_attempt = row.shard.attempt == after.attempt;
  const bool same_state = row.shard.state == after.state;
  row.intent_at = !after.intent ? std::nullopt : std::optional(same_attempt ? row.intent_at.value_or(now) : now);
  if (!same_attempt) {
    row.accepted_at.reset();
  } else if (was_accepted(after) && !row.accepted_at) {
    row.accepted_at = now;
  }
  row.due_at = now + after.due_in;
  if (!keep_lease || after.state == ShardState::closed) row.owner.reset();
  if (!same_state) {
    row.state_at = now;
    if (after.state == ShardState::submitted) row.submitted_at = now;
    if (after.state == ShardState::finished) row.finished_at = now;
    if (after.state == ShardState::closed) row.closed_at = now;
  }
  Shard& s = row.shard;
  s.state = after.state;
  s.attempt = after.attempt;
  s.bytes = after.bytes;
  s.tokens = after.tokens;
  s.reserved = after.reserved;
  s.intent = after.intent;
  s.looks = after.looks;
  s.input_file = after.input_file;
  s.batch = after.batch;
  s.batch_status = after.batch_status;
  s.output_file = after.output_file;
  s.error_file = after.error_file;
  s.finish_reason = after.finish_reason;
  s.error = after.error;
  s.failures = after.failures;
  s.denials = after.denials;
  s.short_reads = after.short_reads;
}

void FakeDatabase::hurry_refused_for_room(const std::string& deployment) {
  const std::string code = R"({"code":")" + std::string(no_room_code) + '"';
  for (ShardRow& row : live_) {
    const Shard& shard = row.shard;
    const bool waits = shard.state == ShardState::uploaded && !shard.intent && shard.error.starts_with(code);
    if (waits && shard.deployment == deployment) row.due_at = std::min(row.due_at, server_->clock());
  }
}

Saved FakeDatabase::save(Term term, const Shard& before, const Shard& after, bool keep_lease, std::int64_t confirmed) {
  Saved saved;
  ReplicaRow* const replica = find_replica(term);
  const bool merges = after.state == ShardState::merged && before.state != ShardState::merged;
  const bool is_beat = merges || announces(before, after);
  if (is_beat) {
    const bool remembers = replica != nullptr && (replica->beats >= confirmed || without(Mutant::beats_of_writes));
    if (!remembers && !without(Mutant::term_check)) return saved;
    saved.beats = replica != nullptr ? replica->beats + 1 : confirmed;
  }
  const auto count_beat = [&] {
    if (is_beat && replica != nullptr) ++replica->beats;
  };
  ShardRow* const row = find_live(before.id);
  if (row == nullptr || !is_expected(*row, term, before)) {
    count_beat();
    return saved;
  }
  Shard checked = after;  // what the port does not write is as it was
  checked.requests = row->shard.requests;
  check_shard(checked);
  check_books(before, after);
  const Tokens growth = after.reserved - before.reserved;
  DeploymentRow* const deployment = find_deployment(row->shard.deployment);
  if (growth != 0 && !was_found(before, after) && (deployment == nullptr || !accepts(*deployment, growth, *row))) {
    return {SaveResult::no_room, std::nullopt};
  }
  if (money_step(before, after) == MoneyStep::reserve && !affords(after.id)) {
    note_unaffordable(*row);
    return {SaveResult::no_money, std::nullopt};
  }
  if (deployment != nullptr && deployment->reserved + growth < 0) {
    server_->violated("deployment_reserved_is_not_negative: " + deployment->name);
  }
  if (merges && bit_count(row->decided) != after.requests) {
    throw StoreError("shard " + std::to_string(after.id.value) + " cannot be merged: " + std::to_string(bit_count(row->decided)) +
                     " of " + std::to_string(after.requests) + " requests are decided");
  }
  saved.result = SaveResult::saved;
  count_beat();
  write(*row, after, keep_lease);
  keep_books(before, after);
  if (deployment != nullptr) {
    deployment->reserved += growth;
    if (growth > 0 && !was_found(before, after)) note_passed(*deployment, *row);
    if (before.state == ShardState::submitted && after.state == ShardState::finished) release_room(*deployment, *row, -growth);
  }
  if (after.intent && after.looks > 0 && without(Mutant::room_while_unknown)) give_room_back(*row);
  if (before.state == ShardState::submitted && after.state == ShardState::finished) hurry_refused_for_room(row->shard.deployment);
  move_money(*row, before, after);
  if (merges) {
    row->members = Members();
    row->decided.clear();
  }
  if (after.state == ShardState::closed) close(before.id);
  return saved;
}

/// Only a mutant does this: the provider may still hold the room.
void FakeDatabase::give_room_back(ShardRow& row) {
  if (DeploymentRow* const deployment = find_deployment(row.shard.deployment)) deployment->reserved -= row.shard.reserved;
  row.shard.reserved = 0;
}

std::vector<LiveBatch> FakeDatabase::live_batches(std::string_view provider) const {
  std::vector<LiveBatch> batches;
  for (const ShardRow& row : live_) {
    if (row.shard.state != ShardState::submitted || row.shard.provider != provider) continue;
    batches.push_back({row.shard.id, *row.shard.batch, row.shard.batch_status, row.shard.denials > 0});
  }
  return batches;
}

void FakeDatabase::file_ceiling_reached(std::string_view provider) {
  const Instant now = server_->clock();
  file_ceilings_.insert_or_assign(std::string(provider), now);
  std::size_t hurried = 0;
  for (ShardRow& row : live_) {
    if (row.shard.state != ShardState::merged || row.shard.provider != provider) continue;
    if (++hurried > hurried_most) break;
    row.due_at = now;
  }
}

void FakeDatabase::note_status(Term term, const std::vector<LiveBatch>& batches) {
  if (!is_alive(term)) return;
  for (const LiveBatch& noted : batches) {
    ShardRow* const row = find_live(noted.shard);
    if (row == nullptr || row->shard.state != ShardState::submitted || row->shard.batch != noted.batch) continue;
    row->shard.denials = 0;
    row->shard.batch_status = noted.status;
    if (says_accepted(noted.status) && !row->accepted_at) row->accepted_at = server_->clock();
  }
}

}  // namespace batchd::simulation
