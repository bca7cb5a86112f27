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
#include "stages/credential_watch.hpp"
#include "stages/replica.hpp"
#include "tokens/vocabularies.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <unistd.h>

#include <algorithm>
#include <csignal>
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
  Vocabularies vocabularies_;
  Reporter reporter_;
  AdminServer admin_;
  Replica replica_;
  std::optional<CredentialWatch> credential_watch_;
  asio::signal_set signals_{loop_, SIGTERM, SIGINT};
  asio::steady_timer grace_{loop_};
  asio::steady_timer break_off_{loop_};
  bool stopping_ = false;
  int exit_code_ = exit_stopped;
  TaskGroup tasks_{loop_.get_executor()};  // the heartbeat and the HTTP server: they last until the others have ended
  TaskGroup work_{loop_.get_executor()};   // everything that the heartbeat stands for
};

std::set<std::string> provider_names(const Config& config) {
  std::set<std::string> names;
  for (const ProviderConfig& provider : config.providers) names.insert(provider.name);
  return names;
}

std::vector<std::string> all_of(const std::set<std::string>& names) {
  return {names.begin(), names.end()};
}

std::map<std::string, Provider*> wrapped(PortWrapper& wrapper, const std::map<std::string, Provider*>& providers) {
  std::map<std::string, Provider*> ports;
  for (const auto& [name, provider] : providers) ports[name] = &wrapper.wrap(*provider);
  return ports;
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
      providers_(config, metrics, log, [this, &wrapper] { return wrapper.may_call(replica_.session().trusted()); }),
      ports_(wrapped(wrapper, providers_.by_name())),
      vocabularies_(find_vocabulary_dir(config.tokens.vocabulary_dir),
                    [&log](const std::string& problem) {
                      log.warn("tokens.estimated", {{"problem", problem}});
                    }),
      reporter_(store_, clock_, log, metrics, offers_of(config), provider_names(config)),
      admin_(loop_.get_executor(), config.http.listen, reporter_, metrics, log),
      replica_(config, {store_, ports_, spool_, clock_, log, metrics, &vocabularies_},
               ReplicaInfo{host_name(), ::getpid(), BATCHD_VERSION, all_of(provider_names(config))}) {}

int Application::run() {
  for (TaskGroup* group : {&tasks_, &work_}) {
    group->on_exit = [this](const std::string& name, std::exception_ptr failure) { loop_ended(name, failure); };
  }
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (!error) on_signal();
  });
  log_.info("started", {{"version", BATCHD_VERSION}, {"pid", ::getpid()}, {"http_port", admin_.port()}});
  if (vocabularies_.dir().empty()) {
    log_.info("tokens.estimated", {{"remedy", "tokens are counted exactly with a vocabulary, see deploy/fetch-vocabulary"}});
  }
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
  replica_.spawn(work_);
  credential_watch_.emplace(replica_.context(), providers_.credentials());
  work_.spawn("credentials", [this] { return credential_watch_->run(); });
  work_.spawn("status", [this] { return reporter_.run(); });
  co_await replica_.session().run();
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
    if (!co_await replica_.enter()) co_return false;
    reporter_.identify(replica_.context().instance, host_name() + "/" + std::to_string(::getpid()));
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
  after(break_off_, break_off_after, [this] { replica_.session().hand_back(); });
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
    co_await replica_.session().leave();
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
