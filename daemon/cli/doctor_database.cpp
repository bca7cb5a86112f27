#include "cli/doctor_database.hpp"

#include "cli/batches.hpp"
#include "cli/context.hpp"
#include "db/diagnosis.hpp"
#include "db/migrator.hpp"
#include "db/store.hpp"
#include "providers.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <set>

namespace batchd {
namespace {

constexpr std::chrono::milliseconds slow_round_trip{50};
constexpr Milliseconds clock_tolerance{5'000};
constexpr std::int64_t long_wait_seconds = 24 * 3600;
/// Which requests ask for unless they say otherwise.
constexpr std::string_view usual_endpoint = "/v1/chat/completions";
constexpr int oldest_version = 140'000;
constexpr int tested_version = 150'000;

std::string in_milliseconds(std::chrono::microseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f ms", static_cast<double>(time.count()) / 1000);
  return text;
}

/// Each question is asked by itself; one that the database refuses is a finding, and the others are asked all the same.
class Examiner {
 public:
  Examiner(const DatabaseSettings& settings, const Config& config)
      : config_(config), database_(settings), diagnosis_(database_) {}

  DatabaseExamination run() {
    if (!reachable()) return std::move(result_);
    ask("durability", [this] { durability(); });
    ask("clock", [this] { clock(); });
    if (!schema()) return std::move(result_);
    ask("grants", [this] { grants(); });
    ask("instance", [this] { instance(); });
    ask("history", [this] { history(); });
    ask("replicas", [this] { replicas(); });
    ask("deployments", [this] { deployments(); });
    ask("queue", [this] { queue(); });
    ask("budget", [this] { budget(); });
    ask("submissions", [this] { submissions(); });
    ask("files", [this] { files(); });
    return std::move(result_);
  }

 private:
  void add(Finding finding) { result_.findings.push_back(std::move(finding)); }

  template <class Question>
  void ask(const char* subject, Question question) {
    try {
      question();
    } catch (const StoreError& error) {
      add(failure(subject, std::string("it could not be asked: ") + error.what(),
                  "see what the other lines say of the database and its grants"));
    }
  }

  bool reachable() {
    try {
      facts_ = diagnosis_.server();
      const auto trip = diagnosis_.round_trip();
      const std::string sentence = "PostgreSQL " + facts_.version + ", " + in_milliseconds(trip) + " away";
      if (facts_.version_number < oldest_version) {
        add(failure("database", sentence, "batchd needs PostgreSQL 14 or newer, and is tested with 15 and newer"));
      } else if (facts_.standby || facts_.read_only) {
        add(failure("database", sentence + ", which takes no writes" + (facts_.standby ? ": it is a standby" : ""),
                    "let database.url name the primary (target_session_attrs=read-write finds it among several hosts)"));
      } else if (facts_.version_number < tested_version) {
        add(warning("database", sentence, "batchd is tested with PostgreSQL 15 and newer"));
      } else if (trip > slow_round_trip) {
        add(warning("database", sentence, "run the daemons close to the database: every step is a few round trips"));
      } else {
        add(fine("database", sentence));
      }
      return true;
    } catch (const StoreError& error) {
      add(failure("database", error.what(), "check database.url, that PostgreSQL runs, and that it lets this user in from here"));
    } catch (const std::invalid_argument& error) {
      add(failure("database", std::string("database.url is ") + error.what(), "mend database.url"));
    }
    return false;
  }

  void durability() {
    std::string loose;
    if (!facts_.fsync) loose = "fsync is off";
    if (!facts_.full_page_writes) loose += std::string(loose.empty() ? "" : " and ") + "full_page_writes is off";
    if (!loose.empty()) {
      add(warning("durability", loose + ": a crash of the server can lose what it confirmed, and work be paid for twice",
                  "turn it on, but for tests"));
    } else if (facts_.synchronous_commit == "off") {
      add(warning("durability", "synchronous_commit is off: producers' last requests can be lost in a crash of the server",
                  "turn it on; batchd's own transactions turn it on for themselves"));
    } else {
      add(fine("durability", "fsync is on, synchronous_commit is " + facts_.synchronous_commit));
    }
  }

  void clock() {
    const Milliseconds ahead = diagnosis_.clock_ahead();
    const auto seconds = std::llabs(ahead.count()) / 1000;
    if (std::llabs(ahead.count()) < clock_tolerance.count()) {
      add(fine("clock", "the database and this machine agree"));
    } else {
      add(warning(
          "clock",
          "the database's clock is " + grouped(seconds) + " s " + (ahead.count() > 0 ? "ahead of" : "behind") + " this machine's",
          "let both be set by NTP: deadlines and due times go by the database's"));
    }
  }

  bool schema() {
    try {
      const SchemaReport report = Migrator(database_).check();
      if (report.ok()) {
        add(fine("schema", report.sentence));
        return true;
      }
      result_.schema_mismatch = true;
      add(failure("schema", report.sentence,
                  report.state == SchemaState::too_new ? "update this program" : "run `batchd migrate`"));
    } catch (const StoreError& error) {
      add(failure("schema", std::string("it could not be read: ") + error.what(),
                  "GRANT batchd_worker TO " + facts_.user + "; as the schema's owner"));
    }
    return false;
  }

  void grants() {
    const auto missing = diagnosis_.missing_grants();
    if (missing.empty()) {
      add(fine("grants", facts_.user + " may do all that a daemon does"));
      return;
    }
    std::string some = missing.front();
    for (std::size_t i = 1; i < std::min<std::size_t>(missing.size(), 3); ++i) some += ", " + missing[i];
    const auto member = diagnosis_.is_worker();
    std::string remedy = "run `batchd migrate` as the schema's owner: it gives batchd_worker what it needs";
    if (!member) remedy = "run `batchd migrate`, and what it prints for an administrator: the role batchd_worker is not there";
    if (member && !*member) remedy = "GRANT batchd_worker TO " + facts_.user;
    add(failure("grants",
                facts_.user + " lacks " + grouped(static_cast<std::int64_t>(missing.size())) + " privileges: " + some +
                    (missing.size() > 3 ? ", …" : ""),
                remedy));
  }

  void instance() {
    const InstanceState state = diagnosis_.instance();
    result_.instance = state.id;
    if (state.moved) {
      add(failure(
          "instance",
          "the database is not where instance " + state.id + " last ran: it was restored or cloned, and submits nothing",
          "`batchd adopt` when the place it came from no longer runs batchd, `batchd adopt --as-new-instance` when it does"));
    } else {
      add(fine("instance", state.id + ", where it was"));
    }
  }

  void history() {
    const std::vector<LossLine> losses = diagnosis_.losses();
    if (!losses.empty()) {
      constexpr std::size_t most_named = 5;
      std::int64_t requests = 0;
      std::string named;
      for (std::size_t i = 0; i < losses.size(); ++i) {
        const LossLine& loss = losses[i];
        requests += loss.requests;
        if (i < most_named) {
          named += (i == 0 ? "" : ", ") + loss.batch + " at " + loss.provider + " (" + grouped(loss.requests) +
                   (loss.submitted.empty() ? "" : ", submitted " + loss.submitted + " UTC") + ")";
        }
      }
      if (losses.size() > most_named) named += " and " + std::to_string(losses.size() - most_named) + " more";
      add(failure(
          "history",
          "the database has lost commits, and with them the answers of " + grouped(requests) +
              " requests, which the provider does not have any more: " + named,
          "restore a later state of the database; or `batchd adopt --resubmit-lost`: they are sent, and paid for, again"));
      return;
    }
    const std::vector<std::string> unmatched = diagnosis_.unmatched();
    if (unmatched.empty()) {
      add(fine("history", "nothing that was confirmed is known to be lost"));
      return;
    }
    std::string names;
    for (const std::string& name : unmatched) names += (names.empty() ? "" : ", ") + name;
    add(warning("history", "nothing is submitted to " + names + " before its batches are compared with what the database knows",
                "nothing, for a minute while a daemon runs; its log tells when listing fails"));
  }

  void replicas() {
    std::int64_t alive = 0;
    std::set<std::string> versions;
    for (const ReplicaLine& replica : diagnosis_.replicas()) {
      if (replica.silent >= config_.lease.ttl) continue;
      ++alive;
      versions.insert(replica.version);
    }
    if (alive == 0) {
      add(warning("replicas", "no daemon is alive: nothing is submitted or merged", "start `batchd serve`"));
    } else if (versions.size() > 1) {
      add(warning("replicas",
                  grouped(alive) + " alive, of different versions: " + *versions.begin() + " to " + *versions.rbegin(),
                  "finish the upgrade"));
    } else {
      add(fine("replicas", grouped(alive) + " alive, version " + *versions.begin()));
    }
  }

  void deployments() {
    const auto lines = diagnosis_.deployments();
    for (const DeploymentConfig& deployment : config_.deployments) {
      const std::string subject = "deployment " + deployment.name;
      const auto found = std::find_if(lines.begin(), lines.end(), [&](const DeploymentLine& line) {
        return line.name == deployment.name && line.configured;
      });
      if (found == lines.end()) {
        add(warning(subject, "no daemon has run with it yet", "start `batchd serve` with this configuration"));
      } else {
        add(judge(subject, deployment, *found));
      }
    }
    for (const DeploymentLine& line : lines) {
      if (line.reserved > 0 && !line.configured) {
        add(warning("deployment " + line.name, grouped(line.reserved) + " tokens are reserved, but it is configured no longer",
                    "nothing, when that is meant: what is under way there is polled and merged"));
      }
    }
  }

  static Finding judge(const std::string& subject, const DeploymentConfig& config, const DeploymentLine& line) {
    const auto percent = line.limit > 0 ? line.reserved * 100 / line.limit : 0;
    std::string sentence =
        grouped(line.reserved) + " of " + grouped(line.limit) + " enqueued tokens reserved (" + std::to_string(percent) + " %)";
    if (line.believed != line.limit)
      sentence += "; after what the provider said, " + grouped(line.believed) + " are believed to be available";
    if (line.pause == "asked") {
      return warning(subject, sentence + "; paused by request", "`batchd resume`; `batchd pause --list` shows what is paused");
    }
    if (!line.pause.empty()) {
      return warning(subject, sentence + "; paused by batchd: " + line.pause,
                     "mend what the reason names; it is tried again by itself, or at once after `batchd resume " +
                         std::string("deployment:") + line.name + "`");
    }
    if (line.limit != config.enqueued_token_limit) {
      return warning(subject, sentence + "; this configuration says " + grouped(config.enqueued_token_limit),
                     "restart the daemons, when this file is the newest");
    }
    return fine(subject, sentence);
  }

  void queue() {
    std::int64_t requests = 0;
    std::int64_t oldest = 0;
    std::string unserved;
    const std::vector<Offer> offers = offers_of(config_);
    for (const WaitingLine& line : diagnosis_.waiting()) {
      requests += line.requests;
      oldest = std::max(oldest, line.seconds);
      if (is_offered(offers, line.lane)) continue;
      unserved += (unserved.empty() ? "" : ", ") + line.lane.model;
      if (line.lane.endpoint != usual_endpoint) unserved += " at " + line.lane.endpoint;
      unserved += " (" + grouped(line.requests) + ")";
    }
    const std::string sentence =
        requests == 0 ? "nothing waits" : grouped(requests) + " requests wait, the oldest for " + short_age(oldest);
    if (oldest > long_wait_seconds) {
      add(warning("queue", sentence, "see whether daemons are alive, deployments paused or full, or models served by none"));
    } else {
      add(fine("queue", sentence));
    }
    if (unserved.empty()) {
      add(fine("unroutable", "every request that waits is for a model and an endpoint that a deployment takes"));
    } else {
      add(warning("unroutable", "no deployment here takes what requests wait for: " + unserved,
                  "add a [[deployment]] with that model, at a provider that has the endpoint; they are settled as failed after "
                  "planner.unroutable_after"));
    }
  }

  void budget() {
    const BudgetLine line = diagnosis_.budget();
    const std::vector<MoneyWait> waits = diagnosis_.money_waits();
    if (config_.prices.empty() && line.spent + line.reserved == 0 && waits.empty()) return;
    std::string sentence = "$" + dollars(line.spent) + " spent today, $" + dollars(line.reserved) + " reserved";
    if (line.daily) sentence += ", of $" + dollars(*line.daily) + " a day";
    if (line.per_job) sentence += ", $" + dollars(*line.per_job) + " a job";
    if (waits.empty()) {
      add(fine("budget", sentence));
      return;
    }
    constexpr std::size_t most_named = 3;
    std::string named;
    for (std::size_t i = 0; i < std::min(waits.size(), most_named); ++i) {
      named += (i == 0 ? "" : ", ") + waits[i].model + " of job " + waits[i].job + " ($" + dollars(waits[i].needs) + " at least)";
    }
    if (waits.size() > most_named) named += " and " + std::to_string(waits.size() - most_named) + " more";
    add(warning("budget", sentence + "; requests wait for money: " + named,
                "raise budget.daily or budget.per_job and restart the daemons; a daily cap begins anew at midnight UTC"));
  }

  void submissions() {
    const auto unknown = diagnosis_.submissions_unknown();
    if (unknown == 0) {
      add(fine("submissions", "the answer of every submission is known"));
    } else {
      add(warning("submissions",
                  grouped(unknown) + " whose answer was lost: batchd looks for their batches and posts nothing meanwhile",
                  config_.retry.on_unknown == "hold" ? "retry.on_unknown is hold: look with `batchd batches --remote`"
                                                     : "nothing, for a few minutes"));
    }
  }

  void files() {
    for (const ProviderConfig& provider : config_.providers) result_.files[provider.name] = diagnosis_.files(provider.name);
  }

  const Config& config_;
  Database database_;
  Diagnosis diagnosis_;
  ServerFacts facts_;
  DatabaseExamination result_;
};

}  // namespace

DatabaseExamination examine_database(const DatabaseSettings& settings, const Config& config) {
  try {
    return Examiner(settings, config).run();
  } catch (const std::invalid_argument& error) {
    DatabaseExamination result;
    result.findings.push_back(failure("database", std::string("database.url is ") + error.what(), "mend database.url"));
    return result;
  }
}

}  // namespace batchd
