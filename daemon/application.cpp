#include "application.hpp"

#include "admin/admin_server.hpp"
#include "db/migrator.hpp"
#include "db/pg_store.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "providers.hpp"
#include "reporter.hpp"
#include "runtime/blocking_pool.hpp"
#include "runtime/clock.hpp"
#include "runtime/task_group.hpp"
#include "spool/spool.hpp"
#include "stages/cancel.hpp"
#include "stages/close.hpp"
#include "stages/credential_watch.hpp"
#include "stages/merge.hpp"
#include "stages/orphans.hpp"
#include "stages/plan.hpp"
#include "stages/poll.hpp"
#include "stages/submit.hpp"
#include "stages/sweep.hpp"
#include "stages/upload.hpp"
#include "stages/watch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

namespace batchd {
namespace {

constexpr int exit_stopped = 0;
constexpr int exit_failed = 1;
constexpr int exit_unusable = 2;
constexpr int exit_schema_mismatch = 4;

/// After a stop was asked for, work in flight gets this long to come to its end; what can be broken off without loss is, before.
constexpr auto stop_grace = std::chrono::seconds(27);
constexpr auto break_off_after = std::chrono::seconds(10);
/// What is still in flight then is handed back within this: leaving is safe, because a kill is safe anywhere. All in all that
/// stays below the 30 s after which service managers kill.
constexpr auto hand_back_grace = std::chrono::seconds(2);
/// A provider's whole list is walked so often while a batch of ours may turn up in it: after ten polls, but no more seldom.
constexpr Milliseconds longest_walk_interval{600'000};
/// How many shards a stage works on at a time.
constexpr int uploads_at_once = 2;
constexpr int submissions_at_once = 4;
constexpr int merges_at_once = 2;
constexpr int closes_at_once = 2;

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

class Application {
 public:
  Application(const Config& config, Log& log, Metrics& metrics, PortWrapper& wrapper);
  int run();
  /// As a signal would; from any thread while run() has not returned.
  void ask_to_stop();

 private:
  void make_routes();
  void make_stages();
  /// The first loop: waits for the database, then starts the others and keeps the heartbeat.
  Task<void> supervise();
  Task<bool> start();
  void on_signal();
  void stop();
  void loop_ended(const std::string& name, std::exception_ptr failure);
  Task<void> leave();
  /// Gives everything back although work is still in flight, and ends the process.
  void leave_hard();
  /// Runs `then` on the loop after a time, unless the timer is cancelled.
  template <class F>
  void after(asio::steady_timer& timer, std::chrono::seconds time, F then);

  const Config& config_;
  Log& log_;
  Metrics& metrics_;
  asio::io_context loop_{1};
  SteadyClock clock_;
  BlockingPool pool_;
  Database database_;
  BlockingPool heartbeat_pool_{1};
  Database heartbeat_database_;
  PgStore pg_store_;
  Store& store_;
  Spool spool_;
  Providers providers_;
  std::map<std::string, Provider*> ports_;  // by the provider's name, as the stages see them
  std::map<std::string, Route> routes_;
  Reporter reporter_;
  AdminServer admin_;
  Session session_;
  Bells bells_;
  BusyShards busy_;
  std::unique_ptr<StageContext> context_;  // once the instance's id is known
  std::deque<Wakeup> poll_bells_;
  std::vector<std::pair<std::unique_ptr<Stage>, int>> stages_;  // and how many loops run each
  PlanStage* planner_ = nullptr;
  std::optional<CredentialWatch> credential_watch_;
  asio::signal_set signals_{loop_, SIGTERM, SIGINT};
  asio::steady_timer grace_{loop_};
  asio::steady_timer break_off_{loop_};
  bool moved_ = false;  // the operator was told that this database has to be adopted
  bool stopping_ = false;
  int exit_code_ = exit_stopped;
  TaskGroup tasks_{loop_.get_executor()};  // the heartbeat and the HTTP server: they last until the others have ended
  TaskGroup work_{loop_.get_executor()};   // everything that the heartbeat stands for
};

std::set<std::string> served_models(const Config& config) {
  std::set<std::string> models;
  for (const DeploymentConfig& deployment : config.deployments) models.insert(deployment.model);
  return models;
}

std::set<std::string> provider_names(const Config& config) {
  std::set<std::string> names;
  for (const ProviderConfig& provider : config.providers) names.insert(provider.name);
  return names;
}

std::vector<std::string> all_of(const std::set<std::string>& names) {
  return {names.begin(), names.end()};
}

DatabaseSettings database_settings(const DatabaseConfig& config) {
  DatabaseSettings settings;
  settings.url = config.url;
  settings.listen_url = config.listen_url;
  settings.connections = static_cast<std::size_t>(config.pool);
  settings.statement_timeout = config.statement_timeout;
  settings.bulk_timeout = 10 * config.statement_timeout;
  return settings;
}

/// A connection of its own, and answers that come before trust has run out: work that waits long must not cost a replica its
/// term.
DatabaseSettings heartbeat_settings(const Config& config) {
  DatabaseSettings settings = database_settings(config.database);
  settings.connections = 1;
  settings.statement_timeout = std::min(settings.statement_timeout, std::max(Milliseconds{1000}, config.lease.ttl / 4));
  settings.answer_margin = Milliseconds{1000};
  settings.connect_timeout = std::min(settings.connect_timeout, std::max(Milliseconds{2000}, config.lease.ttl / 4));
  return settings;
}

Application::Application(const Config& config, Log& log, Metrics& metrics, PortWrapper& wrapper)
    : config_(config),
      log_(log),
      metrics_(metrics),
      pool_(static_cast<std::size_t>(config.database.pool)),
      database_(database_settings(config.database)),
      heartbeat_database_(heartbeat_settings(config)),
      pg_store_(database_, pool_, metrics, {heartbeat_database_, heartbeat_pool_}),
      store_(wrapper.wrap(pg_store_)),
      spool_(config.limits.state_dir, config.limits.disk),
      providers_(config, metrics, log, [this, &wrapper] { return wrapper.may_call(session_.trusted()); }),
      reporter_(store_, clock_, log, metrics, served_models(config), provider_names(config)),
      admin_(loop_.get_executor(), config.http.listen, reporter_, metrics, log),
      session_(store_, clock_, log, metrics, ReplicaInfo{host_name(), ::getpid(), BATCHD_VERSION, all_of(provider_names(config))},
               config.lease.ttl) {
  for (const auto& [name, provider] : providers_.by_name()) ports_[name] = &wrapper.wrap(*provider);
  make_routes();
  session_.on_burial = [this] {
    for (Wakeup* bell :
         {&bells_.plan, &bells_.upload, &bells_.submit, &bells_.merge, &bells_.close, &bells_.cancel, &bells_.orphans})
      bell->notify();
    for (Wakeup& bell : poll_bells_) bell.notify();
  };
}

void Application::make_routes() {
  for (const DeploymentConfig& deployment : config_.deployments) {
    Provider* const provider = ports_.at(deployment.provider);
    const ProviderLimits& limits = provider->limits();
    routes_[deployment.name] = {provider, deployment.provider, std::min(config_.planner.max_requests, limits.max_requests),
                                std::min(config_.planner.max_bytes, limits.max_bytes), deployment.enqueued_token_limit};
  }
}

void Application::make_stages() {
  const BackoffPolicy backoff{config_.retry.base_delay, config_.retry.max_delay};
  PlanSettings plan;
  plan.policy.linger = config_.planner.linger;
  plan.unroutable_after = config_.planner.unroutable_after;
  SubmitSettings submit;
  submit.file_interval = config_.poll.file_interval;
  submit.settle_window = config_.retry.settle_window;
  submit.hold_unknown = config_.retry.on_unknown == "hold";
  MergeSettings merge;
  merge.round = {config_.retry.max_attempts, backoff};
  // Each merge holds one chunk being gathered and one being written; the rest of the budget is for what surrounds them.
  merge.chunk_bytes =
      static_cast<std::size_t>(std::clamp<Bytes>(config_.limits.memory / (4 * merges_at_once), 256 << 10, 16 << 20));
  const CloseSettings close{config_.retention.remote_files == "delete", config_.retention.remote_delay};

  WatchSettings watch;
  watch.interval = config_.poll.interval;
  watch.walk_interval = std::min(10 * config_.poll.interval, longest_walk_interval);
  watch.delete_remote_files = close.delete_remote_files;
  watch.remote_delay = close.remote_delay;

  auto planner = std::make_unique<PlanStage>(*context_, plan);
  planner_ = planner.get();
  stages_.emplace_back(std::move(planner), 1);
  stages_.emplace_back(std::make_unique<UploadStage>(*context_, spool_), uploads_at_once);
  stages_.emplace_back(std::make_unique<SubmitStage>(*context_, submit), submissions_at_once);
  for (const auto& [name, provider] : ports_) {
    stages_.emplace_back(
        std::make_unique<PollStage>(*context_, name, *provider, poll_bells_.emplace_back(), PollSettings{config_.poll.interval}),
        1);
    stages_.emplace_back(std::make_unique<WatchStage>(*context_, name, *provider, poll_bells_.emplace_back(), watch), 1);
  }
  stages_.emplace_back(std::make_unique<MergeStage>(*context_, spool_, merge), merges_at_once);
  stages_.emplace_back(std::make_unique<CancelStage>(*context_), 1);
  stages_.emplace_back(std::make_unique<CloseStage>(*context_, close), closes_at_once);
  for (const auto& [name, provider] : ports_) {
    stages_.emplace_back(std::make_unique<OrphanStage>(*context_, name, *provider, !close.delete_remote_files), 1);
  }
  stages_.emplace_back(std::make_unique<SweepStage>(*context_, SweepSettings{config_.retention.settled}), 1);
}

int Application::run() {
  for (TaskGroup* group : {&tasks_, &work_}) {
    group->on_exit = [this](const std::string& name, std::exception_ptr failure) { loop_ended(name, failure); };
  }
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) on_signal();
  });
  log_.info("started", {{"version", BATCHD_VERSION}, {"pid", ::getpid()}, {"http_port", admin_.port()}});
  tasks_.spawn("http", [this] { return admin_.run(); });
  tasks_.spawn("session", [this] { return supervise(); });
  loop_.run();
  log_.info("stopped", {{"exit_code", exit_code_}});
  return exit_code_;
}

