// The steps that most tests of the store port begin with, whatever the adapter is: plan, lease, save what an event makes of a
// shard, settle. The fixture brings the store.
#pragma once

#include "support/run_task.hpp"

#include "db/store.hpp"

#include <boost/asio/io_context.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace batchd::testing {

class StoreSteps {
 public:
  virtual ~StoreSteps() = default;

 protected:
  virtual Store& port() = 0;

  template <class T>
  T wait(Task<T> task) {
    return run_task(io_, std::move(task));
  }

  Term join(std::vector<std::string> providers = {}) { return wait(port().join({"host", 1, "test", std::move(providers)})); }

  // Shards
  /// An order as the planner would give it, for everything of the model `m` that waits, in the order of the backlog.
  PlanOrder order_for_all(std::int64_t max_requests = 100'000) {
    PlanOrder order;
    order.lane = {"m", "/v1/chat/completions"};
    for (const Flow& flow : wait(port().backlog())) {
      if (flow.lane == order.lane) order.flows.push_back(flow.id);
    }
    order.deployment = "dep";
    order.max_requests = max_requests;
    order.max_bytes = 1'000'000'000;
    order.bytes_per_request = 100;
    order.tokens_per_byte = 0.5;
    return order;
  }
  std::optional<PlannedShard> plan(Term term, std::int64_t max_requests = 100'000) {
    const PlanOrder order = order_for_all(max_requests);
    return wait(port().plan(term, order));
  }
  Shard leased(Term term, ShardId id, ShardState state) {
    auto shard = wait(port().lease_one(term, id, state));
    EXPECT_TRUE(shard.has_value()) << "shard " << id << " cannot be leased as " << to_string(state);
    return shard.value_or(Shard{});
  }
  /// Plans everything that waits into one shard and leases it.
  Shard planned(Term term, std::int64_t max_requests = 100'000) {
    const auto made = plan(term, max_requests);
    EXPECT_TRUE(made.has_value());
    return made ? leased(term, made->id, ShardState::planned) : Shard{};
  }
  /// Saves what an event makes of a shard, keeping its lease, and returns it.
  Shard step(Term term, const Shard& before, const ShardEvent& event) {
    Shard after = batchd::apply(before, event);
    EXPECT_EQ(wait(port().save(term, before, after, true)), SaveResult::saved);
    return after;
  }
  static Batch batch(const std::string& id, BatchStatus status = BatchStatus::validating) {
    Batch b;
    b.id = BatchId{id};
    b.status = status;
    return b;
  }
  static Batch batch_of(const Shard& shard, BatchStatus status = BatchStatus::validating) {
    return batch("batch-" + std::to_string(shard.id.value) + "-" + std::to_string(shard.attempt), status);
  }
  /// Leads a planned shard to `finished` by a batch that ended as given.
  Shard finish(Term term, Shard shard, BatchStatus status = BatchStatus::completed) {
    shard = step(term, shard, Uploaded{FileId{"file-" + std::to_string(shard.id.value)}, 1000, 10});
    shard = step(term, shard, Intended{});
    Batch b = batch_of(shard, status);
    b.output_file_id = FileId{"out-" + std::to_string(shard.id.value)};
    shard = step(term, shard, Created{b});
    return step(term, shard, Ended{b});
  }

  // Members
  static std::vector<RequestId> undecided(const ShardContents& contents) {
    std::vector<RequestId> ids;
    for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
      if (!contents.decided.test(rank)) ids.push_back(contents.members.at(rank));
    }
    return ids;
  }
  static Settlement answered(RequestId id, std::string response = R"({"ok":true})") {
    Settlement s;
    s.request = id;
    s.outcome = Outcome::succeeded;
    s.status_code = 200;
    s.response = std::move(response);
    s.usage = Usage{3, 4};
    s.provider_request_id = "req-" + std::to_string(id.value);
    return s;
  }
  /// Marks members as decided and settles them so.
  bool settle(Term term, const Shard& shard, ShardContents& contents, SettleChunk chunk) {
    for (const auto& s : chunk.settled) contents.decided.set(contents.members.rank(s.request).value());
    for (const auto& r : chunk.returned) contents.decided.set(contents.members.rank(r.request).value());
    return wait(port().settle(term, shard.id, contents, std::move(chunk)));
  }

 private:
  asio::io_context io_;
};

}  // namespace batchd::testing
