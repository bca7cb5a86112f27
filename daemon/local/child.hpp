// Starts another program so that it does not outlive this process: the kernel signals it when the thread that started it dies,
// however that happens. It gets a session of its own (a Ctrl-C at the terminal is for us, not for it), a small environment and
// no file of ours.
#pragma once

#include <sys/types.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace batchd {

/// Whom a program runs as.
struct UnixUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name;
};

/// The program could not be started; `entering` when its user may not enter the directory it was to start in.
class SpawnError : public std::runtime_error {
 public:
  SpawnError(const std::string& sentence, bool cannot_enter) : std::runtime_error(sentence), entering(cannot_enter) {}
  bool entering;
};

struct ChildOptions {
  std::vector<std::string> command;  ///< the program's path, then its arguments
  std::optional<UnixUser> user;      ///< nothing: as we are; only root may name another
  std::string directory;             ///< where it starts
  std::string output;                ///< the file its stdout and stderr are appended to
  int signal_when_orphaned = 9;
};

/// Starts it from the calling thread, which must be one that lives as long as the program may run: the main thread.
/// Throws SpawnError.
pid_t spawn(const ChildOptions& options);

/// How a child ended: its exit code, or 128 + the signal that ended it.
struct ChildEnd {
  int code = 0;
  std::string sentence() const;  ///< "exit code 1", "signal 9"
};

/// Nothing while it runs.
std::optional<ChildEnd> has_ended(pid_t child);
ChildEnd wait_for(pid_t child);

}  // namespace batchd