Task<void> Application::supervise() {
  while (!co_await start()) co_await clock_.sleep_for(Milliseconds{1000});
  if (exit_code_ != exit_stopped) {
    stop();
    co_return;
  }
  for (const auto& [stage, loops] : stages_) {
    for (int i = 0; i < loops; ++i) {
      work_.spawn(stage->name(), [s = stage.get(), scout = i == 0] { return s->run(scout); });
    }
  }
  credential_watch_.emplace(*context_, providers_.credentials());
  work_.spawn("credentials", [this] { return credential_watch_->run(); });
  work_.spawn("listen", [this] { return planner_->listen(); });
  work_.spawn("status", [this] { return reporter_.run(); });
  co_await session_.run();
}

/// True when the loops may start, or must not ever (exit_code_ says so); false to try again.
Task<bool> Application::start() {
  std::string failure;
  try {
    const SchemaReport schema = co_await pool_.run([this] { return Migrator(database_).check(); });
    reporter_.schema_checked(schema.ok() ? "" : schema.sentence);
    if (!schema.ok()) {
      log_.error("schema.mismatch", {{"problem", schema.sentence}});
      exit_code_ = exit_schema_mismatch;
      co_return true;
    }
    if (co_await store_.has_moved()) {
      if (!moved_)
        log_.error("instance.moved", {{"remedy", "this database is a copy: run `batchd adopt`, see `batchd adopt --help`"}});
      moved_ = true;
      co_return false;
    }
    const std::string instance = co_await store_.instance_id();
    co_await store_.maintain();
    co_await session_.beat();
    std::vector<DeploymentSettings> deployments;
    for (const DeploymentConfig& d : config_.deployments)
      deployments.push_back({d.name, d.provider, d.model, d.enqueued_token_limit});
    if (!co_await store_.publish(session_.term(), deployments)) co_return false;
    context_ = std::make_unique<StageContext>(StageContext{store_,
                                                           session_,
                                                           clock_,
                                                           log_,
                                                           metrics_,
                                                           bells_,
                                                           busy_,
                                                           ports_,
                                                           routes_,
                                                           instance,
                                                           {config_.retry.base_delay, config_.retry.max_delay}});
    make_stages();
    reporter_.identify(instance, host_name() + "/" + std::to_string(::getpid()));
    log_.info("ready", {{"instance", instance}, {"deployments", deployments.size()}});
    co_return true;
  } catch (const StoreError& error) {
    failure = error.what();
  }
  log_.warn("database.unavailable", {{"error", failure}});
  co_return false;
}

