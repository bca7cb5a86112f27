// The way between a replica and the fake database: what is refused or lost there has not happened, what is lost on its way back
// has, and what is late arrives at the database that it was sent to or nowhere.
#include "simulation/store/fake_store.hpp"
#include "support/run_task.hpp"

#include <gtest/gtest.h>

namespace batchd::simulation {
namespace {

class ScriptedWire final : public Wire {
 public:
  Task<Passage> there(std::string_view) override { return answer(way_there); }
  Task<Passage> back(std::string_view) override { return answer(way_back); }
  void arrives_late(std::string_view, std::function<void()> effect) override { late = std::move(effect); }

  Passage way_there = Passage::through;
  Passage way_back = Passage::through;
  std::function<void()> late;

 private:
  static Task<Passage> answer(Passage passage) { co_return passage; }
};

class StillClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint{} + std::chrono::hours{1}; }
  Task<void> sleep_for(Milliseconds) override { co_return; }
  Task<void> sleep_for(Milliseconds, Wakeup& wakeup) override {
    wakeup.take();
    co_return;
  }
};

class FakeStoreTest : public ::testing::Test {
 protected:
  template <class T>
  T wait(Task<T> task) {
    return testing::run_task(io, std::move(task));
  }
  void wait(Task<void> task) { testing::run_task(io, std::move(task)); }
  std::size_t replicas() const { return db.replica_rows().size(); }

  boost::asio::io_context io;
  StillClock clock;
  ScriptedWire wire;
  Dice dice{3};
  FakeDatabase db{[] { return Milliseconds{3'600'000}; }, dice};
  FakeStore store{db, wire, clock};
};

TEST_F(FakeStoreTest, WhatDoesNotArriveHasNotHappened) {
  for (const Passage passage : {Passage::refused, Passage::lost}) {
    wire.way_there = passage;
    EXPECT_THROW(wait(store.join({})), StoreError);
    EXPECT_EQ(replicas(), 0U);
  }
}

TEST_F(FakeStoreTest, WhatDoesNotComeBackHasHappened) {
  wire.way_back = Passage::lost;
  EXPECT_THROW(wait(store.join({})), StoreError);
  EXPECT_EQ(replicas(), 1U);
}

TEST_F(FakeStoreTest, ALostWriteMayArriveLate) {
  wire.way_there = Passage::lost;
  EXPECT_THROW(wait(store.join({})), StoreError);
  ASSERT_TRUE(wire.late);
  wire.late();
  EXPECT_EQ(replicas(), 1U);
  wire.late = nullptr;
  EXPECT_THROW(wait(store.deployments()), StoreError);
  EXPECT_FALSE(wire.late) << "what only looks changes nothing by being late";
}

TEST_F(FakeStoreTest, AShardWhoseSaveIsLateIsLockedUntilThen) {
  const ShardId shard{7};
  wire.way_there = Passage::lost;
  Shard before;
  before.id = shard;
  EXPECT_THROW(wait(store.save(Term{1}, before, before, false)), StoreError);
  EXPECT_TRUE(db.server().is_locked(shard));
  wire.late();
  wire.late = nullptr;
  EXPECT_FALSE(db.server().is_locked(shard));
}

TEST_F(FakeStoreTest, ATransactionDoesNotOutliveARestore) {
  const FakeDatabase backup = db;
  wire.way_there = Passage::lost;
  EXPECT_THROW(wait(store.join({})), StoreError);
  db = backup;
  wire.late();
  EXPECT_EQ(replicas(), 0U);
}

TEST_F(FakeStoreTest, OnlyABeatThatWasConfirmedIsHeldAgainstTheDatabase) {
  const Term term = wait(store.join({}));
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  const FakeDatabase backup = db;
  wire.way_back = Passage::lost;
  EXPECT_THROW(wait(store.heartbeat(term)), StoreError);
  wire.way_back = Passage::through;
  db = backup;
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive) << "nobody was told that the second beat was kept";
  db = backup;
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::rewound);
}

TEST_F(FakeStoreTest, AnotherReplicasStoreHasNotBeenToldAnything) {
  FakeStore other(db, wire, clock);
  const Term term = wait(store.join({}));
  const FakeDatabase backup = db;
  EXPECT_EQ(wait(store.heartbeat(term)), Standing::alive);
  db = backup;
  EXPECT_EQ(wait(other.heartbeat(term)), Standing::alive);
}

TEST_F(FakeStoreTest, AHintIsKeptForWhoWaitsNext) {
  EXPECT_FALSE(wait(store.wait_for_hint(Milliseconds{10})));
  store.hint();
  EXPECT_TRUE(wait(store.wait_for_hint(Milliseconds{10})));
  EXPECT_FALSE(wait(store.wait_for_hint(Milliseconds{10})));
}

}  // namespace
}  // namespace batchd::simulation
