// Shows how a run goes: one line that changes on a terminal, a line now and then elsewhere. Says why nothing moves when nothing
// does.
#pragma once

#include "db/run_book.hpp"
#include "log.hpp"

#include <chrono>
#include <mutex>
#include <string>

namespace batchd {

/// What the daemon's log said last that the user should know. Fed by the daemon's thread, read by the main one.
class RunTrouble {
 public:
  void hear(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  /// "" when nothing went wrong for a while.
  std::string latest() const;

 private:
  mutable std::mutex lock_;
  std::string text_;
  std::chrono::steady_clock::time_point heard_{};
};

class ProgressLine {
 public:
  using Clock = std::chrono::steady_clock;

  explicit ProgressLine(bool terminal) : terminal_(terminal) {}
  /// `trouble`: why it may not go on; "" when nothing is wrong.
  void show(const RunProgress& progress, const std::string& trouble);
  /// Takes the line away, before something else is said.
  void clear();

 private:
  std::string time_left(const RunProgress& progress);

  bool terminal_;
  bool shown_ = false;
  std::string last_;
  std::string last_trouble_;
  Clock::time_point printed_{};
  Clock::time_point started_ = Clock::now();
  std::int64_t settled_at_start_ = -1;
};

/// `640 of 1,319 done, 3 failed, 600 at the provider, 79 waiting, 12,345 tokens in, 6,789 out`.
std::string progress_sentence(const RunProgress& progress);
/// `[####    ]`.
std::string progress_bar(std::int64_t done, std::int64_t all, std::size_t width);
/// `about 12 min`.
std::string rough_duration(std::chrono::seconds time);
/// Why a job does not go on, from what the database and the log say.
std::string reason_of_trouble(const RunProgress& progress, const std::string& heard);

}  // namespace batchd
