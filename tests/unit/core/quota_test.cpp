#include "core/quota.hpp"

#include <gtest/gtest.h>

#include <random>

namespace batchd {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Milliseconds probe{60'000};

Room room(Tokens limit = 1'000'000) {
  Room r;
  r.limit = r.believed = limit;
  r.told_age = r.settled_for = hours{24};
  return r;
}

Room believing(Tokens believed, int strikes = 0) {
  Room r = room();
  r.believed = believed;
  r.strikes = strikes;
  return r;
}

/// A refusal of `asked` beside `held`.
Room refused(const Room& r, Tokens held, Tokens asked, std::optional<Tokens> told = {}, Tokens largest = 0) {
  return learn(r, {held + asked, 0, largest}, RoomRefused{asked, told});
}

TEST(Quota, HasRoomUpToWhatIsBelieved) {
  const Room r = believing(600'000);
  EXPECT_TRUE(has_room(r, {500'000, 0, 0}, 100'000));
  EXPECT_FALSE(has_room(r, {500'000, 0, 0}, 100'001));
  EXPECT_FALSE(has_room(r, {400'000, 100'000, 0}, 100'001)) << "what ended just now may still count";
}

TEST(Quota, WhatIsLargerThanTheBeliefMayBeTriedAlone) {
  const Room r = believing(10'000);
  EXPECT_TRUE(has_room(r, {0, 0, 0}, 1'000'000));
  EXPECT_FALSE(has_room(r, {0, 0, 0}, 1'000'001)) << "but never above the limit";
  EXPECT_FALSE(has_room(r, {1, 0, 0}, 1'000'000));
  EXPECT_FALSE(has_room(r, {0, 1, 0}, 1'000'000));
}

TEST(Quota, ARefusalShrinksTheBeliefTowardsWhatWasHeld) {
  EXPECT_EQ(refused(room(), 900'000, 50'000).believed, 912'500) << "a quarter of what was asked for stays in doubt";
  EXPECT_EQ(refused(room(), 400'000, 50'000).believed, 750'000) << "by a quarter at a time";
  Room r = room();
  int refusals = 0;
  while (r.believed >= 450'000) {
    r = refused(r, 400'000, 50'000);
    ++refusals;
  }
  EXPECT_LE(refusals, 4);
  EXPECT_LT(r.believed, 450'000);
  EXPECT_GE(r.believed, 400'000);
  EXPECT_EQ(r.refusals, refusals);
  EXPECT_EQ(refused(believing(100'000), 400'000, 50'000).believed, 100'000) << "never upwards";
}

TEST(Quota, TheLargestFileThatWaitsStillFits) {
  EXPECT_EQ(refused(believing(100'000), 20'000, 10'000, {}, 90'000).believed, 90'000);
  EXPECT_EQ(refused(believing(100'000), 0, 90'000, {}, 90'000).believed, 75'000) << "unless it was refused alone";
}

TEST(Quota, ANamedLimitExplainsARefusalAndIsBelievedAtOnce) {
  const Room r = refused(room(), 0, 50'000, 30'000);
  EXPECT_EQ(r.believed, 30'000);
  EXPECT_EQ(bound_of(r), 30'000);
  EXPECT_TRUE(is_too_large(r, 2, 30'001)) << "to be cut";
  EXPECT_FALSE(is_too_large(r, 1, 30'001)) << "cannot be cut";
  EXPECT_FALSE(is_too_large(r, 2, 30'000));
  const Room others = refused(room(), 500'000, 50'000, 1'000'000);
  EXPECT_EQ(others.believed, 750'000) << "a limit that was not reached explains nothing: somebody else has the rest";
  Room old = r;
  old.told_age = hours{2};
  EXPECT_EQ(bound_of(old), 1'000'000) << "it may have been raised since";
}

TEST(Quota, WhatIsFarLargerThanTheBeliefIsMadeAnew) {
  EXPECT_FALSE(is_too_large(believing(50'000), 10, 100'001));
  EXPECT_TRUE(is_too_large(believing(50'000), 10, 100'002));
  EXPECT_FALSE(is_too_large(believing(50'000), 1, 1'000'000));
  EXPECT_TRUE(is_too_large(room(), 1, 1'000'001));
}

TEST(Quota, ARefusalRightAfterAnEndIsBlamedOnTheEndFirst) {
  Room r = room();
  r.since_end = seconds{3};
  const Room lagging = refused(r, 900'000, 50'000);
  EXPECT_EQ(lagging.believed, 1'000'000);
  EXPECT_EQ(lagging.release_lag, seconds{6});
  const Room again = refused(lagging, 900'000, 50'000);
  EXPECT_EQ(again.believed, 912'500) << "the next one in a row is not";
  EXPECT_EQ(again.release_lag, seconds{3}) << "as waiting for it did not help";
  r.strikes = 3;
  EXPECT_EQ(refused(r, 900'000, 50'000).believed, 912'500) << "nor one of many";
  r.strikes = 0;
  r.since_end = minutes{11};
  EXPECT_EQ(refused(r, 900'000, 50'000).release_lag, seconds{0}) << "too long ago";
  r.since_end = seconds{3};
  r.release_lag = seconds{5};
  EXPECT_EQ(refused(r, 900'000, 50'000).believed, 912'500) << "that end was still counted, and it was refused all the same";
}

TEST(Quota, QuietTimeProbesUpwardsAndTheMoreSeldomTheMoreStrikesThereAre) {
  Room r = believing(600'000, 2);
  r.settled_for = probe * 4 - Milliseconds{1};
  EXPECT_FALSE(wants_quiet(r, {}, probe));
  EXPECT_EQ(learn(r, {}, RoomQuiet{probe}), r);
  r.settled_for = probe * 4;
  EXPECT_TRUE(wants_quiet(r, {}, probe));
  const Room grown = learn(r, {}, RoomQuiet{probe});
  EXPECT_EQ(grown.believed, 700'000) << "a quarter of what is missing";
  EXPECT_EQ(grown.strikes, 1);
  EXPECT_EQ(grown.settled_for, seconds{0});
  EXPECT_FALSE(wants_quiet(room(), {}, probe)) << "nothing to gain";
}

TEST(Quota, ItComesBackToTheLimitInAFewSteps) {
  for (const Tokens start : {Tokens{1'000}, Tokens{500'000}, Tokens{999'999}}) {
    Room r = believing(start, 4);
    int steps = 0;
    while (r.believed < r.limit && steps < 1000) {
      r.settled_for = hours{1};
      r = learn(r, {}, RoomQuiet{probe});
      ++steps;
    }
    EXPECT_EQ(r.believed, r.limit);
    EXPECT_LE(steps, 30) << start;
  }
}

TEST(Quota, AReleaseLagFadesWhenNothingIsRefused) {
  Room r = room();
  r.release_lag = seconds{120};
  int steps = 0;
  while (r.release_lag > seconds{0} && steps < 1000) {
    r.settled_for = hours{1};
    r = learn(r, {}, RoomQuiet{probe});
    ++steps;
  }
  EXPECT_GT(steps, 10);
  EXPECT_LT(steps, 60);
}

TEST(Quota, AboveTheLimitOnlyWhereThatIsConfiguredAndWouldBeUsed) {
  EXPECT_EQ(learn(room(), {1'000'000, 0, 50'000}, RoomQuiet{probe}).believed, 1'000'000);
  Room r = room();
  r.dynamic_limit = 1'500'000;
  EXPECT_EQ(learn(r, {900'000, 0, 50'000}, RoomQuiet{probe}).believed, 1'000'000) << "there is room enough";
  const Room grown = learn(r, {990'000, 0, 50'000}, RoomQuiet{probe});
  EXPECT_EQ(grown.believed, 1'125'000);
  EXPECT_EQ(refused(grown, 1'050'000, 50'000).believed, 1'062'500);
}

TEST(Quota, ANamedLimitIsPassedWithCareWhenItHasGrownOld) {
  Room r = refused(room(), 0, 50'000, 32'000);
  r.told_age = r.settled_for = hours{2};
  EXPECT_EQ(learn(r, {}, RoomQuiet{probe}).believed, 32'000) << "nobody would use it";
  EXPECT_EQ(learn(r, {31'000, 0, 8'000}, RoomQuiet{probe}).believed, 36'000);
}

TEST(Quota, HeadersTellTheLimitAndWhatOthersHold) {
  EXPECT_EQ(learn(room(), {50'000, 0, 0}, RoomTold{50'000, 400'000}).believed, 400'000);
  EXPECT_EQ(learn(room(), {50'000, 0, 0}, RoomTold{50'000, 9'000'000}).believed, 1'000'000) << "never above what is configured";
  EXPECT_EQ(learn(room(), {50'000, 0, 0}, RoomTold{350'000, 1'000'000}).believed, 700'000) << "others hold 300,000";
  EXPECT_EQ(learn(room(), {50'000, 0, 0}, RoomTold{60'000, 1'000'000}).believed, 1'000'000) << "estimates differ by so much";
  EXPECT_EQ(learn(room(), {500'000, 0, 0}, RoomTold{20'000, 1'000'000}).believed, 1'000'000) << "it speaks of this file alone";
  const Room raised = learn(learn(room(), {}, RoomTold{{}, 400'000}), {}, RoomTold{{}, 800'000});
  EXPECT_EQ(raised.believed, 800'000) << "it was raised";
}

TEST(Quota, TheSameHeaderAgainIsNoNews) {
  Room r = learn(believing(600'000), {}, RoomTold{{}, 1'000'000});
  r.settled_for = seconds{40};
  EXPECT_EQ(learn(r, {}, RoomTold{{}, 1'000'000}), r);
  r.told_age = minutes{30};
  EXPECT_EQ(learn(r, {}, RoomTold{{}, 1'000'000}).settled_for, seconds{40}) << "and keeps nobody from probing";
}

TEST(Quota, ReadsTheLimitOutOfRefusals) {
  const std::pair<const char*, std::optional<Tokens>> texts[] = {
      {"Enqueued token limit reached for gpt-4o-mini in organization org-1. Limit: 900,000 enqueued tokens. Please try again "
       "once some "
       "in_progress batches have been completed.",
       900'000},
      {"Enqueued token limit reached for m in organization o. Limit: 90000 enqueued tokens.", 90'000},
      {"token_limit_exceeded: the deployment 'd' has an enqueued token limit of 30K", 30'000},
      {"The enqueued TOKEN LIMIT is 1B for this deployment", 1'000'000'000},
      {"limit: 2_000_000 tokens", 2'000'000},
      {"token_limit_exceeded", std::nullopt},
      {"Too many requests: limit: 600 per minute", std::nullopt},
      {"token limit: none", std::nullopt},
      {"token limit: 3", std::nullopt},
      {"token limit: 99999999999999999999999", std::nullopt},
      {"token limit:", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [text, limit] : texts) EXPECT_EQ(limit_in_text(text), limit) << text;
}

TEST(Quota, TheUsualTurnaroundFollowsSlowly) {
  EXPECT_EQ(usual_turnaround({}, hours{2}), hours{2});
  EXPECT_EQ(usual_turnaround(hours{2}, hours{10}), hours{3});
  EXPECT_EQ(longest_passing({}), hours{1});
  EXPECT_EQ(longest_passing(minutes{5}), minutes{5});
}

/// Whatever happens in whatever order: the belief stays within its bounds, room is never given above it but to a file alone, the
/// ledger recovers when refusals stop, and they do stop when the true room does not change.
TEST(Quota, HoldsItsBoundsWhateverHappens) {
  std::mt19937_64 random(11);
  const auto below = [&random](Tokens n) { return static_cast<Tokens>(random() % static_cast<std::uint64_t>(n)); };
  for (int trial = 0; trial < 3000; ++trial) {
    Room r = room(1'000 + below(5'000'000));
    if (below(4) == 0) r.dynamic_limit = r.limit + below(r.limit);
    const Tokens most = std::max(r.limit, r.dynamic_limit);
    for (int step = 0; step < 60; ++step) {
      r.settled_for += seconds{below(600)};
      r.told_age += seconds{below(600)};
      if (below(3) == 0) r.since_end = seconds{below(2'000)};
      const RoomUse use{below(most), below(most / 4 + 1), below(most / 2 + 1)};
      RoomLesson lesson = RoomQuiet{probe};
      if (below(3) == 0)
        lesson = RoomRefused{below(use.reserved + 1), below(2) ? std::optional(100 + below(most)) : std::nullopt};
      if (below(5) == 0) lesson = RoomTold{below(2 * most), below(2) ? std::optional(1 + below(2 * most)) : std::nullopt};
      const Room next = learn(r, use, lesson);
      ASSERT_GE(next.believed, 1);
      ASSERT_LE(next.believed, most);
      ASSERT_LE(next.release_lag, longest_release_lag);
      ASSERT_TRUE(next.strikes >= 0 && next.strikes <= 4);
      if (std::holds_alternative<RoomRefused>(lesson)) ASSERT_LE(next.believed, r.believed);
      const Tokens asked = below(most);
      if (has_room(next, use, asked) && use.taken() > 0) ASSERT_LE(use.taken() + asked, next.believed);
      r = next;
    }
    for (int step = 0; step < 300; ++step) {
      r.settled_for = r.told_age = hours{24};
      r = learn(r, {r.believed, 0, 1}, RoomQuiet{probe});
    }
    ASSERT_GE(r.believed, r.limit);
    ASSERT_EQ(r.release_lag, seconds{0});
  }
}

TEST(Quota, AConstantTenantCostsFewRefusals) {
  // Others hold 400,000 for ever; files of 40,000 are submitted whenever there is believed to be room.
  Room r = room();
  Tokens held = 0;
  int refusals = 0;
  for (int minute = 0; minute < 24 * 60; ++minute) {
    r.settled_for += minutes{1};
    while (has_room(r, {held, 0, 40'000}, 40'000)) {
      if (held + 40'000 > 600'000) {
        r = refused(r, held, 40'000, {}, 40'000);
        ++refusals;
        break;  // it waits for its backoff
      }
      held += 40'000;
    }
    r = learn(r, {held, 0, 40'000}, RoomQuiet{probe});
    if (minute > 60) ASSERT_GE(held, 560'000);
  }
  EXPECT_LT(refusals, 250);
  EXPECT_GT(refusals, 10) << "it goes on trying";
}

}  // namespace
}  // namespace batchd
