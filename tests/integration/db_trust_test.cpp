// A database that has gone back in time is noticed, and nothing new happens before the providers' lists are compared with it.
#include "support/pg_store_fixture.hpp"

namespace batchd {
namespace {

class TrustTest : public testing::StoreTest {
 protected:
  /// What a restored backup or a promoted standby does to the row of a replica.
  void forget_beats(Term term, int how_many) {
    sql.run("UPDATE batchd.replica SET beats = beats - " + std::to_string(how_many) +
            " WHERE term = " + std::to_string(term.value));
  }
  void another_timeline() { sql.run("UPDATE batchd.instance SET timeline = timeline + 1"); }
  Term started_replica() {
    const Term term = wait(store.join({"host", 1, "test", {"prov"}}));
    wait(store.publish(term, {{"dep", "prov", "m", 1'000'000}}));
    EXPECT_TRUE(wait(store.hold_role(term, "plan")));
    return term;
  }
  void match_all(Term term) {
    for (const Unmatched& provider : wait(store.unmatched())) wait(store.matched(term, provider));
  }
  SaveResult announce(Term term, const Shard& uploaded) {
    return wait(store.save(term, uploaded, batchd::apply(uploaded, Intended{}), true));
  }
};

TEST_F(TrustTest, A_start_asks_for_the_lists_and_until_then_nothing_is_planned_or_announced) {
  const Term first = started_replica();
  match_all(first);
  insert(4);
  const Shard shard = step(first, planned(first, 2), Uploaded{FileId{"file-1"}, 1000, 10});

  const Term second = wait(store.join({"host", 2, "test", {"prov"}}));
  const auto unmatched = wait(store.unmatched());
  ASSERT_EQ(unmatched.size(), 1U);
  EXPECT_EQ(unmatched[0].provider, "prov");
  EXPECT_FALSE(unmatched[0].rewound);
  EXPECT_EQ(announce(first, shard), SaveResult::no_room);
  EXPECT_FALSE(wait(store.plan(first, order_for_all(100))).has_value());

  match_all(second);
  EXPECT_TRUE(wait(store.unmatched()).empty());
  EXPECT_EQ(announce(first, shard), SaveResult::saved);
  EXPECT_TRUE(wait(store.plan(first, order_for_all(100))).has_value());
  expect_nothing_lost();
}

TEST_F(TrustTest, A_list_that_was_read_before_the_latest_doubt_settles_nothing) {
  const Term term = started_replica();
  const auto before = wait(store.unmatched());
  wait(store.join({"host", 2, "test", {"prov"}}));
  wait(store.matched(term, before.at(0)));
  EXPECT_EQ(wait(store.unmatched()).size(), 1U);
  match_all(Term{4711});
  EXPECT_EQ(wait(store.unmatched()).size(), 1U) << "a void term matches nothing";
  match_all(term);
  EXPECT_TRUE(wait(store.unmatched()).empty());
}

TEST_F(TrustTest, A_heartbeat_notices_that_its_own_beats_are_forgotten) {
  const Term term = started_replica();
  match_all(term);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  forget_beats(term, 1);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
  const auto unmatched = wait(store.unmatched());
  ASSERT_EQ(unmatched.size(), 1U);
  EXPECT_TRUE(unmatched[0].rewound);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::buried) << "the term is over";
  const Term next = wait(store.join({"host", 1, "test", {"prov"}}));
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound) << "a start takes nothing back";
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::alive);
}

TEST_F(TrustTest, An_announcement_is_refused_by_a_database_that_has_forgotten_the_last_one) {
  const Term term = started_replica();
  match_all(term);
  insert(4);
  const Shard first = step(term, planned(term, 2), Uploaded{FileId{"file-1"}, 1000, 10});
  const Shard second = step(term, planned(term, 2), Uploaded{FileId{"file-2"}, 1000, 10});
  EXPECT_EQ(announce(term, first), SaveResult::saved);
  forget_beats(term, 1);
  EXPECT_EQ(announce(term, second), SaveResult::lost);
  EXPECT_FALSE(leased(term, second.id, ShardState::uploaded).intent);
  insert(2);
  EXPECT_FALSE(wait(store.plan(term, order_for_all(100))).has_value()) << "a shard's number could be one given out before";
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
}

TEST_F(TrustTest, What_a_provider_lists_can_prove_a_loss_too) {
  const Term term = started_replica();
  match_all(term);
  insert(1);
  const Shard shard = planned(term);
  wait(store.distrust());
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound);
  EXPECT_TRUE(leased(term, shard.id, ShardState::planned).doubtful);
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
}

TEST_F(TrustTest, An_announcement_by_a_buried_replica_is_refused) {
  const Term term = started_replica();
  match_all(term);
  insert(2);
  const Shard shard = step(term, planned(term, 2), Uploaded{FileId{"file-1"}, 1000, 10});
  sql.run("DELETE FROM batchd.replica");
  EXPECT_EQ(announce(term, shard), SaveResult::lost);
}

TEST_F(TrustTest, Another_history_of_the_server_stops_everything_at_once) {
  const Term term = started_replica();
  match_all(term);
  insert(4);
  const Shard shard = step(term, planned(term, 2), Uploaded{FileId{"file-1"}, 1000, 10});
  another_timeline();
  EXPECT_EQ(announce(term, shard), SaveResult::no_room);
  EXPECT_FALSE(wait(store.plan(term, order_for_all(100))).has_value());
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound);

  const Term next = started_replica();
  EXPECT_EQ(wait(store.heartbeat(next)), Standing::alive) << "the new history is known now";
  const Shard again = leased(next, shard.id, ShardState::uploaded);
  EXPECT_TRUE(again.doubtful);
  EXPECT_EQ(announce(next, again), SaveResult::no_room);
  match_all(next);
  EXPECT_EQ(announce(next, again), SaveResult::saved);
}

TEST_F(TrustTest, What_is_planned_after_the_loss_is_not_doubtful) {
  Term term = started_replica();
  match_all(term);
  insert(2);
  const Shard old = planned(term, 1);
  EXPECT_FALSE(old.doubtful);
  another_timeline();
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
  term = started_replica();
  match_all(term);
  EXPECT_TRUE(leased(term, old.id, ShardState::planned).doubtful);
  EXPECT_FALSE(planned(term, 1).doubtful);
}

TEST_F(TrustTest, An_adopted_copy_is_compared_with_the_lists_first) {
  const Term term = started_replica();
  match_all(term);
  sql.run("UPDATE batchd.instance SET database_oid = 1");
  EXPECT_EQ(sql.value("SELECT batchd.adopt()"), "t");
  EXPECT_TRUE(wait(store.unmatched()).at(0).rewound);
}

}  // namespace
}  // namespace batchd
