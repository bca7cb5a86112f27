// Gauges and pages, and what an oracle reads.
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

/// What a POST takes at most; an intent that is open for longer has an answer that nobody knows.
constexpr Instant post_takes = std::chrono::seconds{30};

constexpr Outcome outcomes[] = {Outcome::succeeded, Outcome::failed, Outcome::cancelled, Outcome::expired};

void count(JobProgress& job, std::int64_t queued, std::int64_t in_flight, const std::int64_t* settled, Tokens input,
           Tokens output) {
  job.queued += queued;
  job.in_flight += in_flight;
  job.succeeded += settled[static_cast<int>(Outcome::succeeded)];
  job.failed += settled[static_cast<int>(Outcome::failed)];
  job.cancelled += settled[static_cast<int>(Outcome::cancelled)];
  job.expired += settled[static_cast<int>(Outcome::expired)];
  job.input_tokens += input;
  job.output_tokens += output;
}

}  // namespace

std::vector<DeploymentLoad> FakeDatabase::deployments() const {
  std::vector<DeploymentLoad> loads;
  const Instant now = server_->clock();
  for (const DeploymentRow& row : deployments_) {
    if (!row.configured) continue;
    DeploymentLoad load;
    load.name = row.name;
    load.provider = row.provider;
    load.model = row.model;
    load.limit = row.limit;
    load.reserved = row.reserved;
    load.room = room_of(row);
    const RoomUse use = use_of(row);
    load.leaving = use.leaving;
    load.largest_waiting = use.largest_waiting;
    for (const ShardRow& shard : live_) {
      const Shard& s = shard.shard;
      if (s.deployment != row.name) continue;
      if (s.state == ShardState::submitted || s.intent) {
        ++load.live;
      } else if (s.state == ShardState::planned || s.state == ShardState::uploaded) {
        ++load.staged;
        load.staged_tokens += s.tokens;
      }
    }
    const bool asked = !pauses_.empty() && (is_paused("all") || is_paused("deployment:" + row.name));
    const bool trusted = takes_work(row.provider);
    const bool stopped = row.paused_until && *row.paused_until > now;
    load.paused = asked || stopped || !trusted;
    if (load.paused) load.pause_reason = asked ? "asked" : trusted || stopped ? row.pause_reason.value_or("") : "unmatched";
    load.needs_money = needs_money(row.model);
    loads.push_back(std::move(load));
  }
  return loads;
}

StoreGauges FakeDatabase::gauges() const {
  StoreGauges gauges;
  Counts total = total_;
  for (const DeltaRow& delta : deltas_) total.add(delta.counts);
  gauges.accepted = total.accepted;
  gauges.queued = total.queued + total.returned;
  gauges.in_flight = total.in_flight;
  for (const Outcome outcome : outcomes) {
    gauges.settled[std::string(to_string(outcome))] = total.outcomes[static_cast<int>(outcome)];
  }
  const Instant now = server_->clock();
  for (const ShardState state :
       {ShardState::planned, ShardState::uploaded, ShardState::submitted, ShardState::finished, ShardState::merged}) {
    gauges.shards[std::string(to_string(state))] = 0;
  }
  for (const ShardRow& row : live_) {
    const Shard& s = row.shard;
    ++gauges.shards[std::string(to_string(s.state))];
    gauges.files[s.provider] += (s.input_file ? 1 : 0) + (s.output_file ? 1 : 0) + (s.error_file ? 1 : 0);
    if (s.state == ShardState::uploaded && s.intent && (s.looks > 0 || *row.intent_at < now - post_takes)) {
      ++gauges.submissions_unknown;
    }
  }
  for (const auto& [provider, search] : orphan_searches_) gauges.files[provider] += search.others;
  std::erase_if(gauges.files, [](const auto& entry) { return entry.second == 0; });
  std::optional<Instant> oldest;
  for (const FlowRow& row : flows_) {
    if (row.queued <= 0 && row.returned <= 0) continue;
    gauges.queued_by_lane[row.lane] += std::max<std::int64_t>(row.queued, 0) + std::max<std::int64_t>(row.returned, 0);
    if (row.queued > 0) {
      if (const auto since = std::max(row.waiting_since, row.cursor_waiting_since))
        oldest = std::min(oldest.value_or(infinity), *since);
    }
    if (!row.retries.empty() && row.retries.front().first <= now) {
      oldest = std::min(oldest.value_or(infinity), row.retries.front().first);
    }
  }
  if (oldest) gauges.oldest_queued = to_milliseconds(now - *oldest);
  gauges.deployments = deployments();
  gauges.budget = budget();
  return gauges;
}

