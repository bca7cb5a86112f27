// Pages of a list as no documentation describes them.
#include "core/list_guard.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace batchd {
namespace {

using Cursor = std::optional<std::string>;

/// Shows a page and returns the cursor to go on with.
Cursor page(ListGuard& guard, const std::vector<std::string>& ids, const Cursor& offered, int news) {
  int fresh = 0;
  for (const std::string& id : ids) fresh += guard.fresh(id) ? 1 : 0;
  EXPECT_EQ(fresh, news);
  return guard.next(offered);
}

TEST(ListGuard, FollowsCursorsToTheEnd) {
  ListGuard guard;
  EXPECT_EQ(page(guard, {"a", "b"}, "b", 2), Cursor("b"));
  EXPECT_EQ(page(guard, {"c"}, std::nullopt, 1), std::nullopt);
  EXPECT_EQ(guard.fault(), "");
}

TEST(ListGuard, PassesOverEntriesThatShiftedToTheNextPage) {
  ListGuard guard;
  EXPECT_EQ(page(guard, {"a", "b"}, "b", 2), Cursor("b"));
  EXPECT_EQ(page(guard, {"b", "c"}, "c", 1), Cursor("c"));
  EXPECT_EQ(page(guard, {"c"}, std::nullopt, 0), std::nullopt);
  EXPECT_EQ(guard.fault(), "");
}

TEST(ListGuard, EndsAtACursorThatDoesNotMove) {
  ListGuard guard;
  EXPECT_EQ(page(guard, {"a", "b"}, "b", 2), Cursor("b"));
  EXPECT_EQ(page(guard, {"c", "d"}, "b", 2), std::nullopt);
  EXPECT_NE(guard.fault().find("the cursor b was given twice"), std::string::npos);
}

TEST(ListGuard, EndsAtCursorsThatGoInACircle) {
  ListGuard guard;
  EXPECT_EQ(page(guard, {"a"}, "1", 1), Cursor("1"));
  EXPECT_EQ(page(guard, {"b"}, "2", 1), Cursor("2"));
  EXPECT_EQ(page(guard, {"a"}, "1", 0), std::nullopt);
  EXPECT_NE(guard.fault(), "");
}

TEST(ListGuard, EndsAtPagesThatRepeatUnderFreshCursors) {
  ListGuard guard;
  EXPECT_EQ(page(guard, {"a"}, "1", 1), Cursor("1"));
  EXPECT_EQ(page(guard, {"a"}, "2", 0), Cursor("2"));
  EXPECT_EQ(page(guard, {"a"}, "3", 0), Cursor("3"));
  EXPECT_EQ(page(guard, {"a"}, "4", 0), std::nullopt);
  EXPECT_NE(guard.fault().find("3 pages in a row held nothing new"), std::string::npos);
}

TEST(ListGuard, EndsAListWithoutAnEnd) {
  ListGuard guard;
  int pages = 0;
  for (Cursor cursor = ""; cursor && pages < 20'000; ++pages) {
    cursor = page(guard, {std::to_string(pages)}, "after " + std::to_string(pages), 1);
  }
  EXPECT_EQ(pages, 10'000);
  EXPECT_NE(guard.fault().find("does not end"), std::string::npos);
}

}  // namespace
}  // namespace batchd
