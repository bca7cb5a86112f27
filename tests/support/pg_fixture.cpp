#include "support/pg_fixture.hpp"

#include "db/migrator.hpp"

#include <fcntl.h>
#include <grp.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace batchd::testing {
namespace fs = std::filesystem;
namespace {

using Result = std::unique_ptr<PGresult, decltype(&PQclear)>;

/// The newest server installed, or the one that BATCHD_PG_BIN names.
std::string find_binaries() {
  if (const char* named = std::getenv("BATCHD_PG_BIN")) return named;
  std::string best;
  int best_version = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const int version = std::atoi(entry.path().filename().c_str());
    if (version > best_version && fs::exists(entry.path() / "bin/initdb")) {
      best_version = version;
      best = entry.path() / "bin";
    }
  }
  if (best.empty()) throw std::runtime_error("these tests need a PostgreSQL server (the package postgresql), and there is none");
  return best;
}

/// The user a server runs as when we are root, which initdb refuses.
const passwd* server_user() {
  if (geteuid() != 0) return nullptr;
  const passwd* user = getpwnam("postgres");
  return user != nullptr ? user : getpwnam("nobody");
}

/// Starts a program with its talk in a log; it dies when this process does.
int launch(const std::vector<std::string>& command, const std::string& log) {
  const passwd* user = server_user();
  const int child = fork();
  if (child != 0) return child;
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(out, 1);
  dup2(out, 2);
  if (user != nullptr && (setgroups(0, nullptr) != 0 || setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(arguments[0], arguments.data());
  _exit(127);
}

/// A companion that removes the directory when this process is gone, even by a crash: the pipe it reads ends then.
void remove_when_gone(const std::string& directory) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return;
  if (fork() == 0) {
    setsid();
    dup2(ends[0], 0);
    execl("/bin/sh", "sh", "-c", "read -r _; until rm -rf \"$1\" 2>/dev/null; do sleep 0.1; done", "sh", directory.c_str(),
          static_cast<char*>(nullptr));
    _exit(127);
  }
  close(ends[0]);  // the other end stays open as long as we live
}

std::string contents_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

}  // namespace

// Sql ---------------------------------------------------------------------------------------------------------------
struct Sql::Impl {
  PGconn* connection = nullptr;
  ~Impl() { PQfinish(connection); }
};

Sql::Sql(const std::string& url) : impl_(std::make_unique<Impl>()) {
  impl_->connection = PQconnectdb(url.c_str());
  if (PQstatus(impl_->connection) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(impl_->connection));
  PQsetNoticeProcessor(
      impl_->connection, [](void*, const char*) {}, nullptr);
}
Sql::~Sql() = default;
Sql::Sql(Sql&&) noexcept = default;

std::vector<std::vector<std::string>> Sql::run(const std::string& sql) {
  const Result result(PQexec(impl_->connection, sql.c_str()), &PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK && status != PGRES_EMPTY_QUERY) {
    const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
    throw std::runtime_error(std::string(state == nullptr ? "" : state) + " " + PQerrorMessage(impl_->connection));
  }
  std::vector<std::vector<std::string>> rows(static_cast<std::size_t>(PQntuples(result.get())));
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (int c = 0; c < PQnfields(result.get()); ++c) {
      const int row = static_cast<int>(r);
      rows[r].emplace_back(PQgetvalue(result.get(), row, c), static_cast<std::size_t>(PQgetlength(result.get(), row, c)));
    }
  }
  return rows;
}

std::string Sql::value(const std::string& sql) {
  const auto rows = run(sql);
  if (rows.size() != 1) throw std::runtime_error("one row expected, " + std::to_string(rows.size()) + " came: " + sql);
  return rows[0].at(0);
}

std::string Sql::error_of(const std::string& sql) {
  try {
    run(sql);
    return "";
  } catch (const std::runtime_error& error) {
    return error.what();
  }
}

std::int64_t Sql::copy(const std::string& sql, const std::string& rows) {
  const Result begun(PQexec(impl_->connection, sql.c_str()), &PQclear);
  if (PQresultStatus(begun.get()) != PGRES_COPY_IN) throw std::runtime_error(PQerrorMessage(impl_->connection));
  PQputCopyData(impl_->connection, rows.data(), static_cast<int>(rows.size()));
  PQputCopyEnd(impl_->connection, nullptr);
  const Result ended(PQgetResult(impl_->connection), &PQclear);
  while (PGresult* more = PQgetResult(impl_->connection)) PQclear(more);
  if (PQresultStatus(ended.get()) != PGRES_COMMAND_OK) throw std::runtime_error(PQerrorMessage(impl_->connection));
  return std::atoll(PQcmdTuples(ended.get()));
}

