#include "core/circuit.hpp"
#include "core/call_pace.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using Permit = Circuit::Permit;

class CircuitTest : public ::testing::Test {
 protected:
  void fail_times(int times) {
    for (int i = 0; i < times; ++i) circuit_.failed(now_, std::nullopt);
  }
  /// Lets the time pass that calls are withheld for; returns how long that was.
  Milliseconds wait() {
    const Milliseconds time = circuit_.withheld_for(now_);
    now_ += time;
    return time;
  }

  Circuit circuit_{{5, {10s, 60s}, 10min}, 1};
  Circuit::TimePoint now_{1h};
};

TEST_F(CircuitTest, OpensAfterSoManyFailuresInARow) {
  fail_times(4);
  EXPECT_EQ(circuit_.permit(now_), Permit::call);
  circuit_.succeeded(now_);
  fail_times(4);
  EXPECT_EQ(circuit_.permit(now_), Permit::call) << "a success between them";
  EXPECT_TRUE(circuit_.failed(now_, std::nullopt));
  EXPECT_EQ(circuit_.permit(now_), Permit::none);
  EXPECT_GE(circuit_.withheld_for(now_), 5s);
  EXPECT_LE(circuit_.withheld_for(now_), 10s);
}

TEST_F(CircuitTest, LetsOneProbeOutAtATime) {
  fail_times(5);
  wait();
  EXPECT_EQ(circuit_.permit(now_), Permit::probe);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(circuit_.permit(now_), Permit::none);
  EXPECT_GT(circuit_.withheld_for(now_), 0ms);
  now_ += 20s;
  EXPECT_EQ(circuit_.permit(now_), Permit::probe) << "the first one never came back";
}

TEST_F(CircuitTest, StaysOpenEverLongerWhileProbesFail) {
  fail_times(5);
  Milliseconds last = 0ms;
  for (int i = 0; i < 3; ++i) {
    const Milliseconds time = wait();
    EXPECT_GT(time, last);
    last = time;
    ASSERT_EQ(circuit_.permit(now_), Permit::probe);
    EXPECT_TRUE(circuit_.failed(now_, std::nullopt));
  }
  for (int i = 0; i < 20; ++i) {
    EXPECT_LE(wait(), 60s);
    circuit_.failed(now_, std::nullopt);
  }
}

TEST_F(CircuitTest, ClosesOnProbationUntilAnOrdinarySuccess) {
  fail_times(5);
  wait();
  circuit_.permit(now_);
  circuit_.succeeded(now_);
  EXPECT_FALSE(circuit_.open());
  EXPECT_EQ(circuit_.permit(now_), Permit::call);
  EXPECT_TRUE(circuit_.failed(now_, std::nullopt)) << "one failure is enough";
  EXPECT_GT(circuit_.withheld_for(now_), 10s - 1ms) << "and for longer";
  wait();
  circuit_.succeeded(now_);
  circuit_.succeeded(now_);
  fail_times(4);
  EXPECT_FALSE(circuit_.open());
  circuit_.failed(now_, std::nullopt);
  EXPECT_LE(circuit_.withheld_for(now_), 10s) << "all is forgotten";
}

TEST_F(CircuitTest, CallsFromBeforeItOpenedChangeNothing) {
  fail_times(5);
  const Milliseconds time = circuit_.withheld_for(now_);
  EXPECT_FALSE(circuit_.failed(now_ + 1s, std::nullopt));
  circuit_.succeeded(now_ + 1s);
  EXPECT_EQ(circuit_.withheld_for(now_), time);
}

TEST_F(CircuitTest, HonoursWhatIsAskedForWithinReason) {
  EXPECT_TRUE(circuit_.failed(now_, 30s, true)) << "one that says so opens it at once";
  EXPECT_EQ(circuit_.withheld_for(now_), 30s);
  wait();
  circuit_.failed(now_, 24h);
  EXPECT_EQ(circuit_.withheld_for(now_), 10min);
}

TEST(CallPace, GivesABurstAndThenThePlaceThatTheRateAllows) {
  CallPace pace({30, 1s, 30});
  const CallPace::TimePoint now{1h};
  for (int i = 0; i < 30; ++i) EXPECT_EQ(pace.take(now), 0ms) << i;
  EXPECT_EQ(pace.take(now), 34ms);
  EXPECT_EQ(pace.take(now), 67ms);
  EXPECT_EQ(pace.take(now + 10s), 0ms) << "rested";
}

TEST(CallPace, NeverExceedsItsRateAndNeverFallsBehindIt) {
  CallPace pace({2'000, 1h, 100});
  CallPace::TimePoint now{1h};
  const auto begun = now;
  for (int i = 0; i < 2'100; ++i) now += pace.take(now);
  EXPECT_GE(now - begun, 1h - 2s);
  EXPECT_LE(now - begun, 1h + 3s);
}

}  // namespace
}  // namespace batchd::testing
