// One replica of batchd in a schedule: the real session and stages on a process of the simulated world, with its lines to the
// database and to the providers. It lives from its start to its death; what takes its place is another one.
#pragma once

#include "metrics.hpp"
#include "simulation/cloud/fake_provider.hpp"
#include "simulation/process.hpp"
#include "simulation/schedule.hpp"
#include "simulation/store/fake_store.hpp"
#include "simulation/trace.hpp"
#include "stages/replica.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace batchd::simulation {

/// What all nodes of a schedule have in common; everything outlives them.
struct Surroundings {
  World& world;
  Trace& trace;
  const Schedule& schedule;
  FakeDatabase& database;
  const std::vector<std::unique_ptr<FakeCloud>>& clouds;
  Spool& spool;
  Metrics& metrics;
};

class Node {
 public:
  Node(const Surroundings& around, std::string name, Dice dice);

  Process& process() { return process_; }
  /// Asks it to stop as SIGTERM does; its process ends when it has given everything back.
  void stop();
  /// Nothing goes wrong with its lines any more.
  void calm();
  void cut_database(Time until) { database_line_.cut(until); }
  void cut_providers(Time until);
  /// It remembers what the database has forgotten, and will notice at its next heartbeat if nothing befalls it before.
  bool knows_of_loss() { return !process_.dead() && store_.knows_more(replica_.session().term()); }
  /// Nothing has kept it from the database since.
  bool undisturbed() const { return !process_.dead() && !process_.disturbed() && !database_line_.disturbed(); }
  /// A producer's NOTIFY.
  void hint();
  /// What a loop of it failed with; a failure ends the real process too, and none is ever expected.
  const std::string& failure() const { return failure_; }

 private:
  std::map<std::string, Provider*> make_providers(const Surroundings& around);
  Task<void> live();
  Task<void> leave();
  void loop_ended(const std::string& loop, std::exception_ptr failure);

  Process process_;
  ProcessClock clock_;
  Line database_line_;
  std::deque<Line> provider_lines_;
  FakeStore store_;
  std::deque<FakeProvider> providers_;
  std::map<std::string, Provider*> ports_;
  std::unique_ptr<Log> log_;
  Replica replica_;
  TaskGroup tasks_, work_;  // as in application.cpp: the session lasts until the others have ended
  bool stopping_ = false;
  std::string failure_;
};

}  // namespace batchd::simulation
