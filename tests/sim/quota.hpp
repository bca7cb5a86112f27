// The enqueued-token quota of each deployment (PROTOCOL.md 11), counted by the simulator itself: held from creation until
// the batch is over, and a settable while longer.
#pragma once

#include "settings.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace sim {

class Quota {
 public:
  explicit Quota(const Settings& settings) : settings_(settings) {}

  /// False when no deployment of that name exists.
  bool known(const std::string& deployment) const;
  std::uint64_t limit(const std::string& deployment) const;
  std::uint64_t held(const std::string& resource, const std::string& deployment);
  /// Takes the tokens when there is room.
  bool take(const std::string& resource, const std::string& deployment, std::uint64_t tokens);
  void release(const std::string& resource, const std::string& deployment, std::uint64_t tokens, TimePoint at);

  void describe(boost::json::object& out);

 private:
  struct Account {
    std::uint64_t held = 0;
    std::uint64_t most_held = 0;
    std::uint64_t most_asked = 0;  ///< with what was refused
    std::uint64_t refusals = 0;
    std::vector<std::pair<TimePoint, std::uint64_t>> leaving;
  };

  Account& account(const std::string& resource, const std::string& deployment);

  const Settings& settings_;
  std::map<std::pair<std::string, std::string>, Account> accounts_;
};

}  // namespace sim
