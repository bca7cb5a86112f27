// Named points around every commit and every call of a provider, at which a test kills, stops or fails this process.
// Owned by batchd-faulty's main, and no part of batchd: that has neither the names nor the code.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace batchd::fault {

/// The names of all points, in order.
std::vector<std::string> all_points();

class Failpoints {
 public:
  /// `orders` is a list of `NAME=ACTION[@N][%PERCENT]`, separated by commas. ACTION is `kill` (SIGKILL to itself), `stop`
  /// (SIGSTOP) or `fail`; `@N` acts at the N-th passage only (default: the first), `%PERCENT` at each with that chance. A NAME
  /// that ends in `*` stands for all that begin so. Throws std::invalid_argument when an order does not make sense. `trace`,
  /// unless it is empty, is a file that gets a line with its name at each passage of a point.
  Failpoints(std::string_view orders, std::uint64_t seed, const std::string& trace);
  ~Failpoints();
  Failpoints(const Failpoints&) = delete;
  Failpoints& operator=(const Failpoints&) = delete;

  /// True when the caller must behave as though what it does had failed. `verb` + `when` is the point's name; one that
  /// all_points() does not have throws std::logic_error. From any thread.
  bool pass(std::string_view verb, std::string_view when);

 private:
  enum class Action { kill, stop, fail };
  struct Order {
    std::string name;
    bool prefix = false;
    Action action = Action::kill;
    std::uint64_t at = 1;
    double chance = 0;  ///< above zero: instead of `at`
    std::uint64_t passed = 0;
  };

  static Order read(std::string_view text);
  bool due(Order& order, std::string_view name);

  std::mutex mutex_;
  std::vector<Order> orders_;
  std::mt19937_64 random_;
  int trace_ = -1;
};

}  // namespace batchd::fault
