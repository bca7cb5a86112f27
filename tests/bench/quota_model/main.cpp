// batchd-quota-bench: contenders on the same providers and rows, in virtual time. tests/bench/README.md says what is shown.
//   batchd-quota-bench [--days N] [--seed N] [--svg FILE] [--check]
#include "quota_model/chart.hpp"
#include "quota_model/contenders.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>

namespace batchd::bench {
namespace {

using Work = Scenario::Work;

std::vector<Scenario> scenarios() {
  std::vector<Scenario> all;
  const auto add = [&all](std::string name, const std::function<void(Scenario&)>& with) {
    Scenario scenario;
    scenario.name = std::move(name);
    with(scenario);
    all.push_back(scenario);
  };
  add("steady, 1B", [](Scenario&) {});
  add("steady, 50M", [](Scenario& s) { s.limit = 50'000'000; });
  add("bursty, 200M", [](Scenario& s) { s.limit = 200'000'000, s.work = Work::bursty; });
  add("mixed sizes, 200M", [](Scenario& s) { s.limit = 200'000'000, s.work = Work::mixed; });
  add("slow by size, long tail", [](Scenario& s) { s.limit = 200'000'000, s.by_size = true, s.sigma = 1.2; });
  add("small and quick, 2M", [](Scenario& s) { s.limit = 2'000'000, s.median_hours = 0.1; });
  add("release lag of 3 min",
      [](Scenario& s) { s.limit = 200'000'000, s.release_lag = Time{180'000}, s.learns_by_refusals = true; });
  add("others hold up to a half", [](Scenario& s) { s.limit = 200'000'000, s.others = 0.5, s.learns_by_refusals = true; });
  add("others, late refusals", [](Scenario& s) {
    s.limit = 200'000'000, s.others = 0.5, s.late = true, s.names_limit = false, s.learns_by_refusals = true;
  });
  add("others, told by headers",
      [](Scenario& s) { s.limit = 200'000'000, s.others = 0.5, s.headers = true, s.learns_by_refusals = true; });
  add("configured five times too high",
      [](Scenario& s) { s.limit = 200'000'000, s.configured = 1'000'000'000, s.learns_by_refusals = true; });
  add("dynamic quota, 200M to 300M", [](Scenario& s) {
    s.limit = 200'000'000, s.dynamic_limit = 300'000'000, s.names_limit = false, s.learns_by_refusals = true;
  });
  return all;
}

using Maker = std::unique_ptr<Contender> (*)(World&);
constexpr Maker makers[] = {make_batchd, make_one_at_a_time, make_timer, make_fixed_share};

/// What the benchmark promises of batchd; the sentence that fails, or nothing.
std::string broken(const Scenario& scenario, const World::Account& account, double least) {
  if (account.used_believed < least) return scenario.name + ": less than that much of the believed room is used";
  if (scenario.learns_by_refusals) return "";
  if (account.overruns > 0) return scenario.name + ": above the true limit by our own doing";
  if (account.refusals > 0) return scenario.name + ": refused although nobody else uses it";
  return "";
}

int run(int days, std::uint64_t seed, const std::string& svg, bool check) {
  constexpr double least = 0.97;
  std::vector<Strip> strips;
  std::string failure;
  std::printf("%-32s %-20s %8s %9s %9s %7s %8s %8s %12s\n", "scenario", "contender", "backlog", "used", "believed", "held",
              "posts", "refused", "tokens/day");
  for (const Scenario& scenario : scenarios()) {
    Strip strip{scenario.name, {}};
    for (const Maker make : makers) {
      World world(scenario, seed, std::chrono::hours{24 * days});
      const auto contender = make(world);
      world.run([&] { contender->settle(); });
      const World::Account account = world.account();
      const bool ours = make == make_batchd;
      std::printf("%-32s %-20s %6.0f h %8.1f%% %9s %7s %8lld %8lld %12.3g\n", scenario.name.c_str(), contender->name().c_str(),
                  account.backlog_hours, 100 * account.used,
                  ours ? (std::to_string(static_cast<int>(100 * account.believed + 0.5)) + "%").c_str() : "",
                  ours ? (std::to_string(100 * account.used_believed).substr(0, 4) + "%").c_str() : "",
                  static_cast<long long>(account.posts), static_cast<long long>(account.refusals),
                  static_cast<double>(account.answered) / days);
      strip.lines.push_back({contender->name(), account.used, account.by_hour});
      if (ours && failure.empty()) failure = broken(scenario, account, least);
    }
    strips.push_back(std::move(strip));
  }
  if (!svg.empty()) std::ofstream(svg) << chart(strips, days);
  if (!check || failure.empty()) return 0;
  std::cerr << failure << "\n";
  return 1;
}

}  // namespace
}  // namespace batchd::bench

int main(int argc, char** argv) {
  int days = 30;
  std::uint64_t seed = 1;
  std::string svg;
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
    if (is("--check")) {
      check = true;
    } else if (i + 1 < argc && is("--days")) {
      days = std::max(std::atoi(argv[++i]), 1);
    } else if (i + 1 < argc && is("--seed")) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && is("--svg")) {
      svg = argv[++i];
    } else {
      std::cerr << "batchd-quota-bench [--days N] [--seed N] [--svg FILE] [--check]\n";
      return 2;
    }
  }
  return batchd::bench::run(days, seed, svg, check);
}
