// Binding waiting requests to a shard for a batch that turned up with them in it.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <limits>

namespace batchd::simulation {
namespace {

/// Only those of a batch's requests that wait are taken, each once, ordered by flow and id.
struct Waiting {
  std::size_t flow = 0;
  FlowId flow_id;
  RequestId id;
  friend bool operator==(const Waiting&, const Waiting&) = default;
  friend bool operator<(const Waiting& a, const Waiting& b) { return std::pair(a.flow_id, a.id) < std::pair(b.flow_id, b.id); }
};

/// In the lane and at the priority of the first of its requests.
ShardRow shard_for(const FoundBatch& found, ShardId id, const FlowRow& first, std::size_t requests, Instant now) {
  ShardRow row;
  row.shard.id = id;
  row.shard.requests = static_cast<std::int64_t>(requests);
  row.shard.lane = first.lane;
  row.shard.priority = first.priority;
  row.shard.provider = found.provider;
  row.shard.state = ShardState::submitted;
  row.shard.attempt = found.attempt;
  row.shard.input_file = found.input_file;
  row.shard.batch = found.batch;
  row.due_at = row.created_at = row.state_at = now;
  return row;
}

}  // namespace

DeploymentRow* FakeDatabase::deployment_for(const FoundBatch& found, const std::string& model) {
  DeploymentRow* best = nullptr;
  const auto rank = [&](const DeploymentRow& row) { return std::pair(row.name == found.model, row.configured); };
  for (DeploymentRow& row : deployments_) {  // by name
    if (row.provider != found.provider || (row.name != found.model && row.model != model)) continue;
    if (best == nullptr || rank(row) > rank(*best)) best = &row;
  }
  return best;
}

bool FakeDatabase::is_taken(ShardId id, std::string_view provider) const {
  const auto another = [&](const auto& entry) { return entry.second.provider != provider; };
  const auto from = submissions_.lower_bound({id, 0});
  const auto to = submissions_.upper_bound({id, std::numeric_limits<int>::max()});
  return find_shard(id) != nullptr || std::any_of(from, to, another);
}

std::optional<BoundShard> FakeDatabase::bind_found(Term term, const FoundBatch& found) {
  const bool may_bind = is_alive(term) && holds_role(term, "watch:" + found.provider);
  if ((!may_bind && !without(Mutant::term_check)) || has_moved()) return std::nullopt;
  if (const ShardRow* const bound = holder_of(found.provider, found.batch)) {
    return BoundShard{bound->shard.id, bound->shard.requests};
  }
  std::vector<Waiting> waiting;
  for (const CustomId& line : found.lines) {
    const RequestRow* const row = find_request(line.request);
    if (row == nullptr) continue;
    if (!flows_[row->flow].known) return std::nullopt;
    if (row->queued || row->due_at) waiting.push_back({row->flow, flows_[row->flow].id, row->id});
  }
  std::sort(waiting.begin(), waiting.end());
  waiting.erase(std::unique(waiting.begin(), waiting.end()), waiting.end());
  if (waiting.empty()) return BoundShard{};

  const bool is_given = found.shard && found.shard->value > 0 && !is_taken(*found.shard, found.provider);
  if (is_given) skip_shards(*found.shard);
  const ShardId id = is_given ? *found.shard : next_shard();
  ShardRow row = shard_for(found, id, flows_[waiting.front().flow], waiting.size(), server_->clock());
  DeploymentRow* const deployment = deployment_for(found, row.shard.lane.model);
  row.shard.deployment = deployment != nullptr ? deployment->name : !found.model.empty() ? found.model : row.shard.lane.model;
  if (deployment != nullptr) row.shard.tokens = row.shard.reserved = found.tokens;  // else polled and merged all the same
  check_shard(row.shard);

  if (deployment != nullptr) deployment->reserved += found.tokens;
  std::vector<MemberChunk> chunks;
  for (auto from = waiting.begin(); from != waiting.end();) {
    const auto to = std::find_if(from, waiting.end(), [from](const Waiting& w) { return w.flow != from->flow; });
    std::vector<RequestId> ids;
    for (auto w = from; w != to; ++w) ids.push_back(w->id);
    take_waiting(from->flow, ids, row);
    append_chunks(chunks, from->flow_id, std::move(ids));
    from = to;
  }
  row.members = Members(std::move(chunks));
  note_lines(found.lines, row.members);
  if (is_given) book_found({row.shard.id, found.attempt}, found.provider, found.input_file, found.batch, row.created_at);
  if (wishes_in(row) > 0) row.wished_at = server_->clock();
  const ShardRow& made = insert_shard(std::move(row));
  return BoundShard{made.shard.id, made.shard.requests};
}

void FakeDatabase::take_waiting(std::size_t flow, const std::vector<RequestId>& ids, ShardRow& into) {
  const FlowRow& source = flows_[flow];
  Counts counts;
  for (const RequestId id : ids) {
    RequestRow& request = *find_request(id);
    into.shard.bytes += request.bytes();
    ++counts.in_flight;
    if (request.due_at) {
      --counts.returned;
      take_from_retries(request);
    } else {
      --counts.queued;
      counts.queued_bytes -= request.bytes();
      take_from_queue(request);
    }
  }
  announce(flow, counts);
  into.shard.priority = std::max(into.shard.priority, source.priority);
  if (source.deadline) into.deadline = std::min(into.deadline.value_or(infinity), *source.deadline);
}

void FakeDatabase::note_lines(const std::vector<CustomId>& lines, const Members& members) {
  for (const CustomId& line : lines) {
    if (!members.rank(line.request)) continue;
    RequestRow& request = *find_request(line.request);
    if (line.attempt <= 1) {
      request.attempts.reset();
      request.attempt_error.clear();
    } else {
      request.attempts = line.attempt - 1;
    }
  }
}

}  // namespace batchd::simulation
