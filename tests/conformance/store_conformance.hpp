// A conformance test of the store port, with the few steps that most of them begin with. Each suite runs against every adapter
// (CONFORMANCE_SUITE); whatever a test asks for goes through the harness or the port, never past them.
#pragma once

#include "conformance/store_harness.hpp"
#include "support/store_steps.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace batchd::conformance {

using namespace std::chrono_literals;

class StoreConformance : public ::testing::TestWithParam<MakeHarness>, protected testing::StoreSteps {
 protected:
  static constexpr Milliseconds ttl{10s};

  Store& port() override { return store; }

  // Replicas
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
  SaveResult save(Term term, const Shard& before, const ShardEvent& event, bool keep_lease = true) {
    return wait(store.save(term, before, batchd::apply(before, event), keep_lease));
  }
  /// A shard of so many new requests, uploaded and leased.
  Shard uploaded(Term term, int requests = 1, Tokens tokens = 10) {
    enqueue(requests);
    const Shard shard = planned(term, requests);
    return step(term, shard, Uploaded{FileId{"file-" + std::to_string(shard.id.value)}, 1000, tokens});
  }
  Shard submitted(Term term, int requests = 1, Tokens tokens = 10) {
    const Shard shard = step(term, uploaded(term, requests, tokens), Intended{});
    return step(term, shard, Created{batch_of(shard)});
  }
  Shard finished(Term term, int requests, BatchStatus status = BatchStatus::completed) {
    enqueue(requests);
    return finish(term, planned(term, requests), status);
  }

  // Members
  std::vector<RequestId> members(ShardId shard) { return undecided(wait(store.contents(shard))); }
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