void Application::ask_to_stop() {
  asio::post(loop_, [this] {
    if (!stopping_) on_signal();
  });
}

void Application::on_signal() {
  if (stopping_) {
    log_.warn("stopped.at_once");
    ::_exit(exit_failed);
  }
  log_.info("stopping");
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) on_signal();
  });
  stop();
}

template <class F>
void Application::after(asio::steady_timer& timer, std::chrono::seconds time, F then) {
  timer.expires_after(time);
  timer.async_wait([then](const boost::system::error_code& error) {
    if (!error) then();
  });
}

void Application::stop() {
  if (std::exchange(stopping_, true)) return;
  reporter_.stopping();
  after(break_off_, break_off_after, [this] { session_.hand_back(); });
  after(grace_, stop_grace, [this] { leave_hard(); });
  work_.request_stop();
  if (work_.idle()) tasks_.request_stop();
}

void Application::loop_ended(const std::string& name, std::exception_ptr failure) {
  if (failure) {
    std::string reason = "unknown";
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      reason = error.what();
    } catch (...) {
    }
    log_.error("loop.failed", {{"loop", name}, {"error", reason}});
    exit_code_ = exit_failed;
    stop();
  }
  if (!work_.idle()) return;
  tasks_.request_stop();
  if (!tasks_.idle()) return;
  asio::co_spawn(loop_, leave(), [this](std::exception_ptr) {
    signals_.cancel();
    grace_.cancel();
    break_off_.cancel();
  });
}

