// Requests that were settled and are asked for again, as the counters see them.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::SizeIs;

class Again : public StoreConformance {};
CONFORMANCE_SUITE(Again);

TEST_P(Again, AJobWhoseSettledRequestsAreAllAskedForAgainCanBeLookedAt) {
  const auto ids = enqueue(2, "j");
  harness->pass(1min);
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  EXPECT_TRUE(harness->retry_request(ids[0]));
  const auto jobs = wait(store.jobs(10));
  ASSERT_THAT(jobs, SizeIs(1));
  EXPECT_EQ(jobs[0].queued, 2);
  EXPECT_EQ(jobs[0].cancelled, 0);
}

TEST_P(Again, CancelledAskedForAgainAndCancelledBeforeAnybodyCountedIsCountedOnce) {
  const auto ids = enqueue(1);
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  EXPECT_TRUE(harness->retry_request(ids[0]));
  EXPECT_TRUE(harness->cancel_request(ids[0]));
  const StoreGauges gauges = wait(store.gauges());
  EXPECT_EQ(gauges.queued, 0);
  EXPECT_EQ(gauges.settled.at("cancelled"), 1);
  EXPECT_THAT(wait(store.backlog()), SizeIs(0));
}

}  // namespace
}  // namespace batchd::conformance
