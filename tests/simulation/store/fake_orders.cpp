// What people order while work is under way: cancel, try again, go first, stop for a while; and how wishes reach their shards.
#include "simulation/store/fake_database.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

constexpr std::string_view cancelled_error = R"({"code":"cancelled","message":"cancelled before it was answered"})";

bool is_scope(std::string_view scope) {
  for (const std::string_view prefix : {"job:", "deployment:"}) {
    if (scope.starts_with(prefix) && scope.size() > prefix.size()) return true;
  }
  return scope == "all";
}

}  // namespace

void FakeDatabase::wish(RequestRow& row) {
  if (row.wish != Wish::none) return;
  row.wish = Wish::unplaced;
  wishes_.insert(row.id);
}

void FakeDatabase::forget_wish(RequestRow& row) {
  if (row.wish == Wish::none) return;
  row.wish = Wish::none;
  wishes_.erase(row.id);
}

std::int64_t FakeDatabase::cancel_returned(const std::vector<RequestId>& ids, bool only_wished) {
  std::int64_t gone = 0;
  std::map<std::size_t, Counts> counted;
  for (const RequestId id : ids) {
    RequestRow* const row = find_request(id);
    if (row == nullptr || !row->due_at || (only_wished && row->wish == Wish::none)) continue;
    settle_unsent(*row, Outcome::cancelled, std::string(cancelled_error), counted[row->flow]);
    forget_wish(*row);
    ++gone;
  }
  for (const auto& [flow, counts] : counted) announce(flow, counts);
  return gone;
}

std::int64_t FakeDatabase::cancel_queued(const std::vector<RequestId>& ids) {
  std::int64_t gone = 0;
  std::map<std::size_t, Counts> counted;
  for (const RequestId id : ids) {
    RequestRow* const row = find_request(id);
    if (row == nullptr || !row->queued) continue;
    settle_unsent(*row, Outcome::cancelled, std::string(cancelled_error), counted[row->flow]);
    ++gone;
  }
  for (const auto& [flow, counts] : counted) announce(flow, counts);
  return gone;
}

bool FakeDatabase::cancel_request(RequestId id) {
  RequestRow* const row = find_request(id);
  if (row == nullptr || row->answer) return false;
  if (cancel_returned({id}, false) + cancel_queued({id}) == 0) {
    wish(*row);
    ++notifications_;
  }
  return true;
}

std::int64_t FakeDatabase::cancel_job(std::string_view job) {
  std::vector<RequestId> ids;
  for (const RequestRow& row : requests_) {
    if (flows_[row.flow].job == job && !row.answer) ids.push_back(row.id);
  }
  const std::int64_t cancelled = cancel_queued(ids) + cancel_returned(ids, false);
  std::int64_t wished = 0;
  for (const ShardRow& shard : live_) {
    for (const RequestId id : ids) {
      RequestRow& row = *find_request(id);
      if (row.answer || row.due_at || row.wish != Wish::none || !shard.members.rank(id)) continue;
      wish(row);
      ++wished;
    }
  }
  if (wished > 0) ++notifications_;
  return cancelled + wished;
}

std::int64_t FakeDatabase::queue_settled_again(const std::vector<RequestId>& ids) {
  std::int64_t queued = 0;
  std::map<std::size_t, Counts> counted;
  const Instant now = server_->clock();
  for (const RequestId id : ids) {
    RequestRow* const row = find_request(id);
    if (row == nullptr || !row->answer || row->answer->outcome == Outcome::succeeded) continue;
    --counted[row->flow].outcomes[static_cast<int>(row->answer->outcome)];
    ++counted[row->flow].returned;
    row->history.push_back(std::move(*row->answer));
    row->answer.reset();
    queue_again(*row, now);
    forget_wish(*row);
    ++queued;
  }
  for (const auto& [flow, counts] : counted) announce(flow, counts);
  if (queued > 0) ++notifications_;
  return queued;
}

bool FakeDatabase::retry_request(RequestId id) {
  return queue_settled_again({id}) == 1;
}

std::int64_t FakeDatabase::retry_job(std::string_view job) {
  std::vector<RequestId> ids;
  for (const RequestRow& row : requests_) {
    if (flows_[row.flow].job == job && row.answer) ids.push_back(row.id);
  }
  return queue_settled_again(ids);
}

std::int64_t FakeDatabase::set_priority(std::string_view job, int priority) {
  fold();
  std::int64_t changed = 0;
  for (FlowRow& flow : flows_) {
    if (!flow.known || flow.job != job) continue;
    flow.priority = priority;
    ++changed;
  }
  return changed;
}

bool FakeDatabase::pause(std::string_view scope) {
  if (!is_scope(scope)) server_->violated("pause_scope_is_all_or_job_or_deployment");
  return pauses_.insert(std::string(scope)).second;
}

bool FakeDatabase::resume(std::string_view scope) {
  const auto found = pauses_.find(scope);
  bool ended = found != pauses_.end();
  if (ended) pauses_.erase(found);
  const Instant now = server_->clock();
  for (DeploymentRow& row : deployments_) {
    if (!row.paused_until || *row.paused_until <= now) continue;
    if (scope != "all" && scope != "deployment:" + row.name) continue;
    row.paused_until.reset();
    row.pause_reason.reset();
    ended = true;
  }
  ++notifications_;
  return ended;
}

std::int64_t FakeDatabase::place_wishes(int most) {
  std::vector<RequestId> ids;
  for (const RequestId id : wishes_) {
    if (static_cast<int>(ids.size()) >= most) break;
    if (find_request(id)->wish == Wish::unplaced) ids.push_back(id);
  }
  if (ids.empty()) return 0;
  for (const RequestId id : ids) {
    if (find_request(id)->answer) forget_wish(*find_request(id));
  }
  cancel_returned(ids, true);
  const Instant now = server_->clock();
  for (const RequestId id : ids) {
    RequestRow& request = *find_request(id);
    if (request.wish == Wish::none) continue;
    for (ShardRow& shard : live_) {
      if (!shard.members.rank(id)) continue;
      shard.wished_at = now;
      request.wish = Wish::placed;
    }
  }
  return static_cast<std::int64_t>(ids.size());
}

std::vector<WishedBatch> FakeDatabase::wished_batches(int most) const {
  std::vector<WishedBatch> wished;
  if (has_moved()) return wished;
  for (const ShardRow& row : live_) {
    if (static_cast<int>(wished.size()) >= most) break;
    if (!row.wished_at || row.shard.state != ShardState::submitted) continue;
    WishedBatch batch;
    batch.batch = {row.shard.id, *row.shard.batch, row.shard.batch_status};
    batch.provider = row.shard.provider;
    batch.wanted = row.shard.requests - bit_count(row.decided) - wishes_in(row);
    batch.mark = std::to_string(row.wished_at->count());
    wished.push_back(std::move(batch));
  }
  return wished;
}

void FakeDatabase::forget_wished(const WishedBatch& batch) {
  ShardRow* const row = find_shard(batch.batch.shard);
  if (row != nullptr && row->wished_at && std::to_string(row->wished_at->count()) == batch.mark) row->wished_at.reset();
}

}  // namespace batchd::simulation
