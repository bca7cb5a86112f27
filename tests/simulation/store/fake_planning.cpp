// From the queue to shards, and out of the queue without one.
#include "simulation/mutants.hpp"
#include "simulation/store/fake_database.hpp"

#include <boost/json/serialize.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace batchd::simulation {
namespace {

/// At most so many rows go at once, as one statement of the real store takes.
constexpr std::size_t late_most = 1000;

/// What a claim took of one flow's queue, or of its returned requests.
struct Taken {
  std::vector<RequestId> ids;
  Bytes bytes = 0;
  bool cut = false;  ///< a limit was met
};

struct FileRoom {
  std::int64_t requests = 0;
  Bytes bytes = 0;
  bool alone = false;  ///< the first request is taken even when it does not fit
};

/// Takes of the candidates, in their order, what fits; there are `there` of them.
template <class Candidate>
Taken take(std::size_t there, const FileRoom& room, Bytes extra, Candidate candidate) {
  Taken taken;
  const auto seen = std::min<std::int64_t>(static_cast<std::int64_t>(there), std::max<std::int64_t>(room.requests, 0));
  Bytes upto = 0;
  std::int64_t fit = 0;
  for (std::int64_t n = 0; n < seen; ++n) {
    const RequestRow& row = candidate(static_cast<std::size_t>(n));
    upto += row.bytes() + extra;
    if (upto > room.bytes && !(room.alone && n == 0)) break;
    taken.ids.push_back(row.id);
    taken.bytes += row.bytes();
    ++fit;
  }
  taken.cut = seen >= room.requests || seen > fit;
  return taken;
}

}  // namespace

void append_chunks(std::vector<MemberChunk>& chunks, FlowId flow, std::vector<RequestId> ids) {
  constexpr std::size_t ranges_a_row = 1024;
  std::sort(ids.begin(), ids.end());
  std::vector<IdRange> ranges;
  const auto flush = [&] {
    if (!ranges.empty()) chunks.push_back({flow, std::move(ranges)});
    ranges = {};
  };
  for (const RequestId id : ids) {
    if (!ranges.empty() && ranges.back().last + 1 == id.value) {
      ranges.back().last = id.value;
      continue;
    }
    if (ranges.size() == ranges_a_row) flush();
    ranges.push_back({id.value, id.value});
  }
  flush();
}

bool FakeDatabase::may_plan(Term term, const PlanOrder& order, std::int64_t confirmed) const {
  if (!holds_plan(term)) return false;
  const ReplicaRow* const replica = find_replica(term);
  if (replica != nullptr && replica->beats < confirmed && !without(Mutant::beats_of_writes)) return false;
  const DeploymentRow* const deployment = find_deployment(order.deployment);
  return deployment != nullptr && deployment->configured && takes_work(deployment->provider);
}

std::int64_t FakeDatabase::claim(FlowRow& flow, const PlanOrder& order, Claimed& claimed) {
  const Bytes extra = order.bytes_per_request;
  const auto room = [&] {
    return FileRoom{order.max_requests - claimed.requests, order.max_bytes - claimed.bytes, claimed.requests == 0};
  };
  const auto count = [&](const Taken& taken) {
    claimed.requests += static_cast<std::int64_t>(taken.ids.size());
    claimed.bytes += taken.bytes + static_cast<Bytes>(taken.ids.size()) * extra;
    claimed.cut = taken.cut;
  };
  const Instant now = server_->clock();
  const auto end = std::upper_bound(flow.retries.begin(), flow.retries.end(),
                                    std::pair(now, RequestId{std::numeric_limits<std::int64_t>::max()}));
  const Taken returned = take(static_cast<std::size_t>(end - flow.retries.begin()), room(), extra,
                              [&](std::size_t n) -> const RequestRow& { return *find_request(flow.retries[n].second); });
  count(returned);
  Taken queued;
  if (!returned.cut) {
    queued =
        take(flow.queue.size(), room(), extra, [&](std::size_t n) -> const RequestRow& { return *find_request(flow.queue[n]); });
    count(queued);
  }
  std::vector<RequestId> ids = returned.ids;
  ids.insert(ids.end(), queued.ids.begin(), queued.ids.end());
  if (ids.empty()) return 0;
  for (const RequestId id : returned.ids) take_from_retries(*find_request(id));
  for (const RequestId id : queued.ids) take_from_queue(*find_request(id));
  if (!queued.ids.empty()) {
    const bool more = queued.cut && !flow.queue.empty();
    flow.cursor_waiting_since = more ? find_request(flow.queue.front())->created_at : now;
  }
  Counts counts;
  counts.queued = -static_cast<std::int64_t>(queued.ids.size());
  counts.queued_bytes = -queued.bytes;
  counts.returned = -static_cast<std::int64_t>(returned.ids.size());
  counts.in_flight = static_cast<std::int64_t>(ids.size());
  announce(static_cast<std::size_t>(&flow - flows_.data()), counts);
  const std::int64_t taken = counts.in_flight;
  append_chunks(claimed.chunks, flow.id, std::move(ids));
  return taken;
}

