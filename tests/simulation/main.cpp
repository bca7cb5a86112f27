// batchd-simulation: runs seeded schedules and says which of them broke a promise.
#include "simulation/mutants.hpp"
#include "simulation/simulation.hpp"

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

namespace batchd::simulation {
namespace {

struct Options {
  std::uint64_t first = 1;
  std::uint64_t count = 1000;
  int jobs = 2;
  int most_failures = 5;
  std::string mutant;
  bool until_killed = false;
  bool trace = false;
};

/// What this process has cost so far. Unlike the time that passed, it does not depend on what else the machine does.
double processor_ms() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto ms = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3; };
  return ms(used.ru_utime) + ms(used.ru_stime);
}

/// What all threads of a campaign add to.
class Campaign {
 public:
  Campaign(const Options& options, std::string program) : options_(options), program_(std::move(program)) {}

  int run() {
    const auto started = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < options_.jobs; ++i) threads.emplace_back([this] { work_within_asio(); });
    for (std::thread& thread : threads) thread.join();
    report(std::chrono::steady_clock::now() - started);
    return failures_.empty() ? 0 : 1;
  }

 private:
  /// Asio keeps the memory of ended coroutines for the next ones only on threads of an io_context.
  void work_within_asio() {
    asio::io_context loop;
    asio::post(loop, [this] { work(); });
    loop.run();
  }

  void work() {
    Workbench bench;
    for (;;) {
      const std::uint64_t index = next_++;
      if (index >= options_.count || enough_) return;
      const std::uint64_t seed = options_.first + index;
      const Schedule schedule = draw_schedule(seed);
      Simulation simulation(schedule, bench, options_.trace ? &std::cout : nullptr);
      const Verdict verdict = simulation.run();
      const std::lock_guard lock(mutex_);
      ++done_;
      events_ += verdict.events;
      lasted_ += verdict.lasted;
      tally_.add(verdict.tally);
      if (!verdict.violation.empty()) failed(seed, verdict);
    }
  }

  void failed(std::uint64_t seed, const Verdict& verdict) {
    failures_[seed] = verdict.violation;
    std::cout << "seed " << seed << ": " << verdict.violation << "\n  replay: " << program_ << " --seed " << seed << " --trace"
              << (options_.mutant.empty() ? "" : " --mutant " + options_.mutant) << std::endl;
    if (options_.until_killed || static_cast<int>(failures_.size()) >= options_.most_failures) enough_ = true;
  }

  void report(std::chrono::duration<double> took) const {
    const auto schedules = static_cast<double>(done_);
    std::printf("schedules %" PRIu64 ", violations %zu, seconds %.1f, schedules a second %.0f, processor ms a schedule %.2f\n",
                done_, failures_.size(), took.count(), schedules / took.count(), processor_ms() / schedules);
    std::printf("virtual hours %.1f, events %" PRId64 ", deaths %" PRId64 ", losses of commits %" PRId64 "\n",
                std::chrono::duration<double, std::ratio<3600>>(lasted_).count(), events_, tally_.deaths, tally_.restores);
    std::printf("requests %" PRId64 " (succeeded %" PRId64 ", failed %" PRId64 ", cancelled %" PRId64 ", expired %" PRId64
                "), batches %" PRId64 ", billed answers %" PRId64 ", run again %" PRId64 "\n",
                tally_.requests, tally_.succeeded, tally_.failed, tally_.cancelled, tally_.expired, tally_.batches, tally_.billed,
                tally_.duplicates);
  }

  const Options& options_;
  std::string program_;
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> enough_{false};
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  std::int64_t events_ = 0;
  Time lasted_{0};
  Tally tally_;
  std::map<std::uint64_t, std::string> failures_;
};

int run(int argc, char** argv) {
  Options options;
  std::uint64_t seed = 0;
  CLI::App app("Runs batchd's own core and stages through seeded schedules of failures, in virtual time.");
  CLI::Option* const one = app.add_option("--seed", seed, "run this one schedule");
  app.add_option("--first", options.first, "the first seed")->capture_default_str();
  app.add_option("--count", options.count, "how many seeds")->capture_default_str();
  app.add_option("--jobs", options.jobs, "threads")->capture_default_str();
  app.add_option("--failures", options.most_failures, "stop after so many")->capture_default_str();
  app.add_option("--mutant", options.mutant, "do without one guard; --mutants lists them");
  app.add_flag("--until-killed", options.until_killed, "stop at the first violation");
  app.add_flag("--trace", options.trace, "say what happens");
  bool list = false;
  app.add_flag("--mutants", list, "list the mutants");
  CLI11_PARSE(app, argc, argv);
  if (list) {
    for (const MutantInfo& info : all_mutants()) std::cout << info.name << "\t" << info.guard << "\n";
    return 0;
  }
  if (!options.mutant.empty()) {
    const auto mutant = parse_mutant(options.mutant);
    if (!mutant) {
      std::cerr << "there is no mutant " << options.mutant << "; --mutants lists them\n";
      return 2;
    }
    chosen_mutant = *mutant;
  }
  if (one->count() > 0) {
    options.first = seed;
    options.count = 1;
  }
  if (options.trace) {
    options.jobs = 1;
    if (options.count == 1) std::cout << describe(draw_schedule(options.first));
  }
  return Campaign(options, argv[0]).run();
}

}  // namespace
}  // namespace batchd::simulation

int main(int argc, char** argv) {
  return batchd::simulation::run(argc, argv);
}
