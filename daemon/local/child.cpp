#include "local/child.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace batchd {
namespace {

enum Step : int { step_user, step_directory, step_program };

/// What a child that could not start its program tells through the pipe.
struct Failure {
  int step = 0;
  int reason = 0;
};

[[noreturn]] void give_up(int pipe, Step step) {
  const Failure failure{step, errno};
  [[maybe_unused]] const ssize_t wrote = write(pipe, &failure, sizeof failure);
  _exit(127);
}

void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) signal(number, SIG_DFL);
}

/// Between fork and exec: only what is safe after a fork of a process that may have threads.
[[noreturn]] void become(const ChildOptions& options, char* const* command, char* const* environment, int output, int pipe,
                         pid_t parent) {
  setsid();
  reset_signals();
  if (options.user) {
    const UnixUser& user = *options.user;
    if (setgroups(0, nullptr) != 0 || setgid(user.gid) != 0 || setuid(user.uid) != 0) give_up(pipe, step_user);
  }
  // After the change of user, which forgets it. If the parent went before this line, nobody would tell.
  prctl(PR_SET_PDEATHSIG, options.signal_when_orphaned);
  if (getppid() != parent) _exit(127);
  umask(077);
  if (chdir(options.directory.c_str()) != 0) give_up(pipe, step_directory);
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execve(command[0], command, environment);
  give_up(pipe, step_program);
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

[[noreturn]] void report(const ChildOptions& options, const Failure& failure) {
  const std::string who = options.user ? "the user '" + options.user->name + "'" : "this user";
  const std::string reason = std::strerror(failure.reason);
  if (failure.step == step_user) throw SpawnError("cannot become " + who + ": " + reason, false);
  if (failure.step == step_directory) throw SpawnError(who + " cannot enter " + options.directory + ": " + reason, true);
  throw SpawnError(who + " cannot start " + options.command.front() + ": " + reason, false);
}

ChildEnd to_end(int status) {
  return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status)};
}

}  // namespace

pid_t spawn(const ChildOptions& options) {
  std::vector<std::string> arguments = options.command;
  std::vector<std::string> variables = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"};
  const std::vector<char*> command = pointers(arguments);
  const std::vector<char*> environment = pointers(variables);
  Descriptor output(open(options.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (output.get() < 0) throw SpawnError(options.output + " cannot be written: " + std::strerror(errno), false);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw SpawnError(std::string("no pipe: ") + std::strerror(errno), false);
  Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  Descriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));

  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) throw SpawnError(std::string("cannot start another process: ") + std::strerror(errno), false);
  if (child == 0) {
    dup2(nothing.get(), STDIN_FILENO);
    become(options, command.data(), environment.data(), output.get(), write_end.get(), parent);
  }
  write_end.reset();
  Failure failure;
  ssize_t got = 0;
  do {
    got = read(read_end.get(), &failure, sizeof failure);  // ends with the pipe, which exec closes
  } while (got < 0 && errno == EINTR);
  if (got == sizeof failure) {
    wait_for(child);
    report(options, failure);
  }
  return child;
}

std::string ChildEnd::sentence() const {
  return code > 128 ? "signal " + std::to_string(code - 128) : "exit code " + std::to_string(code);
}

std::optional<ChildEnd> has_ended(pid_t child) {
  int status = 0;
  const pid_t found = waitpid(child, &status, WNOHANG);
  if (found == 0) return std::nullopt;
  return found == child ? to_end(status) : ChildEnd{255};
}

ChildEnd wait_for(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return ChildEnd{255};
  }
  return to_end(status);
}

}  // namespace batchd
