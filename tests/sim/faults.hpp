// Faults on demand: scripted for the n-th call of an operation or the next k, or by chance with a seed. The book only
// says which fault strikes a call; the simulator makes it happen.
#pragma once

#include "dialect.hpp"
#include "fate.hpp"
#include "settings.hpp"
#include "shape.hpp"

#include <boost/json/value.hpp>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace sim {

/// Every fault's public name.
std::vector<std::string> fault_names();

struct Fault {
  std::string name;  ///< such as reset_after
  std::string retry_after;
  std::string retry_after_ms;
  Milliseconds delay{};
  Fate fate;
  Shape shape;
  std::uint32_t count = 1;
  std::optional<std::uint64_t> at;  ///< byte of the body
  int status = 500;
  std::optional<boost::json::value> body;
  std::string body_file;  ///< instead: a file whose bytes are the body
  std::string style;
  std::string state;  ///< of a file
  std::string details;
  std::vector<std::pair<std::string, std::string>> headers;
};

class FaultBook {
 public:
  explicit FaultBook(std::uint64_t seed) : random_(seed) {}

  /// Adds a rule in the form that POST /sim/faults takes; returns what is wrong with it.
  std::optional<std::string> add(const boost::json::value& rule);
  /// The fault that strikes this call, when one does.
  std::optional<Fault> strike(Operation operation);
  void clear() { rules_.clear(); }
  /// Rules that can still strike.
  std::size_t pending() const { return rules_.size(); }
  std::uint64_t struck() const { return struck_; }

 private:
  struct Rule {
    std::optional<Operation> operation;  ///< nothing: any
    Fault fault;
    std::uint64_t wait = 0;   ///< calls that pass first
    std::uint64_t times = 1;  ///< calls that are struck then
    double probability = 1;
  };

  std::vector<Rule> rules_;
  std::mt19937_64 random_;
  std::uint64_t struck_ = 0;
};

}  // namespace sim
