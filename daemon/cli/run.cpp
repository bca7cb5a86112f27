#include "application.hpp"
#include "cli/context.hpp"
#include "cli/run_config.hpp"
#include "cli/run_input.hpp"
#include "cli/run_progress.hpp"
#include "cli/run_report.hpp"
#include "config_values.hpp"
#include "db/migrator.hpp"
#include "db/store.hpp"
#include "local/private_postgres.hpp"
#include "local/state_lock.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

namespace batchd {
namespace {

namespace fs = std::filesystem;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::milliseconds look_again{400};
/// How long the files that are no longer needed may take to be deleted at the provider; the next run goes on with the rest.
constexpr std::chrono::seconds tidying{20};
constexpr std::uintmax_t largest_log = 16 << 20;

// Before and after the daemon: nothing is lost, since everything here is a transaction.
void on_early_signal(int) {
  constexpr std::string_view text = "\nbatchd: stopped; the same command goes on from here\n";
  [[maybe_unused]] const ssize_t wrote = write(STDERR_FILENO, text.data(), text.size());
  _exit(exit_failure);
}

void say_on_signals() {
  std::signal(SIGINT, on_early_signal);
  std::signal(SIGTERM, on_early_signal);
}

/// libpq reads these; what they say is about some other database.
void forget_other_databases() {
  for (const auto& [name, value] : whole_environment()) {
    if (name.starts_with("PG")) unsetenv(name.c_str());
  }
}

void check_options(const CommonOptions& common, const RunOptions& options) {
  if (!common.database_url.empty()) {
    throw CommandError(exit_usage, "run has a database of its own; `batchd submit` and `batchd serve` work on another one");
  }
  if (options.file == "-" && options.job.empty()) {
    throw CommandError(exit_usage, "stdin has no name to be known by the next time: give --job NAME");
  }
  if (options.job.size() > 500) throw CommandError(exit_usage, "--job must have at most 500 bytes");
  if (!options.url.empty() && !options.url.starts_with('/')) {
    throw CommandError(exit_usage, "--url must be a path such as /v1/chat/completions");
  }
  if (options.output == "-" && options.json)
    throw CommandError(exit_usage, "stdout is taken by -o -: --json cannot go there too");
}

/// What could keep the results from being written is better known before they are paid for.
void check_output(const std::string& output, const std::string& input) {
  if (output == "-") return;
  std::error_code ignored;
  if (fs::is_directory(output, ignored)) throw CommandError(exit_usage, output + " is a directory");
  if (fs::equivalent(output, input, ignored)) throw CommandError(exit_usage, "-o " + output + " is the input itself");
  const fs::path folder = fs::absolute(output).parent_path();
  if (access(folder.c_str(), W_OK) != 0) {
    throw CommandError(exit_usage, output + " cannot be written: " + folder.string() + ": " + std::strerror(errno));
  }
}

/// Makes the folders that are missing, so that PostgreSQL's user may pass through them.
std::string make_place(const std::string& state_dir) {
  std::error_code failed;
  const fs::path place = fs::weakly_canonical(fs::absolute(state_dir), failed) / "run";
  fs::path made;
  for (const fs::path& part : place) {
    made /= part;
    if (mkdir(made.c_str(), 0755) == 0) {
      chmod(made.c_str(), geteuid() == 0 ? 0755 : 0700);
    } else if (errno != EEXIST && !fs::is_directory(made, failed)) {
      throw CommandError(exit_failure, "the state directory " + made.string() + " cannot be made: " + std::strerror(errno) +
                                           "; choose another one with --state-dir");
    }
  }
  if (access(place.c_str(), W_OK) != 0) {
    throw CommandError(exit_failure, "the state directory " + place.string() + " cannot be written: " + std::strerror(errno) +
                                         "; choose another one with --state-dir");
  }
  return place.string();
}

/// What the input is known by: its path, whatever it is called on the command line.
std::string job_of(const RunOptions& options) {
  if (!options.job.empty()) return "job " + options.job;
  std::error_code failed;
  const std::string path = fs::canonical(options.file, failed).string();
  constexpr std::size_t longest = 500;
  return "file " + (path.size() <= longest ? path : path.substr(path.size() - longest));
}

/// The daemon on a thread of its own, and its log in a file.
class Background {
 public:
  Background(Config config, const std::string& log_file) : config_(std::move(config)), file_(log_file, std::ios::app) {
    log_ = std::make_unique<Log>(
        parse_log_level(config_.log.level).value_or(LogLevel::info),
        [this](LogLevel level, std::string_view event, std::initializer_list<LogField> fields, std::string_view line) {
          file_ << line << '\n' << std::flush;
          trouble_.hear(level, event, fields);
        });
    thread_ = std::jthread([this](std::stop_token stop) {
      const int code = serve(config_, *log_, stop);
      const std::lock_guard guard(lock_);
      code_ = code;
      ended_.notify_all();
    });
  }

