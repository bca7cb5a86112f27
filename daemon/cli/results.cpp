#include "cli/context.hpp"
#include "cli/result_line.hpp"
#include "db/reading.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace batchd {
namespace {

constexpr std::size_t write_size = 256 * 1024;

/// Where lines go: stdout, or a file that gets its name only when it is complete.
class Output {
 public:
  explicit Output(const std::string& name) : name_(name) {
    if (name_.empty()) return;
    unfinished_ = name_ + "." + std::to_string(getpid()) + ".unfinished";
    fd_ = open(unfinished_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd_ < 0) throw CommandError(exit_failure, unfinished_ + " cannot be written: " + std::strerror(errno));
  }
  ~Output() {
    if (fd_ >= 0 && !name_.empty()) close(fd_);
    if (!unfinished_.empty()) unlink(unfinished_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  std::string& text() { return text_; }
  void flush_if_large() {
    if (text_.size() >= write_size) flush();
  }
  /// Everything is written: the file may take its name.
  void finish() {
    flush();
    if (name_.empty()) return;
    if (fsync(fd_) != 0 || std::rename(unfinished_.c_str(), name_.c_str()) != 0) fail();
    unfinished_.clear();
  }

 private:
  void flush() {
    for (std::size_t done = 0; done < text_.size();) {
      const ssize_t wrote = write(fd_, text_.data() + done, text_.size() - done);
      if (wrote < 0 && errno != EINTR) fail();
      if (wrote > 0) done += static_cast<std::size_t>(wrote);
    }
    text_.clear();
  }
  [[noreturn]] void fail() const {
    throw CommandError(exit_failure, (name_.empty() ? "stdout" : name_) + " cannot be written: " + std::strerror(errno));
  }

  std::string name_;
  std::string unfinished_;
  int fd_ = STDOUT_FILENO;
  std::string text_;
};

}  // namespace

int run_results(const CommonOptions& common, const ResultsOptions& options) {
  Database database(database_settings(common));
  Reading reading(database);
  const auto before = reading.job(options.job);
  if (!before) throw CommandError(exit_failure, "no request was ever enqueued under the job '" + options.job + "'");

  Output out(options.output);
  std::int64_t count = 0;
  reading.results(options.job, [&](const ResultRow& row) {
    append_result_line(out.text(), row);
    out.flush_if_large();
    ++count;
    return true;
  });
  out.finish();

  const std::int64_t open = before->queued + before->in_flight;
  say(grouped(count) + " results" + (open > 0 ? ", " + grouped(open) + " requests are not settled yet" : ""));
  // Retention may have taken some; a silently shorter file would look complete.
  if (count < before->settled()) say(grouped(before->settled() - count) + " results are no longer kept");
  return exit_ok;
}

}  // namespace batchd
