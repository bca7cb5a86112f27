// Which lines of a log are one too many: of each cause one a second gets through, and the next one says how many did not.
// Pure but for what it remembers; the time is an argument. A Log owns one and guards it.
#pragma once

#include "log.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

/// What a warning or an error is about. One that carries the text of an error (`error`, `message` or `problem`) has the event,
/// who is concerned (`deployment`, `provider`, `loop`), the closed words (`kind`, `code`, `reason`, `status`) and that text
/// without its varying parts (every word with a digit in it) as its cause: the same failure of a hundred shards is one. One that
/// carries none states a fact about what its fields name, and is only the same as its own repetition.
std::string cause_of(std::string_view event, std::initializer_list<LogField> fields);

class LogLimit {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Nothing when the line is to be left out; else how many lines of its cause were left out since the last that got through.
  std::optional<std::int64_t> admit(const std::string& cause, TimePoint now);
  /// How many causes are remembered; bounded.
  std::size_t size() const { return causes_.size(); }

 private:
  struct Quota {
    TimePoint last;
    std::int64_t suppressed = 0;
  };
  void make_room(TimePoint now);
  std::map<std::string, Quota, std::less<>> causes_;
};

}  // namespace batchd
