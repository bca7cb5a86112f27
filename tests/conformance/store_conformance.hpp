// A conformance test of the store port, with the few steps that most of them begin with. Each suite runs against every adapter
// (CONFORMANCE_SUITE); whatever a test asks for goes through the harness or the port, never past them.
#pragma once

#include "conformance/store_harness.hpp"
#include "support/plan_order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace batchd::conformance {

using namespace std::chrono_literals;

class StoreConformance : public ::testing::TestWithParam<MakeHarness> {
 protected:
  static constexpr Milliseconds ttl{10s};

  template <class T>
  T wait(Task<T> task) {
    return harness->wait(std::move(task));
  }
  void wait(Task<void> task) { harness->wait(std::move(task)); }

  // Replicas
  Term join(std::vector<std::string> providers = {}) { return wait(store.join({"host", 1, "test", std::move(providers)})); }
  /// A living term with the roles `plan` and `watch:prov`, and the deployment `dep` for the model `m`.
  Term planner(Tokens limit = 1'000'000) {
    const Term term = join();
    EXPECT_TRUE(wait(store.publish(term, {{"dep", "prov", "m", limit}})));
    EXPECT_TRUE(wait(store.hold_role(term, "plan")));
    EXPECT_TRUE(wait(store.hold_role(term, "watch:prov")));
    return term;
  }
  /// A replica falls silent for longer than the ttl while the others go on, and somebody notices. Takes 11 seconds.
  void bury(Term dead) {
    const std::vector<Term> terms = harness->picture().replicas;
    harness->pass(11s);
    for (const Term term : terms) {
      if (term != dead) wait(store.heartbeat(term));
    }
    EXPECT_EQ(harness->bury_dead(ttl).replicas, 1);
  }
  void match_all(Term term) {
    for (const Unmatched& provider : wait(store.unmatched())) wait(store.matched(term, provider));
  }

  // Producers
  std::vector<RequestId> enqueue(int count, const Prompt& prompt = {}) {
    return harness->enqueue(std::vector<Prompt>(static_cast<std::size_t>(count), prompt));
  }
  std::vector<RequestId> enqueue(int count, const std::string& job) {
    Prompt prompt;
    prompt.job = job;
    return enqueue(count, prompt);
  }

