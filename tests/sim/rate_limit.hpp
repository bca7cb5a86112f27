// How many calls a resource may make: a bucket for each limit that was asked for and each resource (PROTOCOL.md 12, 13).
#pragma once

#include "dialect.hpp"
#include "settings.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sim {

class RateLimiter {
 public:
  /// Reads "OPERATION=N/UNIT" with a unit of s, m or h; returns what is wrong with it.
  std::optional<std::string> add(const std::string& text);
  /// The answer to a call that comes too soon; nothing when it may pass.
  std::optional<Reply> refusal(const Call& call, const std::string& resource, TimePoint time);

 private:
  struct Limit {
    std::optional<Operation> operation;  ///< nothing: any
    double calls = 0;
    double seconds = 1;
  };
  struct Bucket {
    double left = 0;
    TimePoint filled;
  };

  std::vector<Limit> limits_;
  std::map<std::pair<std::size_t, std::string>, Bucket> buckets_;  ///< by the limit's place and the resource
};

}  // namespace sim
