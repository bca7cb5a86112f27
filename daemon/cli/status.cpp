#include "cli/context.hpp"
#include "db/reading.hpp"
#include "db/store.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <thread>

namespace batchd {
namespace {

constexpr std::chrono::milliseconds between_looks{500};
constexpr int most_jobs = 1'000;

boost::json::object to_json(const JobStatus& job) {
  boost::json::object out{{"job", job.job},
                          {"finished", job.finished()},
                          {"accepted", job.accepted},
                          {"queued", job.queued},
                          {"in_flight", job.in_flight},
                          {"settled", job.settled()},
                          {"succeeded", job.succeeded},
                          {"failed", job.failed},
                          {"cancelled", job.cancelled},
                          {"expired", job.expired},
                          {"input_tokens", job.input_tokens},
                          {"output_tokens", job.output_tokens},
                          {"started", job.started}};
  out["last_settled"] = job.last_settled ? boost::json::value(*job.last_settled) : boost::json::value();
  out["cost_usd"] = static_cast<double>(job.cost) / static_cast<double>(nano_per_dollar);
  out["waits_for_money"] = job.waits_for_money;
  out["estimated_finish"] = job.estimated_finish ? boost::json::value(*job.estimated_finish) : boost::json::value();
  return out;
}

/// `name: 640 of 1,000 settled (600 succeeded, 40 failed), 200 in flight, 160 queued`
std::string sentence(const JobStatus& job) {
  std::string out = job.job + ": " + grouped(job.settled()) + " of " + grouped(job.accepted) + " settled";
  std::string parts;
  const std::array<std::pair<std::int64_t, const char*>, 4> outcomes{
      {{job.succeeded, "succeeded"}, {job.failed, "failed"}, {job.cancelled, "cancelled"}, {job.expired, "expired"}}};
  for (const auto& [count, what] : outcomes) {
    if (count > 0) parts += (parts.empty() ? "" : ", ") + grouped(count) + " " + what;
  }
  if (!parts.empty()) out += " (" + parts + ")";
  if (!job.finished()) out += ", " + grouped(job.in_flight) + " in flight, " + grouped(job.queued) + " queued";
  if (job.cost > 0) out += ", $" + dollars(job.cost) + " spent";
  if (job.waits_for_money && !job.finished()) out += ", waiting for money: [budget] has no room";
  if (job.estimated_finish) out += ", done at about " + *job.estimated_finish;
  return out;
}

std::string bar(const JobStatus& job) {
  constexpr std::int64_t width = 30;
  const auto filled = static_cast<std::size_t>(job.accepted > 0 ? job.settled() * width / job.accepted : 0);
  return "[" + std::string(filled, '#') + std::string(width - filled, ' ') + "] " + sentence(job);
}

std::string table(const std::vector<JobStatus>& jobs) {
  if (jobs.empty()) return "no jobs yet\n";
  std::size_t width = 3;
  for (const JobStatus& job : jobs) width = std::max(width, job.job.size());
  const auto row = [width](const std::string& name, const std::array<std::string, 6>& cells) {
    std::string out = name + std::string(width - std::min(width, name.size()), ' ');
    for (const std::string& cell : cells) out += std::string(cell.size() < 12 ? 12 - cell.size() : 1, ' ') + cell;
    return out + "\n";
  };
  std::string out = row("job", {"queued", "in flight", "succeeded", "failed", "cancelled", "expired"});
  for (const JobStatus& j : jobs) {
    out += row(j.job, {grouped(j.queued), grouped(j.in_flight), grouped(j.succeeded), grouped(j.failed), grouped(j.cancelled),
                       grouped(j.expired)});
  }
  return out;
}

/// The looking and showing of one invocation.
class Watcher {
 public:
  Watcher(Reading& reading, const StatusOptions& options) : reading_(reading), options_(options) {}

  int run() {
    look();
    if (options_.watch || options_.wait) follow();
    if (!options_.watch) show();
    if (!options_.wait) return exit_ok;
    return std::all_of(jobs_.begin(), jobs_.end(), [](const JobStatus& job) { return job.succeeded == job.settled(); })
               ? exit_ok
               : exit_failed_requests;
  }

 private:
  void look() {
    if (!options_.job) {
      jobs_ = reading_.jobs(most_jobs);
      return;
    }
    const auto job = reading_.job(*options_.job);
    if (!job) throw CommandError(exit_failure, "no request was ever enqueued under the job '" + *options_.job + "'");
    jobs_ = {*job};
  }

  bool finished() const {
    return std::all_of(jobs_.begin(), jobs_.end(), [](const JobStatus& job) { return job.finished(); });
  }

  /// Looks until nothing is unsettled. A database that is away for a while is waited for: what it holds is safe.
  void follow() {
    bool away = false;
    for (;;) {
      if (options_.watch && !away) redraw();
      if (!away && finished()) break;
      std::this_thread::sleep_for(between_looks);
      try {
        look();
        away = false;
      } catch (const StoreError& error) {
        if (!away) say(std::string("batchd: ") + error.what() + "; looking again until it answers");
        away = true;
      }
    }
    if (options_.watch && live()) print("\n");
  }

  bool live() const { return stdout_is_terminal() && !options_.json && options_.job; }

  /// On a terminal one line that changes; elsewhere a line for each change.
  void redraw() {
    if (live()) {
      print("\r\033[K" + bar(jobs_.front()));
      return;
    }
    const std::string now = rendered();
    if (now == shown_) return;
    print(now);
    shown_ = now;
  }

  void show() { print(rendered()); }

  std::string rendered() const {
    if (options_.json) {
      if (options_.job) return boost::json::serialize(to_json(jobs_.front())) + "\n";
      boost::json::array all;
      for (const JobStatus& job : jobs_) all.push_back(to_json(job));
      return boost::json::serialize(boost::json::object{{"jobs", std::move(all)}}) + "\n";
    }
    if (!options_.job) return table(jobs_);
    return sentence(jobs_.front()) + "\n";
  }

  Reading& reading_;
  const StatusOptions& options_;
  std::vector<JobStatus> jobs_;
  std::string shown_;
};

}  // namespace

int run_status(const CommonOptions& common, const StatusOptions& options) {
  Database database(database_settings(common));
  Reading reading(database);
  return Watcher(reading, options).run();
}

}  // namespace batchd
