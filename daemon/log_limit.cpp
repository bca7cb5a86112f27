#include "log_limit.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace batchd {
namespace {

constexpr std::chrono::seconds quiet_time{1};
constexpr std::size_t most_causes = 1'000;
/// Two errors that differ only further on are taken for one.
constexpr std::size_t compared = 300;

bool in_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         std::string_view("_-./:").find(c) != std::string_view::npos;
}

/// Words with a digit in them become '#': ids, ports, times, counts.
void append_class(std::string& out, std::string_view text) {
  text = text.substr(0, compared);
  for (std::size_t at = 0; at < text.size();) {
    if (!in_word(text[at])) {
      out += text[at++];
      continue;
    }
    std::size_t end = at;
    bool varies = false;
    for (; end < text.size() && in_word(text[end]); ++end) varies = varies || (text[end] >= '0' && text[end] <= '9');
    out += varies ? "#" : text.substr(at, end - at);
    at = end;
  }
}

template <std::size_t N>
bool one_of(std::string_view key, const std::array<std::string_view, N>& keys) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

constexpr std::array<std::string_view, 3> texts{"error", "message", "problem"};
constexpr std::array<std::string_view, 7> words{"deployment", "provider", "loop", "kind", "code", "reason", "status"};

void append_exactly(std::string& out, const LogField& field) {
  if (const auto* text = std::get_if<std::string>(&field.value)) {
    out += *text;
  } else if (const auto* whole = std::get_if<std::int64_t>(&field.value)) {
    out += std::to_string(*whole);
  } else if (const auto* truth = std::get_if<bool>(&field.value)) {
    out += *truth ? '1' : '0';
  }
}

}  // namespace

std::string cause_of(std::string_view event, std::initializer_list<LogField> fields) {
  const bool failure = std::any_of(fields.begin(), fields.end(), [](const LogField& field) { return one_of(field.key, texts); });
  std::string cause(event);
  for (const LogField& field : fields) {
    const auto* text = std::get_if<std::string>(&field.value);
    if (failure && text != nullptr && one_of(field.key, texts)) {
      cause += '\n';
      append_class(cause, *text);
    } else if (!failure || one_of(field.key, words)) {
      cause += '\n';
      append_exactly(cause, field);
    }
  }
  return cause;
}

std::optional<std::int64_t> LogLimit::admit(const std::string& cause, TimePoint now) {
  auto found = causes_.find(cause);
  if (found == causes_.end()) {
    if (causes_.size() >= most_causes) make_room(now);
    causes_.emplace(cause, Quota{now, 0});
    return 0;
  }
  Quota& quota = found->second;
  if (now - quota.last < quiet_time) {
    ++quota.suppressed;
    return std::nullopt;
  }
  quota.last = now;
  return std::exchange(quota.suppressed, 0);
}

/// Forgets what has been quiet, and everything when so many causes speak at once.
void LogLimit::make_room(TimePoint now) {
  std::erase_if(causes_,
                [now](const auto& entry) { return now - entry.second.last >= quiet_time && entry.second.suppressed == 0; });
  if (causes_.size() >= most_causes) causes_.clear();
}

}  // namespace batchd
