#include "local/private_postgres.hpp"

#include "local/postgres_processes.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

namespace batchd {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t longest_socket_path = 107;  // sockaddr_un has 108 bytes, one for the NUL
constexpr std::string_view socket_file = "/.s.PGSQL.5432";
constexpr milliseconds look_again{20};
constexpr milliseconds patience{20'000};          // for a server that closes down in order
constexpr milliseconds slow_start{5'000};         // then the user is told why it takes long
constexpr milliseconds longest_start{1'800'000};  // recovery after a power cut reads a bounded amount of log, but disks differ
constexpr std::uintmax_t largest_log = 8 << 20;

std::string read_file(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string line_of(const std::string& text, int number) {
  std::size_t at = 0;
  for (int i = 1; i < number; ++i) {
    at = text.find('\n', at);
    if (at == std::string::npos) return "";
    ++at;
  }
  return text.substr(at, text.find('\n', at) - at);
}

int to_int(const std::string& text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

UnixUser to_user(const passwd& entry) {
  return {entry.pw_uid, entry.pw_gid, entry.pw_name};
}

[[noreturn]] void fail(const std::string& what) {
  throw PrivatePostgresError(what + ": " + std::strerror(errno));
}

/// A directory that only its owner may enter.
void make_closed_directory(const std::string& name, const std::optional<UnixUser>& owner) {
  if (mkdir(name.c_str(), 0700) != 0 && errno != EEXIST) fail(name + " cannot be made");
  struct stat info {};
  if (lstat(name.c_str(), &info) != 0) fail(name + " cannot be used");
  const uid_t wanted = owner ? owner->uid : geteuid();
  if (!S_ISDIR(info.st_mode)) throw PrivatePostgresError(name + " is in the way: it is no directory");
  if (info.st_uid != wanted && (!owner || chown(name.c_str(), owner->uid, owner->gid) != 0)) {
    throw PrivatePostgresError(name + " belongs to another user");
  }
  if ((info.st_mode & 0777) != 0700 && chmod(name.c_str(), 0700) != 0) fail(name + " cannot be closed to other users");
}

/// So that a power cut does not take a directory's new name away.
void sync_directory(const std::string& name) {
  const int fd = open(name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

}  // namespace

PrivatePostgres::PrivatePostgres(PrivatePostgresSettings settings) : settings_(std::move(settings)) {
  data_ = settings_.directory + "/data";
  log_ = settings_.directory + "/server.log";
  cluster_ = "batchd-" + std::to_string(std::hash<std::string>{}(settings_.directory));
}

PrivatePostgres::~PrivatePostgres() {
  stop();
}

std::optional<UnixUser> PrivatePostgres::runs_as() const {
  if (geteuid() != 0) return std::nullopt;
  // PostgreSQL refuses to run as root. Data that is there already has an owner; else the packaged user, or nobody.
  struct stat info {};
  if (stat(data_.c_str(), &info) == 0 && info.st_uid != 0) {
    if (const passwd* owner = getpwuid(info.st_uid)) return to_user(*owner);
    return UnixUser{info.st_uid, info.st_gid, std::to_string(info.st_uid)};
  }
  for (const char* name : {"postgres", "nobody"}) {
    if (const passwd* entry = getpwnam(name); entry != nullptr && entry->pw_uid != 0) return to_user(*entry);
  }
  throw PrivatePostgresError("PostgreSQL does not run as root, and there is neither a user 'postgres' nor 'nobody' to run it as");
}

PostgresPrograms PrivatePostgres::choose_programs() const {
  const std::vector<PostgresPrograms> installed = find_postgres(settings_.programs, settings_.path);
  const int made_by = to_int(read_file(data_ + "/PG_VERSION"));
  const auto fits = std::find_if(installed.begin(), installed.end(), [made_by](const PostgresPrograms& p) {
    return made_by > 0 ? p.major == made_by : p.major >= oldest_postgres;
  });
  if (fits != installed.end()) return *fits;
  if (installed.empty()) {
    throw PrivatePostgresError(
        (settings_.programs.empty() ? "PostgreSQL's server is not installed"
                                    : "there is no PostgreSQL server in " + settings_.programs) +
        "; batchd run keeps its queue and the answers in one of its own. Install it (apt-get install postgresql); it need not be "
        "running");
  }
  const std::string newest = std::to_string(installed.front().major);
  if (made_by == 0) {
    throw PrivatePostgresError("PostgreSQL " + newest + " is installed, and batchd needs " + std::to_string(oldest_postgres) +
                               " or newer");
  }
  const std::string wanted = std::to_string(made_by);
  throw PrivatePostgresError("the state in " + settings_.directory + " was made by PostgreSQL " + wanted + ", and installed is " +
                             newest + ": install PostgreSQL " + wanted + " beside it (apt-get install postgresql-" + wanted +
                             "), or use another --state-dir, where nothing is known of earlier runs");
}

void PrivatePostgres::make_directory() {
  user_ = runs_as();
  make_closed_directory(settings_.directory, user_);
  std::error_code ignored;
  if (fs::file_size(log_, ignored) > largest_log && !ignored) fs::remove(log_, ignored);
  remove_unfinished();
}

/// What an initdb that was killed has left. Its helpers may still write for a moment, so this is done at both ends of a life.
void PrivatePostgres::remove_unfinished() const {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(settings_.directory, ignored)) {
    if (entry.path().filename().string().starts_with("unfinished-")) fs::remove_all(entry.path(), ignored);
  }
}

void PrivatePostgres::choose_socket() {
  socket_ = settings_.directory;
  if (socket_.size() + socket_file.size() <= longest_socket_path) return;
  // Too long a path for a socket: a short folder instead, always the same one, so that a kill leaves one behind at most.
  socket_ = "/tmp/" + cluster_;
  make_closed_directory(socket_, user_);
}

/// Whatever ran here before is over when this returns: the caller's lock says that no living batchd uses it.
void PrivatePostgres::clean_up() {
  if (!find_postgres_processes(data_, cluster_).empty()) {
    if (!end_postgres_processes(data_, cluster_, patience)) {
      throw PrivatePostgresError("an earlier PostgreSQL on " + data_ + " does not end");
    }
  }
  const std::string pid_file = data_ + "/postmaster.pid";
  const pid_t pid = to_int(line_of(read_file(pid_file), 1));
  // PostgreSQL itself removes a stale file, unless its number has gone to some other process since (after a reboot, or in a
  // container, where numbers are small): then it would take that one for a server and refuse.
  if (pid > 0 && (kill(pid, 0) == 0 || errno == EPERM)) unlink(pid_file.c_str());
  for (const char* suffix : {"", ".lock"}) unlink((socket_ + std::string(socket_file) + suffix).c_str());
}

void PrivatePostgres::make_data(const PostgresPrograms& programs) {
  if (access((data_ + "/PG_VERSION").c_str(), F_OK) == 0) return;
  // Under another name until it is complete: a data directory that has its name is whole.
  const std::string unfinished = settings_.directory + "/unfinished-" + std::to_string(getpid());
  ChildOptions options;
  // No password: nobody but its user, root and we can enter the directory that the socket lies in.
  options.command = {programs.directory + "/initdb",
                     "-D",
                     unfinished,
                     "-U",
                     "batchd",
                     "--auth-local=trust",
                     "--auth-host=reject",
                     "--encoding=UTF8",
                     "--locale=C"};
  options.user = user_;
  options.directory = settings_.directory;
  options.output = log_;
  const ChildEnd ended = wait_for(spawn(options));
  if (ended.code != 0) throw PrivatePostgresError("initdb failed with " + ended.sentence() + last_words());
  std::error_code failed;
  fs::remove_all(data_, failed);  // it has no PG_VERSION: nothing was ever kept in it
  fs::rename(unfinished, data_, failed);
  if (failed) throw PrivatePostgresError(data_ + " cannot be made: " + failed.message());
  sync_directory(settings_.directory);
}

void PrivatePostgres::launch(const PostgresPrograms& programs) {
  ChildOptions options;
  options.command = {programs.directory + "/postgres", "-D", data_};
  // fsync and synchronous_commit stay on: what was submitted must be known after a power cut, or it is paid for twice.
  const std::vector<std::string> server_settings = {"listen_addresses=",
                                                    "unix_socket_directories=\"" + socket_ + "\"",
                                                    "unix_socket_permissions=0700",
                                                    "port=5432",
                                                    "cluster_name=" + cluster_,
                                                    "fsync=on",
                                                    "full_page_writes=on",
                                                    "synchronous_commit=on",
                                                    "wal_level=minimal",
                                                    "max_wal_senders=0",
                                                    "max_connections=30",
                                                    "shared_buffers=64MB",
                                                    "max_wal_size=1GB",
                                                    "work_mem=16MB",
                                                    "maintenance_work_mem=64MB",
                                                    "max_parallel_workers_per_gather=0",
                                                    "jit=off",
                                                    "logging_collector=off",
                                                    "log_destination=stderr",
                                                    "log_min_messages=warning",
                                                    "ssl=off"};
  for (const std::string& setting : server_settings) {
    options.command.emplace_back("-c");
    options.command.push_back(setting);
  }
  options.user = user_;
  options.directory = settings_.directory;
  options.output = log_;
  options.signal_when_orphaned = SIGINT;  // PostgreSQL's fast shutdown
  server_ = spawn(options);
}

/// The last line of the server's own file: "starting", "ready", "stopping".
std::string PrivatePostgres::status_line() const {
  constexpr int status = 8;
  const std::string text = read_file(data_ + "/postmaster.pid");
  if (to_int(line_of(text, 1)) != server_) return "";
  std::string line = line_of(text, status);
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

bool PrivatePostgres::wait_until_ready() {
  const auto started = Clock::now();
  bool told = false;
  while (Clock::now() - started < longest_start) {
    if (status_line() == "ready") return true;
    if (has_ended(server_)) {
      server_ = 0;
      return false;
    }
    if (!told && Clock::now() - started > slow_start && settings_.say) {
      settings_.say("PostgreSQL is starting; after a crash it first reads its log again");
      told = true;
    }
    std::this_thread::sleep_for(look_again);
  }
  return false;
}

void PrivatePostgres::start() {
  try {
    make_directory();
    choose_socket();
    const PostgresPrograms programs = choose_programs();
    clean_up();
    make_data(programs);
    launch(programs);
    if (wait_until_ready()) return;
  } catch (const SpawnError& error) {
    throw PrivatePostgresError(
        std::string(error.what()) +
        (error.entering ? "; PostgreSQL runs as that user: choose a --state-dir below directories that it may enter" : ""));
  }
  const std::string words = last_words();
  stop();
  throw PrivatePostgresError("PostgreSQL did not start" + words);
}

bool PrivatePostgres::running() {
  if (server_ != 0 && has_ended(server_)) server_ = 0;
  return server_ != 0;
}

void PrivatePostgres::stop() {
  if (server_ == 0) return;
  kill(server_, SIGINT);
  const auto asked = Clock::now();
  while (!has_ended(server_)) {
    if (Clock::now() - asked > patience) kill(server_, SIGQUIT);
    std::this_thread::sleep_for(look_again);
  }
  server_ = 0;
  remove_unfinished();
  if (socket_ != settings_.directory) rmdir(socket_.c_str());
}

std::string PrivatePostgres::url() const {
  std::string host;
  for (const char c : socket_) host += c == '\'' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return "host='" + host + "' port=5432 user=batchd dbname=postgres";
}

/// The end of the server's log, for a message.
std::string PrivatePostgres::last_words() const {
  std::string text = read_file(log_);
  while (text.ends_with('\n')) text.pop_back();
  std::size_t at = text.size();
  for (int lines = 0; lines < 4 && at != std::string::npos && at > 0; ++lines) at = text.rfind('\n', at - 1);
  text = at == std::string::npos || at == 0 ? text : text.substr(at + 1);
  return text.empty() ? "; its log is " + log_ : "; its log, " + log_ + ", ends with\n" + text;
}

}  // namespace batchd
