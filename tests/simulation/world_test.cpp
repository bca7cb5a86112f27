// Virtual time and processes: what the whole campaign stands on.
#include "simulation/process.hpp"
#include "simulation/trace.hpp"

#include "runtime/task_group.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;

class WorldTest : public ::testing::Test {
 protected:
  void run() {
    while (world.step()) {
    }
  }
  void spawn(std::function<Task<void>()> body) {
    bodies.push_back(std::make_unique<std::function<Task<void>()>>(std::move(body)));
    asio::co_spawn(world.executor(), (*bodies.back())(), asio::detached);
  }
  void say(const std::string& what) { said.push_back(what + "@" + std::to_string(world.now().count() / 1000)); }

  World world;
  Trace trace{world, nullptr};
  std::vector<std::unique_ptr<std::function<Task<void>()>>> bodies;
  std::vector<std::string> said;
  Process process{world, Dice(1), trace, "p", 1.0};
  ProcessClock clock{process};
};

struct Unwound {
  bool& flag;
  ~Unwound() { flag = true; }
};

TEST_F(WorldTest, EventsHappenInTheOrderOfTheirTimes) {
  world.at(20ms, [this] { say("b"); });
  world.at(10ms, [this] { say("a"); });
  world.at(20ms, [this] { say("c"); });
  run();
  EXPECT_EQ(said, (std::vector<std::string>{"a@10", "b@20", "c@20"}));
}

TEST_F(WorldTest, ASleepTakesVirtualTimeAndARingEndsIt) {
  Wakeup bell;
  spawn([&]() -> Task<void> {
    co_await clock.sleep_for(1000ms);
    say("slept");
    co_await clock.sleep_for(1000ms, bell);
    say("woken");
    co_await clock.sleep_for(1000ms, bell);
    say("alone");
  });
  world.at(1300ms, [&] { bell.notify(); });
  run();
  EXPECT_EQ(said, (std::vector<std::string>{"slept@1000", "woken@1300", "alone@2300"}));
}

TEST_F(WorldTest, AClockThatRunsFastSleepsLess) {
  Process fast(world, Dice(1), trace, "fast", 1.25);
  ProcessClock its(fast);
  const auto before = its.now();
  spawn([&]() -> Task<void> {
    co_await its.sleep_for(1000ms);
    say("slept");
  });
  run();
  EXPECT_EQ(said, std::vector<std::string>{"slept@800"});
  EXPECT_EQ(std::chrono::duration_cast<Milliseconds>(its.now() - before), 1000ms);
}

TEST_F(WorldTest, NothingOfAKilledProcessGoesOnAndItIsUnwound) {
  bool unwound = false;
  spawn([&]() -> Task<void> {
    const Unwound guard{unwound};
    co_await clock.sleep_for(100ms);
    say("before");
    co_await clock.sleep_for(100ms);
    say("after");
  });
  world.at(150ms, [&] { process.kill(); });
  run();
  EXPECT_EQ(said, std::vector<std::string>{"before@100"});
  EXPECT_TRUE(unwound);
  EXPECT_TRUE(process.dead());
}

TEST_F(WorldTest, AProcessIsKilledAtThePassageThatWasChosen) {
  Line line(process, "store", 1ms, 1s);
  int arrived = 0;
  spawn([&]() -> Task<void> {
    for (;;) {
      co_await line.there("verb");
      ++arrived;
      co_await line.back("verb");
    }
  });
  process.kill_at_passage(6);  // there, back, there, back, there: not back any more
  run();
  EXPECT_EQ(arrived, 3);
  EXPECT_EQ(process.passages(), 6);
}

TEST_F(WorldTest, APausedProcessHearsOfEverythingLate) {
  Wakeup bell;
  spawn([&]() -> Task<void> {
    co_await clock.sleep_for(100ms);
    say("timer");
  });
  spawn([&]() -> Task<void> {
    co_await clock.sleep_for(10'000ms, bell);
    say("bell");
  });
  world.at(50ms, [&] { process.pause(500ms); });
  world.at(60ms, [&] { bell.notify(); });
  run();
  EXPECT_EQ(said, (std::vector<std::string>{"timer@550", "bell@550"}));
}

TEST_F(WorldTest, AStopReachesALoopThatSleeps) {
  TaskGroup group(world.executor());
  Wakeup bell;
  group.spawn("loop", [&]() -> Task<void> {
    for (;;) co_await clock.sleep_for(1000ms, bell);
  });
  world.at(2500ms, [&] { group.request_stop(); });
  run();
  EXPECT_TRUE(group.idle());
  EXPECT_EQ(world.now(), 2500ms);
}

TEST_F(WorldTest, WhatIsCutOffDoesNotGetThrough) {
  Line line(process, "store", 1ms, 100ms);
  line.cut(1s);
  std::vector<Passage> passages;
  spawn([&]() -> Task<void> {
    for (int i = 0; i < 100; ++i) passages.push_back(co_await line.there("verb"));
  });
  run();
  ASSERT_EQ(passages.size(), 100u);
  EXPECT_NE(passages.front(), Passage::through);
  EXPECT_EQ(passages.back(), Passage::through);
}

TEST_F(WorldTest, ALostCallMayArriveLate) {
  Line line(process, "provider", 1ms, 100ms);
  line.set_faults({.late = 1});
  line.arrives_late("verb", [this] { say("late"); });
  process.kill();  // what has left a process is out of its hands
  run();
  ASSERT_EQ(said.size(), 1u);
}

}  // namespace
}  // namespace batchd::simulation