std::vector<std::string> Sql::notifications() {
  run("");  // a round trip, so that what was sent before has arrived
  PQconsumeInput(impl_->connection);
  std::vector<std::string> heard;
  while (PGnotify* note = PQnotifies(impl_->connection)) {
    heard.push_back(std::string(note->relname) + " " + note->extra);
    PQfreemem(note);
  }
  return heard;
}

// The cluster -------------------------------------------------------------------------------------------------------
PgCluster& PgCluster::instance() {
  static PgCluster cluster;
  return cluster;
}

PgCluster::PgCluster() : binaries_(find_binaries()) {
  std::array<char, 16> name{"/tmp/bd-XXXXXX"};  // short: a socket's path has 107 bytes
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a directory under /tmp");
  directory_ = name.data();
  remove_when_gone(directory_);
  if (const passwd* user = server_user()) {
    if (chown(directory_.c_str(), user->pw_uid, user->pw_gid) != 0) throw std::runtime_error("cannot hand over " + directory_);
  }
  const int child = launch({binaries_ + "/initdb", "-D", directory_ + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8",
                            "--no-locale", "--no-sync"},
                           directory_ + "/log");
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed: " + contents_of(directory_ + "/log"));
  start();
  if (const char* wanted = std::getenv("BATCHD_TEST_PGBOUNCER"); wanted != nullptr && std::string(wanted) == "1")
    start_pgbouncer();
}

PgCluster::~PgCluster() {
  if (pgbouncer_ > 0) {
    kill(pgbouncer_, SIGKILL);
    waitpid(pgbouncer_, nullptr, 0);
  }
  stop(SIGQUIT);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void PgCluster::start() {
  postmaster_ =
      launch({binaries_ + "/postgres", "-D", directory_ + "/data", "-k", directory_, "-c", "listen_addresses=", "-c", "fsync=off",
              "-c", "max_connections=100", "-c", "max_wal_size=4GB", "-c", "max_prepared_transactions=5", "-c", "jit=off"},
             directory_ + "/log");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (PQping(url("postgres").c_str()) != PQPING_OK) {
    if (std::chrono::steady_clock::now() > deadline || waitpid(postmaster_, nullptr, WNOHANG) != 0) {
      throw std::runtime_error("PostgreSQL does not start: " + contents_of(directory_ + "/log"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// With few server connections, so that every transaction may meet another session.
void PgCluster::start_pgbouncer() {
  const std::string program = "/usr/sbin/pgbouncer";
  if (!fs::exists(program))
    throw std::runtime_error("these tests were asked to use a PgBouncer (the package pgbouncer), and there is none");
  const std::string settings = directory_ + "/pgbouncer.ini";
  std::ofstream(settings) << "[databases]\n* = host=" << directory_
                          << " user=postgres\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n"
                          << "unix_socket_dir = " << directory_
                          << "\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 5\n"
                          << "server_idle_timeout = 2\nserver_login_retry = 1\n";
  fs::permissions(settings, fs::perms::others_read, fs::perm_options::add);
  pgbouncer_ = launch({program, "-q", settings}, directory_ + "/pgbouncer.log");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!fs::exists(directory_ + "/.s.PGSQL.6432")) {
    if (std::chrono::steady_clock::now() > deadline || waitpid(pgbouncer_, nullptr, WNOHANG) != 0) {
      throw std::runtime_error("PgBouncer does not start: " + contents_of(directory_ + "/pgbouncer.log"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void PgCluster::stop(int signal) {
  if (postmaster_ <= 0) return;
  kill(postmaster_, signal);
  waitpid(postmaster_, nullptr, 0);
  postmaster_ = 0;
}

void PgCluster::restart() {
  stop(SIGQUIT);
  start();
}

std::string PgCluster::fresh_database(bool migrated) {
  Sql admin(url("postgres"));
  if (migrated && !has_template_) {
    admin.run("CREATE DATABASE batchd_template");
    Database database({.url = url("batchd_template"), .listen_url = ""});
    const auto report = Migrator(database).migrate();
    if (!report.schema.ok()) throw std::runtime_error(report.schema.sentence);
    has_template_ = true;
  }
  const std::string name = "test_" + std::to_string(++databases_);
  admin.run("CREATE DATABASE " + name + (migrated ? " TEMPLATE batchd_template" : ""));
  // A copy is an installation of its own.
  if (migrated) {
    Sql(url(name)).run(
        "UPDATE batchd.instance SET database_oid = NULL, id = substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)");
  }
  return name;
}

std::string PgCluster::pooled_url(const std::string& database) const {
  return url(database) + (pgbouncer_ > 0 ? " port=6432" : "");
}

std::string PgCluster::url(const std::string& database, const std::string& user) const {
  return "host=" + directory_ + " dbname=" + database + " user=" + user;
}

}  // namespace batchd::testing
