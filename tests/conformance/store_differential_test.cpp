// PostgreSQL and the simulation's fake, driven by the same random steps, say the same and come to look the same. A difference is
// reported with every step that led to it. BATCHD_CONFORMANCE_SEEDS="1000" or "1000-1999" runs other seeds than those of CI, and
// BATCHD_CONFORMANCE_STORY=1 tells the steps of all.
#include "conformance/differential.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <exception>
#include <iostream>

namespace batchd::conformance {
namespace {

constexpr int steps = 300;
constexpr int steps_between_pictures = 15;
/// What is told in minutes may differ once a run takes as much of one: a machine so slow proves the steps it got through.
constexpr std::chrono::seconds at_most{25};

std::vector<std::uint64_t> seeds() {
  std::uint64_t first = 1, last = 6;
  if (const char* wanted = std::getenv("BATCHD_CONFORMANCE_SEEDS")) {
    char* end = nullptr;
    first = last = std::strtoull(wanted, &end, 10);
    if (*end == '-') last = std::strtoull(end + 1, nullptr, 10);
  }
  std::vector<std::uint64_t> all;
  for (std::uint64_t seed = first; seed <= last; ++seed) all.push_back(seed);
  return all;
}

std::string act(const Step& step, Side& side) {
  try {
    return step.act(side);
  } catch (const std::exception&) {
    return "refused";  // in words of its own
  }
}

class StoreDifferential : public ::testing::TestWithParam<std::uint64_t> {
 protected:
  void compare_pictures() {
    const auto real = tell(real_, real_.harness->picture());
    const auto fake = tell(fake_, fake_.harness->picture());
    for (std::size_t i = 0; i < std::max(real.size(), fake.size()); ++i) {
      const std::string there = i < real.size() ? real[i] : "nothing";
      const std::string here = i < fake.size() ? fake[i] : "nothing";
      ASSERT_EQ(there, here) << "PostgreSQL has the first, the fake the second";
    }
    ASSERT_EQ(real_.harness->check(), "") << "PostgreSQL";
    ASSERT_EQ(fake_.harness->check(), "") << "the fake";
  }
  void take(const Step& step) {
    std::string there = act(step, real_);
    const std::string here = act(step, fake_);
    story_ += std::to_string(plot_.steps) + ". " + step.what + ": " + there + "\n";
    ASSERT_EQ(there, here) << "PostgreSQL says the first, the fake the second";
  }

  Side real_{make_postgresql_harness};
  Side fake_{make_fake_harness};
  Plot plot_{simulation::Dice(GetParam())};
  std::string story_;
};

TEST_P(StoreDifferential, TheFakeAndPostgreSqlAgree) {
  const auto began = std::chrono::steady_clock::now();
  for (; plot_.steps < steps && std::chrono::steady_clock::now() - began < at_most; ++plot_.steps) {
    take(draw(plot_, fake_));
    if (!HasFatalFailure() && plot_.steps % steps_between_pictures == 0) compare_pictures();
    if (HasFatalFailure()) break;
  }
  if (!HasFatalFailure()) compare_pictures();
  if (HasFatalFailure() || std::getenv("BATCHD_CONFORMANCE_STORY") != nullptr)
    std::cout << "The steps of seed " << GetParam() << ":\n" << story_;
  RecordProperty("steps", plot_.steps);
}

INSTANTIATE_TEST_SUITE_P(Seeds, StoreDifferential, ::testing::ValuesIn(seeds()),
                         [](const auto& seed) { return std::to_string(seed.param); });

}  // namespace

Step draw(Plot& plot, const Side& side) {
  if (side.terms.size() < 2) return draw_upkeep(plot, side);
  if (plot.aftermath > 0) return --plot.aftermath % 2 == 0 ? draw_planning(plot, side) : draw_shard(plot, side);
  const auto roll = plot.dice.between(std::int64_t{0}, std::int64_t{99});
  if (roll < 10) return draw_order(plot, side);
  if (roll < 18) return draw_upkeep(plot, side);
  if (roll < 23) return draw_history(plot);
  if (roll < 31) return draw_recovery(plot);
  if (roll < 45) return draw_planning(plot, side);
  if (roll < 72) return draw_shard(plot, side);
  if (roll < 87) return draw_members(plot, side);
  return draw_books(plot, side);
}

}  // namespace batchd::conformance