void Application::leave_hard() {
  log_.error("stop.timed_out", {{"seconds", std::chrono::seconds(stop_grace).count()}});
  after(grace_, hand_back_grace, [] { ::_exit(exit_failed); });
  asio::co_spawn(loop_, leave(), [](std::exception_ptr) { ::_exit(exit_failed); });
}

Task<void> Application::leave() {
  try {
    co_await session_.leave();
  } catch (const StoreError& error) {
    // The lease runs out by itself; others take over then.
    log_.warn("leave.failed", {{"error", error.what()}});
  }
}

}  // namespace

int serve(const Config& config) {
  Log log(parse_log_level(config.log.level).value_or(LogLevel::info),
          parse_log_format(config.log.format).value_or(LogFormat::automatic));
  return serve(config, log, std::stop_token());
}

int serve(const Config& config, Log& log, std::stop_token stop) {
  PortWrapper nothing;
  return serve(config, log, std::move(stop), nothing);
}

int serve(const Config& config, Log& log, std::stop_token stop, PortWrapper& wrapper) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on files is like a full disk: the write says so
  Metrics metrics(BATCHD_VERSION);
  std::unique_ptr<Application> application;
  try {
    application = std::make_unique<Application>(config, log, metrics, wrapper);
  } catch (const std::exception& error) {
    log.error("unusable", {{"error", error.what()}});
    return exit_unusable;
  }
  const std::stop_callback on_stop(stop, [&application] { application->ask_to_stop(); });
  return application->run();
}

}  // namespace batchd
