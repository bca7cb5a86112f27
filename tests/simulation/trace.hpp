// What happened in a schedule, a line for each thing that a reader of a failing seed wants to know. Silent unless asked for.
#pragma once

#include "log.hpp"
#include "simulation/world.hpp"

#include <ostream>
#include <string>
#include <string_view>

namespace batchd::simulation {

class Trace {
 public:
  /// Without `out` nothing is written and next to nothing spent.
  Trace(const World& world, std::ostream* out) : world_(world), out_(out) {}

  void note(std::string_view who, std::string_view what) {
    if (out_) write(who, what);
  }
  void note(std::string_view who, std::string_view line, std::string_view verb, std::string_view what) {
    if (out_) write(who, std::string(line) + "." + std::string(verb) + " " + std::string(what));
  }
  /// A log that writes here, under a name.
  std::unique_ptr<Log> log(std::string who);

 private:
  void write(std::string_view who, std::string_view what);

  const World& world_;
  std::ostream* out_;
};

}  // namespace batchd::simulation