  // Shards
  /// An order for everything that waits, in the order of the backlog.
  PlanOrder order_for_all(std::int64_t max_requests = 100'000) { return testing::order_for(wait(store.backlog()), max_requests); }
  std::optional<PlannedShard> plan(Term term, std::int64_t max_requests = 100'000) {
    const PlanOrder order = order_for_all(max_requests);
    return wait(store.plan(term, order));
  }
  Shard leased(Term term, ShardId id, ShardState state) {
    auto shard = wait(store.lease_one(term, id, state));
    EXPECT_TRUE(shard.has_value()) << "shard " << id << " cannot be leased as " << to_string(state);
    return shard.value_or(Shard{});
  }
  /// Plans everything that waits into one shard and leases it.
  Shard planned(Term term, std::int64_t max_requests = 100'000) {
    const auto made = plan(term, max_requests);
    EXPECT_TRUE(made.has_value());
    return made ? leased(term, made->id, ShardState::planned) : Shard{};
  }
  SaveResult save(Term term, const Shard& before, const ShardEvent& event, bool keep_lease = true) {
    return wait(store.save(term, before, batchd::apply(before, event), keep_lease));
  }
  /// Saves what an event makes of a shard, keeping its lease, and returns it.
  Shard step(Term term, const Shard& before, const ShardEvent& event) {
    Shard after = batchd::apply(before, event);
    EXPECT_EQ(wait(store.save(term, before, after, true)), SaveResult::saved);
    return after;
  }
  /// A shard of so many new requests, uploaded and leased.
  Shard uploaded(Term term, int requests = 1, Tokens tokens = 10) {
    enqueue(requests);
    const Shard shard = planned(term, requests);
    return step(term, shard, Uploaded{FileId{"file-" + std::to_string(shard.id.value)}, 1000, tokens});
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
  Shard submitted(Term term, int requests = 1, Tokens tokens = 10) {
    const Shard shard = step(term, uploaded(term, requests, tokens), Intended{});
    return step(term, shard, Created{batch_of(shard)});
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
  Shard finished(Term term, int requests, BatchStatus status = BatchStatus::completed) {
    enqueue(requests);
    return finish(term, planned(term, requests), status);
  }

  // Members
  static std::vector<RequestId> undecided(const ShardContents& contents) {
    std::vector<RequestId> ids;
    for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
      if (!contents.decided.test(rank)) ids.push_back(contents.members.at(rank));
    }
    return ids;
  }
  std::vector<RequestId> members(ShardId shard) { return undecided(wait(store.contents(shard))); }
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
  static Settlement failed(RequestId id, std::string error = R"({"code":"bad","message":"no"})") {
    Settlement s;
    s.request = id;
    s.outcome = Outcome::failed;
    s.status_code = 400;
    s.error = std::move(error);
    return s;
  }
  static Return returned(RequestId id, int attempts = 1, Milliseconds delay = 0ms, std::string error = "") {
    return {id, attempts, delay, std::move(error)};
  }
  /// Marks members as decided and settles them so.
  bool settle(Term term, const Shard& shard, ShardContents& contents, SettleChunk chunk) {
    for (const auto& s : chunk.settled) contents.decided.set(contents.members.rank(s.request).value());
    for (const auto& r : chunk.returned) contents.decided.set(contents.members.rank(r.request).value());
    return wait(store.settle(term, shard.id, contents, std::move(chunk)));
  }
  /// Answers all that is left of a shard, merges and closes it.
  void close(Term term, const Shard& finished) {
    ShardContents contents = wait(store.contents(finished.id));
    SettleChunk chunk;
    for (const RequestId id : undecided(contents)) chunk.settled.push_back(answered(id));
    EXPECT_TRUE(settle(term, finished, contents, std::move(chunk)));
    step(term, step(term, finished, Merged{}), Closed{});
  }

  // Looking
  RequestRow request(RequestId id) {
    for (const RequestRow& row : harness->picture().requests) {
      if (row.id == id) return row;
    }
    ADD_FAILURE() << "no request " << id;
    return {};
  }
  std::string state_of(RequestId id) { return request(id).state; }
  std::optional<ResultRow> result_of(RequestId id) {
    for (const ResultRow& row : harness->picture().results) {
      if (row.request == id) return row;
    }
    return std::nullopt;
  }
  ShardRow row_of(ShardId id) {
    for (const ShardRow& row : harness->picture().shards) {
      if (row.id == id) return row;
    }
    ADD_FAILURE() << "no shard " << id;
    return {};
  }
  Tokens reserved(const std::string& deployment = "dep") {
    for (const DeploymentRow& row : harness->picture().deployments) {
      if (row.name == deployment) return row.reserved;
    }
    ADD_FAILURE() << "no deployment " << deployment;
    return 0;
  }
  /// The books as text: attempt, answer, batch.
  std::string lines() {
    std::string text;
    for (const SubmissionRow& row : harness->picture().submissions) {
      if (!text.empty()) text += "; ";
      text += std::to_string(row.attempt) + " " + row.answer + (row.batch.empty() ? "" : " " + row.batch);
    }
    return text;
  }
  void TearDown() override { EXPECT_EQ(harness->check(), ""); }

  std::unique_ptr<StoreHarness> harness = GetParam()();
  Store& store = harness->store();
};

}  // namespace batchd::conformance

#define CONFORMANCE_SUITE(Suite)                                                                                 \
  INSTANTIATE_TEST_SUITE_P(PostgreSQL, Suite, ::testing::Values(&batchd::conformance::make_postgresql_harness)); \
  INSTANTIATE_TEST_SUITE_P(Fake, Suite, ::testing::Values(&batchd::conformance::make_fake_harness))