  void stop() { thread_.request_stop(); }
  const RunTrouble& trouble() const { return trouble_; }
  /// Waits a moment; its exit code when it has ended by then.
  std::optional<int> wait(std::chrono::milliseconds time) {
    std::unique_lock guard(lock_);
    ended_.wait_for(guard, time, [this] { return code_.has_value(); });
    return code_;
  }

 private:
  Config config_;
  std::ofstream file_;
  RunTrouble trouble_;
  std::unique_ptr<Log> log_;
  std::mutex lock_;
  std::condition_variable ended_;
  std::optional<int> code_;
  std::jthread thread_;  // last: it uses all of the above
};

class Run {
 public:
  Run(const CommonOptions& common, const RunOptions& options)
      : options_(options),
        config_(run_config(common, options, whole_environment())),
        job_(job_of(options)),
        bar_(stderr_is_terminal()) {}

  int run() {
    const InputFile input(options_.file);
    check_output(options_.output, options_.file);
    place_ = make_place(config_.limits.state_dir);
    const StateLock lock(place_ + "/lock");
    if (!lock.held()) {
      throw CommandError(exit_failure, "another batchd run (" + lock.holder() + ") is at work in " + place_ +
                                           "; wait for it, or give this one a --state-dir of its own");
    }
    say_on_signals();
    forget_other_databases();
    start_server();
    take_in(input);
    work();
    return report();
  }

 private:
  void start_server() {
    const Environment environment = whole_environment();
    const auto variable = [&](const char* name) {
      const auto found = environment.find(name);
      return found == environment.end() ? std::string() : found->second;
    };
    PrivatePostgresSettings settings;
    settings.directory = place_ + "/postgres";
    settings.programs = options_.postgres_bin.empty() ? variable("BATCHD_POSTGRES_BIN") : options_.postgres_bin;
    settings.path = variable("PATH");
    settings.say = [](const std::string& sentence) { say(sentence); };
    server_ = std::make_unique<PrivatePostgres>(std::move(settings));
    server_->start();

    DatabaseSettings to;
    to.url = server_->url();
    to.connections = 1;
    database_ = std::make_unique<Database>(to);
    const MigrationReport report = Migrator(*database_).migrate();
    if (!report.schema.ok()) throw CommandError(exit_schema, "the state in " + place_ + ": " + report.schema.sentence);
    book_ = std::make_unique<RunBook>(*database_);
    book_->open();
    DatabaseConfig& database = config_.database;
    database.url = database.listen_url = database.migrate_url = to.url;
    database.url_file.clear();
    config_.limits.state_dir = place_;
  }

  void take_in(const InputFile& file) {
    int complaints = 0;
    RunInput input(file, {default_model(options_), options_.url}, [&complaints](const std::string& sentence) {
      if (++complaints <= most_complaints) say(sentence);
      if (complaints == most_complaints + 1) say("… and more");
    });
    const auto check = [&](const std::vector<Duplicate>& duplicates, std::int64_t twice, const std::vector<ModelUse>& models) {
      for (const Duplicate& d : duplicates) {
        say("line " + std::to_string(d.line) + ": its custom_id " + in_quotes(d.custom_id) + " is that of line " +
            std::to_string(d.first) + " too");
      }
      if (twice > static_cast<std::int64_t>(duplicates.size())) say("… and more");
      if (input.bad() + twice > 0) {
        throw CommandError(exit_failure, options_.file + " has " + grouped(input.bad() + twice) + " bad lines of " +
                                             grouped(input.bad() + input.good()) + ": nothing was sent");
      }
      if (input.good() == 0) throw CommandError(exit_failure, options_.file + " holds no requests");
      serve_models(config_, options_, models);
    };
    counts_ = book_->take_in(
        {job_, options_.retry_failed}, [&input](InputLine& line) { return input.next(line); }, check);
    std::vector<DeploymentSettings> deployments;
    for (const DeploymentConfig& d : config_.deployments)
      deployments.push_back({d.name, d.provider, d.model, d.enqueued_token_limit});
    book_->unpack_misfits(deployments);
    announce();
  }