std::optional<PlannedShard> FakeDatabase::plan(Term term, const PlanOrder& order, std::int64_t confirmed) {
  if (!may_plan(term, order, confirmed)) return std::nullopt;
  const ShardId id = next_shard();  // used up, whether anything is there or not
  Claimed claimed;
  ShardRow row;
  bool first = true;
  for (const FlowId flow_id : order.flows) {
    FlowRow* const flow = find_flow(flow_id);
    if (flow == nullptr || !flow->known || flow->lane != order.lane) continue;
    if (claim(*flow, order, claimed) > 0) {
      row.shard.priority = first ? flow->priority : std::max(row.shard.priority, flow->priority);
      if (flow->deadline) row.deadline = std::min(row.deadline.value_or(infinity), *flow->deadline);
      first = false;
    }
    if (claimed.cut) break;
  }
  if (claimed.requests == 0) return std::nullopt;
  row.shard.id = id;
  row.shard.lane = order.lane;
  row.shard.deployment = order.deployment;
  row.shard.provider = find_deployment(order.deployment)->provider;
  row.shard.requests = claimed.requests;
  row.shard.bytes = claimed.bytes;
  row.shard.tokens = static_cast<Tokens>(std::ceil(static_cast<double>(claimed.bytes) * order.tokens_per_byte));
  row.members = Members(std::move(claimed.chunks));
  row.due_at = row.created_at = row.state_at = server_->clock();
  ShardRow& made = insert_shard(std::move(row));
  if (wishes_in(made) > 0) made.wished_at = server_->clock();
  return PlannedShard{id, claimed.requests, claimed.bytes};
}

template <class Late>
int FakeDatabase::settle_late(bool returned, Late late, Outcome outcome, std::string_view code, std::string message) {
  std::vector<RequestId> gone;
  for (const FlowRow& flow : flows_) {
    if (!flow.known || (returned ? flow.returned : flow.queued) <= 0) continue;
    const std::size_t there = std::min(late_most, returned ? flow.retries.size() : flow.queue.size());
    for (std::size_t i = 0; i < there && gone.size() < late_most; ++i) {
      const RequestId id = returned ? flow.retries[i].second : flow.queue[i];
      if (late(flow, *find_request(id))) gone.push_back(id);
    }
  }
  std::map<std::size_t, Counts> counted;
  for (const RequestId id : gone) {
    RequestRow& row = *find_request(id);
    const std::string text = message.empty() ? "no configured deployment serves the model " + flows_[row.flow].lane.model +
                                                   " at " + flows_[row.flow].lane.endpoint
                                             : message;
    const std::string error = "{\"code\" : \"" + std::string(code) + "\", \"message\" : " + boost::json::serialize(text) + "}";
    settle_unsent(row, outcome, error, counted[row.flow]);
  }
  for (const auto& [flow, counts] : counted) announce(flow, counts);
  return static_cast<int>(gone.size());
}

void FakeDatabase::settle_unsent(RequestRow& row, Outcome outcome, std::string error, Counts& counts) {
  if (row.answer) server_->violated("answer_pkey: request " + std::to_string(row.id.value) + " is settled already");
  AnswerRow answer;
  answer.outcome = outcome;
  answer.error = std::move(error);
  answer.finished_at = server_->clock();
  if (row.due_at) {
    --counts.returned;
    take_from_retries(row);
    answer.attempt = row.attempts.value_or(0);
    row.attempts.reset();
    row.attempt_error.clear();
  } else {
    --counts.queued;
    counts.queued_bytes -= row.bytes();
    take_from_queue(row);
  }
  ++counts.outcomes[static_cast<int>(outcome)];
  row.answer = std::move(answer);
}

bool FakeDatabase::holds_plan(Term term) const {
  return without(Mutant::term_check) || (holds_role(term, "plan") && is_alive(term));
}

int FakeDatabase::fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) {
  if (!holds_plan(term)) return 0;
  const Instant before = server_->clock() - after;
  const auto late = [&](const FlowRow& flow, const RequestRow& row) {
    return !is_offered(offers, flow.lane) && row.created_at < before;
  };
  return settle_late(false, late, Outcome::failed, "no_deployment", "") +
         settle_late(true, late, Outcome::failed, "no_deployment", "");
}

int FakeDatabase::expire_overdue(Term term) {
  if (!holds_plan(term)) return 0;
  const Instant now = server_->clock();
  const auto late = [now](const FlowRow& flow, const RequestRow& row) {
    return flow.deadline && *flow.deadline <= now && row.deadline && *row.deadline <= now;
  };
  const std::string message = "the deadline passed before the request was answered";
  return settle_late(false, late, Outcome::expired, "deadline_passed", message) +
         settle_late(true, late, Outcome::expired, "deadline_passed", message);
}

void FakeDatabase::maintain() {
  fold();
}

bool FakeDatabase::retire(Term term, Milliseconds settled) {
  constexpr std::int64_t most = 1000;
  if (!is_alive(term)) return false;
  const Instant before = server_->clock() - settled;
  std::int64_t gone = 0;
  for (auto row = closed_.begin(); row != closed_.end() && gone < most;) {
    if (!row->closed_at || *row->closed_at >= before) {
      ++row;
      continue;
    }
    const ShardId id = row->shard.id;
    submissions_.erase(submissions_.lower_bound({id, 0}), submissions_.upper_bound({id, std::numeric_limits<int>::max()}));
    std::erase_if(strays_, [id](const StrayRow& stray) {
      return stray.stray.shard == id && stray.done_at && stray.kind != StrayKind::lost;
    });
    instance_.retired_through = std::max(instance_.retired_through, id.value);
    row = closed_.erase(row);
    ++gone;
  }
  return gone == most;
}

}  // namespace batchd::simulation
