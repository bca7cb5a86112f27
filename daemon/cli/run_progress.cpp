#include "cli/run_progress.hpp"

#include "cli/context.hpp"
#include "core/json_scan.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace batchd {
namespace {

constexpr std::chrono::seconds heard_lately{120};  // two rounds of polling
constexpr std::chrono::seconds between_lines{60};  // where lines stay
constexpr std::chrono::seconds between_troubles{2};
constexpr std::size_t bar_width = 24;
constexpr std::size_t longest_trouble = 200;

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// At most so many characters, not cutting one in the middle.
std::string cut(const std::string& text, std::size_t most) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) continue;
    if (characters++ == most) return text.substr(0, i);
  }
  return text;
}

std::string text_of(const LogField& field) {
  if (const auto* text = std::get_if<std::string>(&field.value)) return *text;
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) return std::to_string(*number);
  return "";
}

/// The message of an error that is stored as JSON.
std::string message_of(const std::string& error) {
  const auto message = find_member(error, "message");
  return message ? decode_json_string(*message) : "";
}

}  // namespace

void RunTrouble::hear(LogLevel level, std::string_view, std::initializer_list<LogField> fields) {
  if (level != LogLevel::warn && level != LogLevel::error) return;
  std::string message, status, code;
  for (const LogField& field : fields) {
    if (field.key == "message" || field.key == "error") message = text_of(field);
    if (field.key == "status") status = text_of(field);
    if (field.key == "code") code = text_of(field);
  }
  std::string text = status == "0" ? "" : status;
  if (!code.empty()) text += (text.empty() ? "" : " ") + code;
  if (text.empty() && message.empty()) return;  // nothing that a person could act upon
  if (!message.empty()) text += (text.empty() ? "" : ": ") + message;
  const std::lock_guard guard(lock_);
  text_ = std::move(text);
  heard_ = std::chrono::steady_clock::now();
}

std::string RunTrouble::latest() const {
  const std::lock_guard guard(lock_);
  return std::chrono::steady_clock::now() - heard_ < heard_lately ? text_ : "";
}

std::string reason_of_trouble(const RunProgress& progress, const std::string& heard) {
  const std::string said = heard.empty() ? message_of(progress.trouble) : heard;
  std::string out;
  if (!progress.paused.empty()) {
    out = "paused: " + progress.paused + (said.empty() ? "" : ": " + said);
  } else if (!said.empty()) {
    out = "trying again: " + said;
  }
  if (out.find("token_limit_exceeded") != std::string::npos) out.insert(0, "the quota is smaller than --enqueued-token-limit; ");
  for (char& c : out) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';  // a provider's text must not steer the terminal
  }
  return cut(out, longest_trouble);
}

std::string progress_sentence(const RunProgress& p) {
  std::string out = grouped(p.settled) + " of " + grouped(p.lines) + " done";
  if (p.failed > 0) out += ", " + grouped(p.failed) + " failed";
  if (p.at_provider > 0) out += ", " + grouped(p.at_provider) + " at the provider";
  const std::int64_t waiting = p.queued + p.in_flight - p.at_provider;
  if (waiting > 0) out += ", " + grouped(waiting) + " waiting";
  if (p.input_tokens + p.output_tokens > 0) {
    out += ", " + grouped(p.input_tokens) + " tokens in, " + grouped(p.output_tokens) + " out";
  }
  return out;
}

std::string progress_bar(std::int64_t done, std::int64_t all, std::size_t width) {
  const auto filled = all > 0 ? static_cast<std::size_t>(done * static_cast<std::int64_t>(width) / all) : 0;
  return "[" + std::string(std::min(filled, width), '#') + std::string(width - std::min(filled, width), ' ') + "]";
}

std::string rough_duration(std::chrono::seconds time) {
  const auto seconds = time.count();
  if (seconds < 90) return "about " + std::to_string(std::max<std::int64_t>(1, seconds)) + " s";
  if (seconds < 90 * 60) return "about " + std::to_string((seconds + 30) / 60) + " min";
  if (seconds < 48 * 3600) return "about " + std::to_string((seconds + 1800) / 3600) + " h";
  return "about " + std::to_string((seconds + 43'200) / 86'400) + " days";
}

/// From the pace of this process; what an earlier one did took another time.
std::string ProgressLine::time_left(const RunProgress& p) {
  if (settled_at_start_ < 0) settled_at_start_ = p.settled;
  const std::int64_t done = p.settled - settled_at_start_;
  if (done <= 0 || p.settled >= p.lines) return "";
  const std::chrono::duration<double> took = Clock::now() - started_;
  const double left = took.count() * static_cast<double>(p.lines - p.settled) / static_cast<double>(done);
  return ", " + rough_duration(std::chrono::seconds(static_cast<std::int64_t>(left))) + " left";
}

void ProgressLine::show(const RunProgress& progress, const std::string& trouble) {
  std::string sentence = progress_sentence(progress) + time_left(progress);
  if (!trouble.empty()) sentence += " - " + trouble;
  if (terminal_) {
    const std::string line = progress_bar(progress.settled, progress.lines, bar_width) + " " + sentence;
    std::fprintf(stderr, "\r\033[K%s", cut(line, terminal_columns() - 1).c_str());
    std::fflush(stderr);
    shown_ = true;
    return;
  }
  const auto now = Clock::now();
  // A trouble that comes and goes with every try is told once.
  const bool news = last_.empty() || (trouble != last_trouble_ && !trouble.empty() && now - printed_ >= between_troubles);
  if (sentence == last_ || (!news && now - printed_ < between_lines)) return;
  say(sentence);
  last_ = sentence;
  last_trouble_ = trouble;
  printed_ = now;
}

void ProgressLine::clear() {
  if (!shown_) return;
  std::fprintf(stderr, "\r\033[K");
  shown_ = false;
}

}  // namespace batchd
