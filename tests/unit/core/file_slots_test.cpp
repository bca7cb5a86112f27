#include "core/file_slots.hpp"

#include <gtest/gtest.h>

namespace batchd::testing {
namespace {

FileSlots slots(std::int64_t inputs, std::int64_t results, std::int64_t coming, std::int64_t others) {
  return {inputs, results, coming, others, Milliseconds{0}};
}

TEST(FileSlots, AnUploadNeedsPlacesForItsResultsToo) {
  EXPECT_TRUE(may_upload(slots(2, 0, 4, 491), 0, 500));
  EXPECT_FALSE(may_upload(slots(2, 0, 4, 492), 0, 500));
  EXPECT_FALSE(may_upload(slots(166, 0, 332, 0), 0, 500));
}

TEST(FileSlots, UploadsUnderWayCountAsIfTheyWereThere) {
  EXPECT_TRUE(may_upload(slots(0, 0, 0, 494), 1, 500));
  EXPECT_FALSE(may_upload(slots(0, 0, 0, 494), 2, 500));
}

TEST(FileSlots, OneMayTryWhileAPlaceIsLeft) {
  EXPECT_TRUE(may_upload(slots(0, 0, 0, 499), 0, 500));
  EXPECT_FALSE(may_upload(slots(0, 0, 0, 500), 0, 500));
  EXPECT_FALSE(may_upload(slots(1, 0, 2, 495), 0, 500));
  EXPECT_TRUE(may_upload(slots(0, 0, 0, 0), 0, 1)) << "a ceiling below one batch's files stops nobody for ever";
}

TEST(FileSlots, HalfOfThePlacesAreOthersUntilTheyHaveBeenCounted) {
  FileSlots unknown = slots(82, 0, 164, 0);
  unknown.counted = Milliseconds::max();
  EXPECT_TRUE(may_upload(unknown, 0, 500));
  unknown.inputs = 83;
  EXPECT_FALSE(may_upload(unknown, 1, 500));
}

TEST(FileSlots, WithoutACeilingNothingIsCounted) {
  EXPECT_TRUE(may_upload(slots(100'000, 0, 0, 100'000), 9, 0));
}

TEST(FileSlots, OthersAreWhatNoShardHolds) {
  EXPECT_EQ(count_others({2, 10}, slots(4, 2, 0, 0), slots(4, 2, 0, 0)), 6) << "ours are taken away";
  EXPECT_EQ(count_others({5, 4}, slots(4, 0, 4, 0), slots(4, 0, 4, 0)), 1) << "so are results that nobody has seen yet";
  EXPECT_EQ(count_others({0, 4}, slots(4, 0, 0, 0), slots(0, 0, 0, 0)), 0) << "closed while the list was read";
  EXPECT_EQ(count_others({0, 4}, slots(0, 0, 0, 0), slots(4, 0, 0, 0)), 0) << "uploaded meanwhile";
  EXPECT_EQ(count_others({0, 0}, slots(9, 9, 9, 0), slots(9, 9, 9, 0)), 0);
}

}  // namespace
}  // namespace batchd::testing
