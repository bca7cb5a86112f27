#include "runtime/task_group.hpp"

#include "runtime/blocking_pool.hpp"
#include "runtime/clock.hpp"
#include "support/run_task.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <thread>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string what_of(const std::exception_ptr& failure) {
  if (!failure) return "";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& e) {
    return e.what();
  }
}

class TaskGroupTest : public ::testing::Test {
 protected:
  TaskGroupTest() {
    group_.on_exit = [this](const std::string& name, std::exception_ptr failure) {
      exits_.push_back(failure ? name + ": " + what_of(failure) : name);
    };
  }
  std::function<Task<void>()> endless() {
    return [this]() -> Task<void> {
      for (;;) co_await clock_.sleep_for(1h);
    };
  }

  asio::io_context io_;
  SteadyClock clock_;
  TaskGroup group_{io_.get_executor()};
  std::vector<std::string> exits_;
};

TEST_F(TaskGroupTest, EndsSleepingLoopsAtOnceWhenAskedToStop) {
  group_.spawn("a", endless());
  group_.spawn("b", endless());
  asio::post(io_, [this] { group_.request_stop(); });
  EXPECT_FALSE(group_.idle());
  io_.run();
  EXPECT_TRUE(group_.idle());
  EXPECT_THAT(exits_, UnorderedElementsAre("a", "b"));
}

TEST_F(TaskGroupTest, StopsTheOthersWhenALoopFails) {
  group_.spawn("steady", endless());
  group_.spawn("bad", [this]() -> Task<void> {
    co_await clock_.sleep_for(1ms);
    throw std::runtime_error("no more");
  });
  io_.run();
  EXPECT_TRUE(group_.stopping());
  EXPECT_THAT(exits_, UnorderedElementsAre("bad: no more", "steady"));
}

TEST_F(TaskGroupTest, TakesALoopThatReturnsForAFailure) {
  group_.spawn("steady", endless());
  group_.spawn("short", [this]() -> Task<void> { co_await clock_.sleep_for(1ms); });
  io_.run();
  EXPECT_THAT(exits_, UnorderedElementsAre("short: the loop 'short' ended by itself", "steady"));
}

TEST_F(TaskGroupTest, TakesWhateverALoopThrowsAfterAStopForItsWayOfEnding) {
  group_.spawn("angry", [this]() -> Task<void> {
    try {
      co_await clock_.sleep_for(1h);
    } catch (const std::exception&) {
    }
    throw std::logic_error("during shutdown");
  });
  asio::post(io_, [this] { group_.request_stop(); });
  io_.run();
  EXPECT_THAT(exits_, ElementsAre("angry"));
}

TEST_F(TaskGroupTest, MayBeStoppedTwiceAndWithoutEverHavingStarted) {
  group_.request_stop();
  group_.request_stop();
  group_.spawn("late", endless());
  io_.run();
  EXPECT_TRUE(group_.idle());
  EXPECT_THAT(exits_, IsEmpty());
}

TEST_F(TaskGroupTest, FinishesAShieldedStepBeforeALoopEnds) {
  std::vector<std::string> seen;
  group_.spawn("worker", [&]() -> Task<void> {
    for (;;) {
      // A plain function's coroutine would do as well: what matters is that it is handed over whole.
      const auto step = [](Clock& clock, std::vector<std::string>& log) -> Task<void> {
        log.push_back("begun");
        co_await clock.sleep_for(20ms);
        log.push_back("recorded");
      };
      co_await shield(step(clock_, seen));
      co_await clock_.sleep_for(1h);
    }
  });
  asio::post(io_, [this] { asio::post(io_, [this] { group_.request_stop(); }); });
  io_.run();
  EXPECT_THAT(seen, ElementsAre("begun", "recorded"));
  EXPECT_THAT(exits_, ElementsAre("worker"));
}

TEST(SteadyClock, SleepsForNoLessThanItWasAskedTo) {
  asio::io_context io;
  SteadyClock clock;
  const auto started = clock.now();
  run_task(io, clock.sleep_for(20ms));
  EXPECT_GE(clock.now() - started, 20ms);
}

TEST(BlockingPool, ResumesTheCallerOnItsOwnThreadWithTheResult) {
  asio::io_context io;
  BlockingPool pool(2);
  std::thread::id worker;
  const auto caller = [](BlockingPool& p, std::thread::id& id) -> Task<bool> {
    const auto here = std::this_thread::get_id();
    const int value = co_await p.run([&id] {
      id = std::this_thread::get_id();
      return 42;
    });
    co_return value == 42 && std::this_thread::get_id() == here;
  };
  EXPECT_TRUE(run_task(io, caller(pool, worker)));
  EXPECT_NE(worker, std::this_thread::get_id());
}

TEST(BlockingPool, RethrowsWhatTheWorkThrew) {
  asio::io_context io;
  BlockingPool pool(1);
  EXPECT_THROW(run_task(io, pool.run([]() -> int { throw std::out_of_range("x"); })), std::out_of_range);
}

TEST(BlockingPool, RunsAsManyAtATimeAsItHasThreads) {
  asio::io_context io;
  BlockingPool pool(2);
  std::promise<void> first;
  std::promise<void> second;
  int ended = 0;
  const auto count = [&ended](std::exception_ptr failure) { ended += failure ? 100 : 1; };
  // Each waits for the other: with one thread this would never end.
  asio::co_spawn(io, pool.run([&] {
    first.set_value();
    second.get_future().wait();
  }),
                 count);
  asio::co_spawn(io, pool.run([&] {
    second.set_value();
    first.get_future().wait();
  }),
                 count);
  io.run();
  EXPECT_EQ(ended, 2);
}

TEST_F(TaskGroupTest, AwaitsBlockingWorkThatIsRunningWhenAStopComes) {
  BlockingPool pool(1);
  std::promise<void> running;
  std::promise<void> release;
  std::atomic<bool> finished{false};
  group_.spawn("worker", [&]() -> Task<void> {
    co_await pool.run([&] {
      running.set_value();
      release.get_future().wait();
      finished = true;
    });
    co_await clock_.sleep_for(1h);
  });
  std::thread stopper([&] {
    running.get_future().wait();
    asio::post(io_, [&] {
      group_.request_stop();
      EXPECT_FALSE(group_.idle());
      release.set_value();
    });
  });
  io_.run();
  stopper.join();
  EXPECT_TRUE(finished);
  EXPECT_THAT(exits_, ElementsAre("worker"));
}

}  // namespace
}  // namespace batchd::testing
