// What must be true of the data at every moment, whatever was done to them.
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <limits>

namespace batchd::simulation {
namespace {

std::string name(RequestId id) {
  return "request " + std::to_string(id.value);
}

std::string name(const ShardRow& row) {
  return "shard " + std::to_string(row.shard.id.value);
}

}  // namespace

std::string FakeDatabase::check() const {
  std::string problem = check_shards();
  if (problem.empty()) problem = check_requests();
  if (problem.empty()) problem = check_flows();
  if (problem.empty()) problem = check_jobs();
  if (problem.empty()) problem = check_totals();
  if (problem.empty()) problem = check_money();
  return problem;
}

/// P1: each request is exactly one of: waiting, undecided in one live shard, settled.
std::string FakeDatabase::check_requests() const {
  std::map<RequestId, int> held;
  for (const ShardRow& row : live_) {
    for (std::size_t rank = 0; rank < row.members.size(); ++rank) {
      const bool decided = !row.decided.empty() && Bitmap(row.decided, row.members.size()).test(rank);
      if (!decided) ++held[row.members.at(rank)];
    }
  }
  for (const RequestRow& row : requests_) {
    const auto found = held.find(row.id);
    const int shards = found == held.end() ? 0 : found->second;
    if (row.answer && row.attempts) return name(row.id) + " is settled and has attempts left behind";
    const int places = (row.queued ? 1 : 0) + (row.due_at ? 1 : 0) + (row.answer ? 1 : 0) + shards;
    if (places == 1) continue;
    return name(row.id) + " is in " + std::to_string(places) + " places: queued " + std::to_string(row.queued) + ", returned " +
           std::to_string(row.due_at.has_value()) + ", settled " + std::to_string(row.answer.has_value()) + ", live shards " +
           std::to_string(shards);
  }
  for (const auto& [id, shards] : held) {
    if (find_request(id) == nullptr) return name(id) + " is in a shard and unknown";
  }
  for (const FlowRow& flow : flows_) {
    for (const RequestId id : flow.queue) {
      if (!find_request(id)->queued) return name(id) + " stands in a queue that it has left";
    }
    for (const auto& [due_at, id] : flow.retries) {
      if (find_request(id)->due_at != due_at) return name(id) + " stands among returned requests and is not one";
    }
  }
  return {};
}

std::string FakeDatabase::check_shards() const {
  std::map<std::string, Tokens> reserved;
  for (const ShardRow& row : live_) {
    const Shard& s = row.shard;
    if (s.reserved != 0) reserved[s.deployment] += s.reserved;
    if (s.state == ShardState::merged) {
      if (row.members.size() != 0 || !row.decided.empty()) return name(row) + " is merged and still has members";
      continue;
    }
    if (row.members.size() != static_cast<std::size_t>(s.requests)) {
      return name(row) + " has " + std::to_string(row.members.size()) + " members and says " + std::to_string(s.requests);
    }
    if (row.decided.empty()) continue;
    if (row.decided.size() != (row.members.size() + 7) / 8) return name(row) + " has a bitmap of another size";
    const auto beyond = static_cast<unsigned>(row.members.size() % 8);
    if (beyond != 0 && (static_cast<unsigned char>(row.decided.back()) >> beyond) != 0) {
      return name(row) + " has decided members that it does not have";
    }
  }
  for (const DeploymentRow& row : deployments_) {
    if (row.believed && (*row.believed < 1 || *row.believed > std::max(row.limit, row.dynamic_limit)))
      return "deployment " + row.name + " is believed to have room for " + std::to_string(*row.believed) + " tokens";
    const auto sum = reserved.find(row.name);
    const Tokens held = sum == reserved.end() ? 0 : sum->second;
    if (row.reserved != held) {
      return "deployment " + row.name + " has " + std::to_string(row.reserved) + " tokens reserved, its shards " +
             std::to_string(held);
    }
    if (sum != reserved.end()) reserved.erase(sum);
  }
  for (const auto& [deployment, tokens] : reserved) return "unknown deployment " + deployment + " has tokens reserved";
  return {};
}

/// The counters of flows, of jobs and of all, those that are not rolled up yet included, say what counting says.
std::string FakeDatabase::check_flows() const {
  std::vector<Counts> flows(flows_.size());
  for (const RequestRow& row : requests_) {
    if (row.queued) {
      ++flows[row.flow].queued;
      flows[row.flow].queued_bytes += row.bytes();
    }
    if (row.due_at) ++flows[row.flow].returned;
  }
  std::vector<Counts> counted(flows_.size());
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    counted[i].queued = flows_[i].queued;
    counted[i].queued_bytes = flows_[i].queued_bytes;
    counted[i].returned = flows_[i].returned;
  }
  for (const DeltaRow& delta : deltas_) counted[delta.flow].add(delta.counts);
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    if (counted[i].queued_bytes != flows[i].queued_bytes) {
      return "a flow of job " + flows_[i].job + " counts other bytes than are queued";
    }
    if (counted[i].queued != flows[i].queued || counted[i].returned != flows[i].returned) {
      return "a flow of job " + flows_[i].job + " counts " + std::to_string(counted[i].queued) + " queued and " +
             std::to_string(counted[i].returned) + " returned requests and has " + std::to_string(flows[i].queued) + " and " +
             std::to_string(flows[i].returned);
    }
  }
  return {};
}

std::string FakeDatabase::check_jobs() const {
  std::map<std::string, std::pair<std::int64_t, std::int64_t>> unfinished;  // waiting, in flight
  for (const RequestRow& row : requests_) {
    auto& [waiting, in_flight] = unfinished[flows_[row.flow].job];
    if (!row.answer) ++(row.queued || row.due_at ? waiting : in_flight);
  }
  for (const JobProgress& job : jobs(std::numeric_limits<int>::max())) {
    if (std::pair(job.queued, job.in_flight) != unfinished[job.job]) return "job " + job.job + " is not what counting says";
  }
  return {};
}

std::string FakeDatabase::check_totals() const {
  std::int64_t outcomes[4] = {};
  std::int64_t queued = 0;
  for (const RequestRow& row : requests_) {
    if (row.queued || row.due_at) ++queued;
    if (row.answer) ++outcomes[static_cast<int>(row.answer->outcome)];
  }
  const StoreGauges counted = gauges();
  const auto accepted = static_cast<std::int64_t>(requests_.size());
  std::int64_t settled = 0;
  for (const Outcome outcome : {Outcome::succeeded, Outcome::failed, Outcome::cancelled, Outcome::expired}) {
    const std::int64_t is = outcomes[static_cast<int>(outcome)];
    settled += is;
    if (counted.settled.at(std::string(to_string(outcome))) != is) {
      return std::string(to_string(outcome)) + " requests are counted as " +
             std::to_string(counted.settled.at(std::string(to_string(outcome)))) + " and are " + std::to_string(is);
    }
  }
  if (counted.accepted != accepted || counted.queued != queued || counted.in_flight != accepted - queued - settled) {
    return "the totals count " + std::to_string(counted.accepted) + " accepted, " + std::to_string(counted.queued) + " queued, " +
           std::to_string(counted.in_flight) + " in flight; there are " + std::to_string(accepted) + ", " +
           std::to_string(queued) + ", " + std::to_string(accepted - queued - settled);
  }
  return {};
}

}  // namespace batchd::simulation