std::vector<JobProgress> FakeDatabase::jobs(int most) const {
  struct Line {
    JobProgress progress;
    Instant started = infinity;
  };
  std::map<std::string, Line, std::less<>> lines;
  for (const auto& [name, row] : job_counts_) {
    Line& line = lines[name];
    count(line.progress, row.queued, row.in_flight, row.outcomes, row.input, row.output);
    line.started = row.first_at;
  }
  for (const DeltaRow& delta : deltas_) {
    Line& line = lines[flows_[delta.flow].job];
    const Counts& counts = delta.counts;
    count(line.progress, counts.queued + counts.returned, counts.in_flight, counts.outcomes, counts.input, counts.output);
    line.started = std::min(line.started, delta.at);
  }
  std::vector<Line> ordered;
  for (auto& [name, line] : lines) {
    line.progress.job = name;
    if (const auto money = money_.jobs.find(name); money != money_.jobs.end()) line.progress.cost = money->second.spent;
    ordered.push_back(std::move(line));
  }
  const auto is_done = [](const Line& line) { return line.progress.queued + line.progress.in_flight <= 0; };
  std::sort(ordered.begin(), ordered.end(), [&](const Line& a, const Line& b) {
    return std::tuple(is_done(a), -a.started.count(), a.progress.job) <
           std::tuple(is_done(b), -b.started.count(), b.progress.job);
  });
  std::vector<JobProgress> jobs;
  for (Line& line : ordered) {
    if (static_cast<int>(jobs.size()) < most) jobs.push_back(std::move(line.progress));
  }
  return jobs;
}

std::vector<RequestId> FakeDatabase::requests() const {
  std::vector<RequestId> ids;
  ids.reserve(requests_.size());
  for (const RequestRow& row : requests_) ids.push_back(row.id);
  return ids;
}

std::optional<RequestView> FakeDatabase::request(RequestId id) const {
  const RequestRow* const row = find_request(id);
  if (row == nullptr) return std::nullopt;
  RequestView view;
  view.job = flows_[row->flow].job;
  view.key = row->key;
  view.attempts = row->attempts.value_or(0);
  view.history = &row->history;
  if (row->answer) {
    view.state = RequestView::State::settled;
    view.result = &*row->answer;
    view.attempts = row->answer->attempt;
    if (row->answer->shard && find_shard(*row->answer->shard) != nullptr) view.shard = row->answer->shard;
    return view;
  }
  if (row->due_at) return view;
  // A returned request may already be in a newer shard while the one it came from is still being merged.
  for (const ShardRow& shard : live_) {
    if (shard.members.rank(id)) view.shard = shard.shard.id;
  }
  if (view.shard) view.state = RequestView::State::in_flight;
  return view;
}

std::vector<ShardView> FakeDatabase::shards() const {
  std::vector<ShardView> views;
  for (const auto* const table : {&live_, &closed_}) {
    for (const ShardRow& row : *table) {
      ShardView view{row.shard, row.members.size(), static_cast<std::size_t>(bit_count(row.decided))};
      view.shard.lease = row.owner.value_or(Term{});
      views.push_back(std::move(view));
    }
  }
  std::sort(views.begin(), views.end(), [](const ShardView& a, const ShardView& b) { return a.shard.id < b.shard.id; });
  return views;
}

std::map<std::string, LedgerView> FakeDatabase::ledger() const {
  std::map<std::string, LedgerView> ledger;
  for (const DeploymentRow& row : deployments_) ledger[row.name] = {row.limit, row.reserved, row.configured};
  return ledger;
}

std::vector<StrayView> FakeDatabase::strays() const {
  std::vector<StrayView> views;
  for (const StrayRow& row : strays_) views.push_back({row.provider, row.kind, row.stray, row.done_at.has_value()});
  return views;
}

std::int64_t FakeDatabase::unsettled() const {
  return std::count_if(requests_.begin(), requests_.end(), [](const RequestRow& row) { return !row.answer; });
}

}  // namespace batchd::simulation
