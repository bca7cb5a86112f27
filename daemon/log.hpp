// Structured lines about what happened: an event's name and its fields. One object, passed to whoever speaks.
// JSON when stderr is not a terminal, aligned text when it is. Never a prompt, an answer or a secret:
// callers pass ids, counts, states and the provider's own error texts, nothing of a request's body.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

namespace batchd {

enum class LogLevel { debug, info, warn, error };
enum class LogFormat { automatic, json, text };

std::string_view to_string(LogLevel level);
/// As the configuration spells them: `debug`, `info`, `warn`, `error`; `auto`, `json`, `text`.
std::optional<LogLevel> parse_log_level(std::string_view text);
std::optional<LogFormat> parse_log_format(std::string_view text);

/// `{"shard", 12}`, `{"file", name}`: a key and a text, whole number, real number or truth value.
struct LogField {
  std::string_view key;
  std::variant<std::string, std::int64_t, double, bool> value;

  LogField(std::string_view k, std::string_view v) : key(k), value(std::string(v)) {}
  LogField(std::string_view k, const char* v) : key(k), value(std::string(v)) {}
  LogField(std::string_view k, bool v) : key(k), value(v) {}
  LogField(std::string_view k, double v) : key(k), value(v) {}
  template <class Integer>
  requires std::is_integral_v<Integer> LogField(std::string_view k, Integer v) : key(k), value(static_cast<std::int64_t>(v)) {}
};

/// Hears a line instead of stderr: what it says in parts, and as it would have been written, without a line break. Any thread
/// may call it, one at a time.
using LogListener =
    std::function<void(LogLevel level, std::string_view event, std::initializer_list<LogField> fields, std::string_view line)>;

class Log {
 public:
  /// Writes to stderr. Warnings and errors are limited to one line a second for each cause (log_limit.hpp says what a cause is);
  /// what was left out is counted in the next line's `suppressed` field. Informative lines (what became of a shard, a batch, a
  /// replica) are never left out, nor are warnings that state a fact without an error's text, but for their own repetition.
  Log(LogLevel least, LogFormat format);
  /// Writes nothing: `listener` gets the lines, as JSON. `now` is the time by which they are limited, the steady clock's if
  /// empty.
  Log(LogLevel least, LogListener listener, std::function<std::chrono::steady_clock::time_point()> now = {});
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void debug(std::string_view event, std::initializer_list<LogField> fields = {}) { write(LogLevel::debug, event, fields); }
  void info(std::string_view event, std::initializer_list<LogField> fields = {}) { write(LogLevel::info, event, fields); }
  void warn(std::string_view event, std::initializer_list<LogField> fields = {}) { write(LogLevel::warn, event, fields); }
  void error(std::string_view event, std::initializer_list<LogField> fields = {}) { write(LogLevel::error, event, fields); }

 private:
  void write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchd
