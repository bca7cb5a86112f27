// Money, as db/pg_store_money.cpp and the functions of its migration keep it.
#include "core/money_step.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <set>

namespace batchd::simulation {
namespace {

constexpr Milliseconds shown_longer{300'000};

std::int64_t day_of(Instant now) {
  return utc_day(std::chrono::floor<Milliseconds>(now));
}

NanoDollars sum_of(const MoneySum& sum) {
  return sum.spent + sum.reserved;
}

}  // namespace

void FakeDatabase::publish_money(const MoneyRules& rules) {
  if (money_.rules == rules) return;
  money_.rules = rules;
  money_.waits.clear();
  const Instant now = server_->clock();
  const std::string code = "{\"code\":\"" + std::string(above_cap_code) + '"';
  for (RequestRow& row : requests_) {
    if (!row.due_at || *row.due_at <= now || !row.attempt_error.starts_with(code)) continue;
    take_from_retries(row);
    queue_again(row, now);
  }
}

std::map<std::string, NanoDollars> FakeDatabase::staged_money() const {
  std::map<std::string, NanoDollars> staged;
  if (money_.shards.empty()) return staged;
  for (const ShardRow& row : live_) {
    const auto parts = money_.shards.find(row.shard.id);
    if (parts == money_.shards.end() || row.shard.state != ShardState::uploaded || row.shard.intent) continue;
    const DeploymentRow* const deployment = find_deployment(row.shard.deployment);
    if (deployment == nullptr || !deployment->configured || is_paused("all") || is_paused("deployment:" + deployment->name))
      continue;
    if (deployment->paused_until && *deployment->paused_until > server_->clock()) continue;
    for (const auto& [job, part] : parts->second) {
      if (part.reserved == 0) staged[job] += part.bound;
    }
  }
  return staged;
}

std::optional<CapState> FakeDatabase::day_cap() const {
  if (!money_.rules.daily) return std::nullopt;
  const auto day = money_.days.find(day_of(server_->clock()));
  const MoneySum sum = day == money_.days.end() ? MoneySum{} : day->second;
  const std::map<std::string, NanoDollars> staged = staged_money();
  CapState state{*money_.rules.daily, sum_of(sum), sum.reserved > 0 || !staged.empty()};
  for (const auto& [job, bound] : staged) state.committed += bound;
  return state;
}

std::optional<CapState> FakeDatabase::job_cap(const std::string& job) const {
  if (!money_.rules.per_job) return std::nullopt;
  const auto found = money_.jobs.find(job);
  const MoneySum sum = found == money_.jobs.end() ? MoneySum{} : found->second;
  const std::map<std::string, NanoDollars> all = staged_money();
  const auto staged = all.find(job);
  const NanoDollars waiting = staged == all.end() ? 0 : staged->second;
  return CapState{*money_.rules.per_job, sum_of(sum) + waiting, sum.reserved > 0 || waiting > 0};
}

std::optional<Tariff> FakeDatabase::tariff_of(const ShardRow& row) const {
  const auto prices = money_.rules.prices.find(row.shard.lane.model);
  if (prices == money_.rules.prices.end()) return std::nullopt;
  Tariff tariff;
  tariff.prices = prices->second;
  tariff.strict = money_.rules.strict;
  tariff.assumed_output = money_.rules.assumed_output;
  tariff.max_output = prices->second.max_output > 0 ? prices->second.max_output : money_.rules.max_output;
  const auto sizes = money_.sizes.find(row.shard.lane.model);
  if (sizes != money_.sizes.end()) tariff.usual_output = sizes->second.usual();
  tariff.day = day_cap();
  std::map<std::string, std::set<FlowId>> flows;
  for (const MemberChunk& chunk : row.members.chunks()) flows[find_flow(chunk.flow)->job].insert(chunk.flow);
  for (const auto& [job, of_job] : flows) {
    for (const FlowId flow : of_job) tariff.job_of[flow] = tariff.jobs.size();
    tariff.jobs.push_back({job, job_cap(job)});
  }
  return tariff;
}

bool FakeDatabase::waits_for_money(const FlowRow& flow, Instant now) const {
  const auto row = money_.waits.find({flow.lane.model, flow.job});
  if (row == money_.waits.end() || row->second.noted_at < now - look_again_for_money || row->second.noted_at > now) return false;
  return must_wait(row->second.wait, day_cap(), job_cap(flow.job));
}

bool FakeDatabase::needs_money(const std::string& model) const {
  if (money_.waits.empty()) return false;
  const Instant now = server_->clock();
  const Instant since = now - look_again_for_money - shown_longer;
  return std::any_of(money_.waits.begin(), money_.waits.end(), [&](const auto& row) {
    return row.first.first == model && row.second.noted_at >= since && row.second.noted_at <= now;
  });
}

bool FakeDatabase::affords(ShardId shard) const {
  const auto parts = money_.shards.find(shard);
  if (parts == money_.shards.end()) return true;
  NanoDollars wanted = 0;
  for (const auto& [job, part] : parts->second) {
    wanted += part.bound;
    const auto sum = money_.jobs.find(job);
    const NanoDollars committed = sum == money_.jobs.end() ? 0 : sum_of(sum->second);
    if (money_.rules.per_job && part.bound > 0 && committed + part.bound > *money_.rules.per_job) return false;
  }
  const auto day = money_.days.find(day_of(server_->clock()));
  const NanoDollars committed = day == money_.days.end() ? 0 : sum_of(day->second);
  return !money_.rules.daily || wanted == 0 || committed + wanted <= *money_.rules.daily;
}

void FakeDatabase::note_money_wait(const std::string& model, const Shortage& shortage) {
  MoneyWaitRow& row = money_.waits[{model, shortage.job}];
  row.wait = {model, shortage.job, shortage.needs, shortage.wants, shortage.above_cap};
  row.noted_at = server_->clock();
}

void FakeDatabase::note_unaffordable(const ShardRow& row) {
  for (const auto& [job, part] : money_.shards[row.shard.id])
    note_money_wait(row.shard.lane.model, {job, part.least, part.bound, false});
}

void FakeDatabase::reserve_money(ShardId shard) {
  const auto parts = money_.shards.find(shard);
  if (parts == money_.shards.end()) return;
  const std::int64_t today = day_of(server_->clock());
  for (auto& [job, part] : parts->second) {
    if (part.reserved > 0) continue;
    part.reserved = part.bound;
    part.day = today;
    money_.days[today].reserved += part.bound;
    money_.jobs[job].reserved += part.bound;
  }
}

void FakeDatabase::release_money(ShardId shard) {
  const auto parts = money_.shards.find(shard);
  if (parts == money_.shards.end()) return;
  for (auto& [job, part] : parts->second) {
    if (part.day) money_.days[*part.day].reserved -= part.reserved;
    money_.jobs[job].reserved -= part.reserved;
    part.reserved = 0;
    part.day.reset();
  }
}

void FakeDatabase::settle_money(const ShardRow& row) {
  const auto parts = money_.shards.find(row.shard.id);
  if (parts == money_.shards.end()) return;
  std::optional<std::int64_t> day;
  NanoDollars cost = 0;
  for (const auto& [job, part] : parts->second) {
    day = std::max(day, part.day);  // nothing is less than anything
    cost += part.spent;
  }
  release_money(row.shard.id);
  if (cost > 0) {
    if (!day) day = day_of(server_->clock());
    money_.days[*day].spent += cost;
    for (const auto& [job, part] : parts->second) money_.jobs[job].spent += part.spent;
    money_.deployments[{*day, row.shard.deployment}] += cost;
  }
  money_.shards.erase(parts);
}

void FakeDatabase::note_bounds(const ShardRow& row, const Shard& after) {
  money_.shards.erase(after.id);
  for (const JobBound& bound : after.bounds) {
    ShardMoneyRow& part = money_.shards[after.id][bound.job];
    part.bound = bound.bound;
    part.least = bound.least;
    const auto wait = money_.waits.find({row.shard.lane.model, bound.job});
    if (wait != money_.waits.end() && wait->second.noted_at < row.created_at) money_.waits.erase(wait);
  }
}

void FakeDatabase::move_money(const ShardRow& row, const Shard& before, const Shard& after) {
  switch (money_step(before, after)) {
    case MoneyStep::none:
      break;
    case MoneyStep::note:
      note_bounds(row, after);
      break;
    case MoneyStep::reserve:
    case MoneyStep::found:
      reserve_money(after.id);
      break;
    case MoneyStep::release:
      release_money(after.id);
      break;
    case MoneyStep::settle:
      settle_money(row);
      break;
  }
}

void FakeDatabase::count_money(const ShardRow& row, const ShardContents& contents, const SettleChunk& chunk) {
  for (const Shortage& shortage : chunk.shortages) note_money_wait(row.shard.lane.model, shortage);
  if (!contents.tariff) return;
  OutputSizes seen;
  for (const Settlement& s : chunk.settled) {
    if (s.cost > 0) money_.shards[row.shard.id][flows_[find_request(s.request)->flow].job].spent += s.cost;
    if (s.outcome == Outcome::succeeded && s.usage) seen.add(s.usage->output);
  }
  if (!seen.empty()) money_.sizes[row.shard.lane.model].add(seen);
}

BudgetGauges FakeDatabase::budget() const {
  BudgetGauges gauges;
  gauges.daily = money_.rules.daily;
  if (money_.days.empty()) return gauges;
  const std::int64_t today = day_of(server_->clock());
  if (const auto day = money_.days.find(today); day != money_.days.end()) {
    gauges.spent = day->second.spent;
    gauges.reserved = day->second.reserved;
  }
  for (const auto& [key, spent] : money_.deployments) {
    if (key.first == today) gauges.spent_by_deployment[key.second] = spent;
  }
  return gauges;
}

std::string FakeDatabase::check_money() const {
  NanoDollars parts = 0, days = 0, jobs = 0;
  for (const auto& [shard, of_shard] : money_.shards) {
    for (const auto& [job, part] : of_shard) parts += part.reserved;
  }
  for (const auto& [day, sum] : money_.days) days += sum.reserved;
  for (const auto& [job, sum] : money_.jobs) jobs += sum.reserved;
  if (parts == days && parts == jobs) return "";
  return "shards have reserved " + exact_dollars(parts) + ", the days' rows say " + exact_dollars(days) + ", the jobs' " +
         exact_dollars(jobs);
}

}  // namespace batchd::simulation
