// Requests as producers leave them: enqueued into flows, counted by deltas, rolled up, shown as a backlog.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <limits>
#include <tuple>

namespace batchd::simulation {
namespace {

/// FNV-1a, so that the order of flows is the same everywhere.
class Hash {
 public:
  void add(std::string_view text) {
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    add_byte(0xff);
  }
  void add(std::int64_t number) {
    for (int i = 0; i < 8; ++i) add_byte(static_cast<unsigned char>(static_cast<std::uint64_t>(number) >> (8 * i)));
  }
  std::int64_t value() const { return static_cast<std::int64_t>(state_); }

 private:
  void add_byte(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001b3; }
  std::uint64_t state_ = 0xcbf29ce484222325;
};

FlowId flow_id(const NewRequest& request, std::optional<Instant> deadline) {
  Hash hash;
  hash.add(request.model);
  hash.add(request.endpoint);
  hash.add(request.job);
  hash.add(request.priority);
  hash.add(deadline ? deadline->count() : -1);
  return FlowId{hash.value()};
}

/// What the deltas of one roll-up say of a flow.
struct Gathered {
  Counts counts;
  std::optional<Instant> first_queued;
  bool any = false;
};

void roll_into(JobRow& job, const DeltaRow& delta, bool is_new) {
  const Counts& counts = delta.counts;
  job.accepted += counts.accepted;
  job.queued += counts.queued + counts.returned;
  job.in_flight += counts.in_flight;
  for (std::size_t i = 0; i < 4; ++i) job.outcomes[i] += counts.outcomes[i];
  job.input += counts.input;
  job.output += counts.output;
  job.first_at = is_new ? delta.at : std::min(job.first_at, delta.at);
  if (counts.settled() > 0) job.last_at = job.last_at ? std::max(*job.last_at, delta.at) : delta.at;
}

void roll_into(FlowRow& flow, const Gathered& gathered, Instant now) {
  const Counts& counts = gathered.counts;
  const std::optional<Instant> since = counts.queued > 0 ? gathered.first_queued : std::nullopt;
  flow.queued += counts.queued;
  flow.queued_bytes += counts.queued_bytes;
  flow.returned += counts.returned;
  if (!flow.known) {
    flow.waiting_since = since;
  } else if (flow.queued <= 0) {
    flow.waiting_since.reset();
  } else if (!flow.waiting_since) {
    flow.waiting_since = since.value_or(now);
  }
  flow.known = true;
}

/// ORDER BY priority DESC, deadline, waiting_since, flow; NULL comes last.
bool goes_before(const FlowRow* a, const FlowRow* b) {
  const auto key = [](const FlowRow& row) {
    return std::tuple(-std::int64_t{row.priority}, row.deadline.value_or(infinity), row.waiting_since.value_or(infinity), row.id);
  };
  return key(*a) < key(*b);
}

}  // namespace

std::size_t FakeDatabase::flow_for(const NewRequest& request, std::optional<Instant> deadline) {
  if (deadline) deadline = std::chrono::floor<std::chrono::minutes>(*deadline);
  const FlowId id = flow_id(request, deadline);
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    if (flows_[i].id == id) return i;
  }
  FlowRow row;
  row.id = id;
  row.lane = {request.model, request.endpoint};
  row.job = request.job;
  row.priority = request.priority;
  row.deadline = deadline;
  flows_.push_back(std::move(row));
  return flows_.size() - 1;
}

FlowRow* FakeDatabase::find_flow(FlowId id) {
  const auto at = std::find_if(flows_.begin(), flows_.end(), [id](const FlowRow& row) { return row.id == id; });
  return at == flows_.end() ? nullptr : &*at;
}

void FakeDatabase::check_request(const NewRequest& request) const {
  const auto require = [this](bool holds, const char* constraint) {
    if (!holds) server_->violated(constraint);
  };
  require(!request.model.empty() && request.model.size() <= 200, "request_model_has_1_to_200_bytes");
  require(request.endpoint.starts_with('/') && request.endpoint.size() <= 200, "request_endpoint_is_a_path_of_at_most_200_bytes");
  require(!request.job.empty() && request.job.size() <= 512, "request_job_has_1_to_512_bytes");
  require(request.key.size() <= 512, "request_key_has_1_to_512_bytes");
}

std::optional<RequestId> FakeDatabase::enqueue(const NewRequest& request) {
  const std::vector<RequestId> made = enqueue(std::vector<NewRequest>{request});
  return made.empty() ? std::nullopt : std::optional(made.front());
}

