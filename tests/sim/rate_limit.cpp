#include "rate_limit.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace sim {

std::optional<std::string> RateLimiter::add(const std::string& text) {
  const auto equals = text.find('='), slash = text.find('/');
  Limit limit;
  int calls = 0;
  const bool shaped = equals != std::string::npos && slash != std::string::npos && equals < slash && slash + 2 == text.size();
  if (shaped) {
    limit.operation = operation_named(text.substr(0, equals));
    const auto [end, error] = std::from_chars(text.data() + equals + 1, text.data() + slash, calls);
    if (error != std::errc() || end != text.data() + slash) calls = 0;
    limit.seconds = text.back() == 's' ? 1 : text.back() == 'm' ? 60 : text.back() == 'h' ? 3600 : 0;
  }
  const bool operation_known = limit.operation || text.starts_with("any=");
  if (!operation_known || calls < 1 || limit.seconds == 0)
    return "expected OPERATION=N/UNIT such as upload=30/s, not '" + text + "'";
  limit.calls = calls;
  limits_.push_back(limit);
  return std::nullopt;
}

std::optional<Reply> RateLimiter::refusal(const Call& call, const std::string& resource, TimePoint time) {
  for (std::size_t i = 0; i < limits_.size(); ++i) {
    const auto& limit = limits_[i];
    if (limit.operation && *limit.operation != call.operation) continue;
    const auto [entry, fresh] = buckets_.try_emplace({i, resource}, Bucket{limit.calls, time});
    auto& bucket = entry->second;
    const double passed = std::chrono::duration<double>(time - bucket.filled).count();
    bucket.left = std::min(limit.calls, bucket.left + passed * limit.calls / limit.seconds);
    bucket.filled = time;
    if (bucket.left >= 1) {
      bucket.left -= 1;
      continue;
    }
    const double wait = (1 - bucket.left) * limit.seconds / limit.calls;
    Reply reply =
        error_reply(call.dialect, {429, "tooManyRequests", "Rate limit reached. Please retry later.", {}, "rate_limit_exceeded"});
    reply.headers.emplace_back("Retry-After", std::to_string(static_cast<int>(std::ceil(wait))));
    reply.headers.emplace_back("x-ratelimit-limit-requests", std::to_string(static_cast<int>(limit.calls)));
    reply.headers.emplace_back("x-ratelimit-remaining-requests", "0");
    return reply;
  }
  return std::nullopt;
}

}  // namespace sim
