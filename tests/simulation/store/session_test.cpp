// A replica's standing after its database has gone back in time: what it had written at its start is written again, under
// whichever term gets that far.
#include "stages/session.hpp"
#include "simulation/store/fake_store.hpp"
#include "support/run_task.hpp"

#include <gtest/gtest.h>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;

class StillClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint{} + 1h; }
  Task<void> sleep_for(Milliseconds) override { co_return; }
  Task<void> sleep_for(Milliseconds, Wakeup&) override { co_return; }
};

TEST(Session, WritesAgainWhatARewoundDatabaseMayHaveLostUntilThatIsDone) {
  boost::asio::io_context io;
  StillClock clock;
  DirectWire wire;
  Dice dice{3};
  FakeDatabase db([] { return Milliseconds{3'600'000}; }, dice);
  FakeStore store(db, wire, clock);
  Log log(LogLevel::error, [](auto&&...) {});
  Metrics metrics{"test"};
  Session session(store, clock, log, metrics, {}, 6s);
  std::vector<Term> told;
  session.on_rewound = [&told](Term term) -> Task<bool> {
    told.push_back(term);
    co_return told.size() > 1;
  };
  testing::run_task(io, session.beat());
  const FakeDatabase backup = db;
  testing::run_task(io, session.beat());
  EXPECT_TRUE(told.empty());
  db = backup;
  for (int beat = 0; beat < 4; ++beat) testing::run_task(io, session.beat());
  EXPECT_EQ(told, (std::vector<Term>{session.term(), session.term()}));
}

}  // namespace
}  // namespace batchd::simulation
