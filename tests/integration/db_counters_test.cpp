// P1 as a property: whatever the store's verbs do, in whatever order, every request is queued, in flight or settled, and the
// counters say what counting says, after each single step.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

#include <random>

namespace batchd::testing {
namespace {

class Counters : public StoreTest, public ::testing::WithParamInterface<unsigned> {
 protected:
  int below(int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); }

  void produce() {
    const std::string key = below(3) == 0 ? "'k' || (n % 5 + " + std::to_string(below(40)) + ")" : "NULL";
    const std::string statement = "INSERT INTO batchd.request (model, body, job, key, priority, deadline) SELECT '" +
                                  std::string(below(8) == 0 ? "unserved" : "m") + "', '{}', 'job " + std::to_string(below(3)) +
                                  "', " + key + ", " + std::to_string(below(2)) + ", " +
                                  (below(6) == 0 ? "now() - interval '2 min'" : "NULL") + " FROM generate_series(1, " +
                                  std::to_string(1 + below(30)) + ") n";
    sql.run(below(8) == 0 ? "BEGIN; " + statement + "; ROLLBACK" : statement);
  }
  void plan_some(Term term) {
    if (const auto made = wait(store.plan(term, order_for_all(1 + below(40))))) {
      live.push_back(leased(term, made->id, ShardState::planned));
    }
  }
  /// Decides some of a shard's members, each in a way of its own; merges the shard when none is left.
  void settle_some(Term term) {
    if (live.empty()) return;
    const std::size_t at = random() % live.size();
    Shard& shard = live[at];
    if (shard.state == ShardState::planned)
      shard = finish(term, shard, below(2) == 0 ? BatchStatus::completed : BatchStatus::expired);
    ShardContents contents = wait(store.contents(shard.id));
    SettleChunk chunk;
    for (const RequestId id : undecided(contents)) {
      if (below(3) == 0) continue;
      const int used = contents.attempts.contains(id) ? contents.attempts.at(id) : 0;
      if (below(3) == 0) {
        chunk.returned.push_back({id, used + below(2), Milliseconds{below(2) * 5}, below(2) == 0 ? "" : R"({"code":"again"})"});
      } else {
        Settlement s = answered(id);
        s.outcome = static_cast<Outcome>(below(4));
        if (s.outcome != Outcome::succeeded) s.error = R"({"code":"x","message":"y"})";
        chunk.settled.push_back(s);
      }
    }
    ASSERT_TRUE(settle(term, shard, contents, chunk));
    if (below(4) == 0) {
      ASSERT_TRUE(wait(store.settle(term, shard.id, contents, chunk)));
    }
    if (contents.decided.count() == contents.members.size()) {
      step(term, step(term, shard, Merged{}), Closed{});
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  void one_step(Term term) {
    switch (below(9)) {
      case 0:
      case 1:
        return produce();
      case 2:
      case 3:
        return plan_some(term);
      case 4:
      case 5:
        return settle_some(term);
      case 6:
        wait(store.maintain());
        return;
      case 7:
        wait(store.expire_overdue(term));
        return;
      default:
        wait(store.fail_unroutable(term, {{"m", {}}}, Milliseconds{below(2) * 3'600'000}));
        return;
    }
  }
  /// By job, the counters and what counting the rows says.
  void expect_jobs_agree() {
    EXPECT_EQ(sql.value(R"(
      SELECT count(*) FROM (
        SELECT job, accepted, queued, in_flight, succeeded, failed, cancelled, expired FROM batchd.job_progress
        EXCEPT
        SELECT job, count(*), count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'in_flight'),
               count(*) FILTER (WHERE state = 'succeeded'), count(*) FILTER (WHERE state = 'failed'),
               count(*) FILTER (WHERE state = 'cancelled'), count(*) FILTER (WHERE state = 'expired')
        FROM batchd.request_status GROUP BY job) differing)"),
              "0");
  }

  std::mt19937 random{GetParam()};
  std::vector<Shard> live;
};

TEST_P(Counters, AlwaysAddUp) {
  const Term term = planner();
  for (int i = 0; i < 60 && !HasFailure(); ++i) {
    SCOPED_TRACE("seed " + std::to_string(GetParam()) + ", step " + std::to_string(i));
    one_step(term);
    expect_nothing_lost();
    expect_jobs_agree();
  }
  // And in the end everything can be settled.
  for (int i = 0; i < 300 && sql.number("SELECT queued + in_flight FROM batchd.totals") > 0 && !HasFailure(); ++i) {
    wait(store.expire_overdue(term));
    wait(store.fail_unroutable(term, {{"m", {}}}, Milliseconds{0}));
    plan_some(term);
    for (int k = 0; k < 3; ++k) settle_some(term);
  }
  EXPECT_EQ(sql.number("SELECT queued + in_flight FROM batchd.totals"), 0);
  expect_nothing_lost();
  wait(store.maintain());
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.delta"), 0);
  expect_jobs_agree();
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.flow WHERE queued <> 0 OR queued_bytes <> 0 OR returned <> 0"), 0);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.request_attempt"), 0);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Counters, ::testing::Range(1U, 7U));

}  // namespace
}  // namespace batchd::testing