std::vector<RequestId> FakeDatabase::enqueue(const std::vector<NewRequest>& requests) {
  for (const NewRequest& request : requests) check_request(request);
  const Instant now = server_->clock();
  std::vector<RequestId> made;
  std::map<std::size_t, Counts> counted;
  for (const NewRequest& request : requests) {
    const RequestId id{++request_sequence_};  // used up, known or not
    if (!request.key.empty() && !keys_.try_emplace({request.job, request.key}, id).second) continue;
    RequestRow row;
    row.id = id;
    row.key = request.key;
    row.body = request.body;
    if (request.deadline_in) row.deadline = now + *request.deadline_in;
    row.created_at = now;
    row.queued = true;
    row.flow = flow_for(request, row.deadline);
    flows_[row.flow].queue.push_back(id);
    Counts& counts = counted[row.flow];
    ++counts.accepted;
    ++counts.queued;
    counts.queued_bytes += row.bytes();
    requests_.push_back(std::move(row));
    made.push_back(id);
  }
  for (const auto& [flow, counts] : counted) announce(flow, counts);
  if (!made.empty() && hint_armed_) ++notifications_;
  return made;
}

void FakeDatabase::announce(std::size_t flow, const Counts& counts) {
  deltas_.push_back({flow, counts, server_->clock()});
}

void FakeDatabase::fold() {
  hint_armed_ = deltas_.empty();
  if (deltas_.empty()) return;
  std::vector<Gathered> gathered(flows_.size());
  for (const DeltaRow& delta : deltas_) {
    Gathered& of_flow = gathered[delta.flow];
    of_flow.any = true;
    of_flow.counts.add(delta.counts);
    if (delta.counts.queued > 0) of_flow.first_queued = std::min(of_flow.first_queued.value_or(delta.at), delta.at);
    total_.add(delta.counts);
    const auto [job, is_new] = job_counts_.try_emplace(flows_[delta.flow].job);
    roll_into(job->second, delta, is_new);
  }
  const Instant now = server_->clock();
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    if (gathered[i].any) roll_into(flows_[i], gathered[i], now);
  }
  if (!without(Mutant::roll_up)) deltas_.clear();
}

void FakeDatabase::take_from_queue(RequestRow& row) {
  auto& queue = flows_[row.flow].queue;
  queue.erase(std::lower_bound(queue.begin(), queue.end(), row.id));
  row.queued = false;
}

void FakeDatabase::take_from_retries(RequestRow& row) {
  auto& retries = flows_[row.flow].retries;
  retries.erase(std::lower_bound(retries.begin(), retries.end(), std::pair(*row.due_at, row.id)));
  row.due_at.reset();
}

void FakeDatabase::queue_again(RequestRow& row, Instant due_at) {
  auto& retries = flows_[row.flow].retries;
  const std::pair entry(due_at, row.id);
  retries.insert(std::lower_bound(retries.begin(), retries.end(), entry), entry);
  row.due_at = due_at;
}

std::vector<Flow> FakeDatabase::backlog() {
  fold();
  const Instant now = server_->clock();
  const auto last = std::pair(now, RequestId{std::numeric_limits<std::int64_t>::max()});
  std::vector<const FlowRow*> waiting;
  for (const FlowRow& row : flows_) {
    if (row.queued > 0 || row.returned > 0) waiting.push_back(&row);
  }
  std::sort(waiting.begin(), waiting.end(), goes_before);
  std::vector<Flow> flows;
  for (const FlowRow* const waits : waiting) {
    const FlowRow& row = *waits;
    const auto& retries = row.retries;
    const std::int64_t due =
        row.returned > 0 ? std::upper_bound(retries.begin(), retries.end(), last) - retries.begin() : std::int64_t{0};
    if (row.queued <= 0 && due == 0) continue;
    if (!pauses_.empty() && is_paused("job:" + row.job)) continue;
    if (!money_.waits.empty() && waits_for_money(row, now)) continue;
    std::optional<Instant> since;
    if (row.queued > 0) since = std::max(row.waiting_since, row.cursor_waiting_since);  // nothing is less than anything
    if (due > 0) since = since ? std::min(*since, retries.front().first) : retries.front().first;
    Flow flow;
    flow.id = row.id;
    flow.lane = row.lane;
    flow.job = row.job;
    flow.priority = row.priority;
    flow.requests = std::max<std::int64_t>(row.queued, 0);
    flow.bytes = std::max<std::int64_t>(row.queued_bytes, 0);
    flow.returned = due;
    if (since) flow.waiting = to_milliseconds(now - *since);
    if (row.deadline) flow.deadline_in = to_milliseconds(*row.deadline - now);
    flows.push_back(std::move(flow));
  }
  return flows;
}

}  // namespace batchd::simulation