  void announce() const {
    std::string models;
    for (const DeploymentConfig& d : config_.deployments) {
      models += (models.empty() ? "" : ", ") + d.model + (d.name == d.model ? "" : " as " + d.name) + " (at most " +
                grouped(d.enqueued_token_limit) + " enqueued tokens)";
    }
    say(options_.file + ": " + grouped(counts_.lines) + " requests for " + models + " at " + config_.providers.front().endpoint +
        (config_.providers.size() > 1 ? " and others" : ""));
    if (counts_.fresh < counts_.lines) {
      say("known from before: " + grouped(counts_.lines - counts_.fresh) + ", of which " + grouped(counts_.settled) +
          " are settled");
    }
    if (counts_.again > 0) say("asked again: " + grouped(counts_.again));
    if (counts_.dropped > 0) say("no longer in the file and cancelled: " + grouped(counts_.dropped));
  }

  void work() {
    progress_ = book_->progress(job_, counts_.lines);
    if (progress_.finished() && progress_.untidy == 0) {
      write();
      return;
    }
    std::error_code ignored;
    const std::string log_file = place_ + "/batchd.log";
    if (fs::file_size(log_file, ignored) > largest_log && !ignored) fs::remove(log_file, ignored);
    Background daemon(config_, log_file);
    const std::optional<int> code = follow(daemon);
    bar_.clear();
    say_on_signals();
    if (written_) return;
    if (*code != exit_ok) {
      const std::string why = daemon.trouble().latest();
      throw CommandError(static_cast<ExitCode>(*code), "stopped" + (why.empty() ? "" : ": " + why) + "; its log is " + log_file);
    }
    throw CommandError(
        exit_failure,
        "stopped with " + progress_sentence(progress_) +
            ".\nWhat is at the provider goes on there. The same command goes on from here, and pays for nothing twice.");
  }

  std::optional<int> follow(Background& daemon) {
    Steady::time_point finished{};
    for (;;) {
      keep_server(daemon);
      std::string away;
      try {
        progress_ = book_->progress(job_, counts_.lines);
        if (progress_.finished() && !written_) {
          write();
          finished = Steady::now();
        }
      } catch (const StoreError& error) {
        away = error.what();
      }
      bar_.show(progress_, away.empty() ? reason_of_trouble(progress_, daemon.trouble().latest()) : away);
      if (written_ && (progress_.untidy == 0 || Steady::now() - finished > tidying)) daemon.stop();
      if (const auto code = daemon.wait(look_again)) return code;
    }
  }

  /// A PostgreSQL that somebody killed is started again, from the main thread as it must be.
  void keep_server(Background& daemon) {
    if (server_->running()) return;
    bar_.clear();
    say("PostgreSQL has ended unexpectedly and is started again; its log is " + server_->log_file());
    try {
      server_->start();
    } catch (const PrivatePostgresError&) {
      daemon.stop();
      throw;
    }
  }

  void write() {
    write_results(*book_, job_, counts_.lines, output());
    written_ = true;
  }

  int report() {
    const RunTotals totals = book_->totals(job_);
    say(run_summary(totals, output()));
    if (options_.json) print(run_summary_json(totals, output()));
    return totals.failed == 0 ? exit_ok : exit_failed_requests;
  }

  std::string output() const { return options_.output == "-" ? "" : options_.output; }

  const RunOptions& options_;
  Config config_;
  std::string job_;
  std::string place_;
  std::unique_ptr<PrivatePostgres> server_;
  std::unique_ptr<Database> database_;  // closed before its server stops
  std::unique_ptr<RunBook> book_;
  IntakeCounts counts_;
  RunProgress progress_;
  ProgressLine bar_;
  bool written_ = false;
};

}  // namespace

int run_run(const CommonOptions& common, const RunOptions& options) {
  check_options(common, options);
  try {
    return Run(common, options).run();
  } catch (const PrivatePostgresError& error) {
    throw CommandError(exit_failure, error.what());
  }
}

}  // namespace batchd
