#include "log.hpp"

#include "log_limit.hpp"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <cmath>
#include <ctime>
#include <mutex>
#include <utility>

namespace batchd {
namespace {

// A value longer than this is cut: a provider's error page must not flood the log.
constexpr std::size_t longest_value = 2000;

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

/// The length of the well-formed UTF-8 character at `at`, 0 when there is none.
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return follows(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;  // overlong
    if (lead == 0xED && byte(1) > 0x9F) return 0;  // surrogates
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (lead == 0xF0 && byte(1) < 0x90) return 0;  // overlong
    if (lead == 0xF4 && byte(1) > 0x8F) return 0;  // beyond U+10FFFF
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

/// Quoted as a JSON string; bytes that are no UTF-8 become U+FFFD, so that every line is valid JSON whatever a provider sent.
void append_quoted(std::string& out, std::string_view text) {
  const bool cut = text.size() > longest_value;
  if (cut) text = text.substr(0, longest_value);
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i++];
    } else if (c == '\n') {
      out += "\\n";
      ++i;
    } else if (c < 0x20 || c == 0x7F) {
      constexpr char hex[] = "0123456789abcdef";
      out += "\\u00";
      out += hex[c >> 4];
      out += hex[c & 15];
      ++i;
    } else if (const std::size_t length = utf8_length(text, i); length > 0) {
      out += text.substr(i, length);
      i += length;
    } else {
      out += "\\ufffd";
      ++i;
    }
  }
  if (cut) out += "...";
  out += '"';
}

bool needs_quotes(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7F || c == '"' || c == '\\' || c == '=') return true;
  }
  return text.empty() || text.size() > longest_value;
}

void append_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
  out.append(text, end);
}

void append_value(std::string& out, const LogField& field, bool always_quoted) {
  if (const auto* text = std::get_if<std::string>(&field.value)) {
    if (always_quoted || needs_quotes(*text)) {
      append_quoted(out, *text);
    } else {
      out += *text;
    }
  } else if (const auto* whole = std::get_if<std::int64_t>(&field.value)) {
    out += std::to_string(*whole);
  } else if (const auto* real = std::get_if<double>(&field.value)) {
    append_number(out, *real);
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

std::string json_line(LogLevel level, std::string_view event, std::initializer_list<LogField> fields, std::int64_t suppressed) {
  std::string out = "\"level\":";
  append_quoted(out, to_string(level));
  out += ",\"event\":";
  append_quoted(out, event);
  const auto append = [&out](const LogField& field) {
    out += ',';
    append_quoted(out, field.key);
    out += ':';
    append_value(out, field, true);
  };
  for (const LogField& field : fields) append(field);
  if (suppressed > 0) append({"suppressed", suppressed});
  return out;
}

std::string text_line(std::string_view event, std::initializer_list<LogField> fields, std::int64_t suppressed) {
  constexpr std::size_t event_width = 24;
  std::string out(event);
  const auto append = [&out](const LogField& field) {
    if (out.size() < event_width) out.resize(event_width, ' ');
    out += ' ';
    out += field.key;
    out += '=';
    append_value(out, field, false);
  };
  for (const LogField& field : fields) append(field);
  if (suppressed > 0) append({"suppressed", suppressed});
  return out;
}

/// In quotes, as the JSON lines on stderr have it.
std::string utc_now() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  const std::size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &parts);
  std::string thousandths = std::to_string(milliseconds);
  return '"' + std::string(text, length) + std::string(3 - thousandths.size(), '0') + thousandths + "Z\"";
}

}  // namespace

std::string_view to_string(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "info";
}

std::optional<LogLevel> parse_log_level(std::string_view text) {
  for (const LogLevel level : {LogLevel::debug, LogLevel::info, LogLevel::warn, LogLevel::error}) {
    if (text == to_string(level)) return level;
  }
  return std::nullopt;
}

std::optional<LogFormat> parse_log_format(std::string_view text) {
  if (text == "auto") return LogFormat::automatic;
  if (text == "json") return LogFormat::json;
  if (text == "text") return LogFormat::text;
  return std::nullopt;
}

struct Log::Impl {
  Impl(LogLevel least, bool as_json) : json(as_json), logger("batchd", make_sink(as_json)) {
    logger.set_level(spdlog_level(least));
    logger.flush_on(spdlog::level::trace);
    const auto utc = spdlog::pattern_time_type::utc;
    const char* pattern = json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})" : "%H:%M:%S.%e %^%L%$ %v";
    logger.set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, json ? utc : spdlog::pattern_time_type::local));
  }

  static spdlog::sink_ptr make_sink(bool as_json) {
    if (as_json) return std::make_shared<spdlog::sinks::stderr_sink_mt>();
    return std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>();  // colours on a terminal only
  }

  /// Whether a warning or error may be written now, and how many of its cause were left out before it.
  std::optional<std::int64_t> admit(std::string_view event, std::initializer_list<LogField> fields) {
    const std::string cause = cause_of(event, fields);
    const std::lock_guard lock(mutex);
    return limit.admit(cause, now ? now() : std::chrono::steady_clock::now());
  }

  const bool json;
  spdlog::logger logger;
  LogListener listener;                                        // empty: stderr
  std::function<std::chrono::steady_clock::time_point()> now;  // empty: the steady clock
  std::mutex listening;
  std::mutex mutex;
  LogLimit limit;
};

Log::Log(LogLevel least, LogFormat format)
    : impl_(std::make_unique<Impl>(
          least, format == LogFormat::json || (format == LogFormat::automatic && isatty(STDERR_FILENO) == 0))) {}

Log::Log(LogLevel least, LogListener listener, std::function<std::chrono::steady_clock::time_point()> now)
    : impl_(std::make_unique<Impl>(least, true)) {
  impl_->listener = std::move(listener);
  impl_->now = std::move(now);
}

Log::~Log() = default;

void Log::write(LogLevel level, std::string_view event, std::initializer_list<LogField> fields) {
  if (!impl_->logger.should_log(spdlog_level(level))) return;
  std::int64_t suppressed = 0;
  if (level == LogLevel::warn || level == LogLevel::error) {
    const auto admitted = impl_->admit(event, fields);
    if (!admitted) return;
    suppressed = *admitted;
  }
  if (impl_->listener) {
    std::string line = "{\"time\":" + utc_now() + "," + json_line(level, event, fields, suppressed) + "}";
    const std::lock_guard lock(impl_->listening);
    impl_->listener(level, event, fields, line);
    return;
  }
  const std::string line = impl_->json ? json_line(level, event, fields, suppressed) : text_line(event, fields, suppressed);
  impl_->logger.log(spdlog_level(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace batchd
