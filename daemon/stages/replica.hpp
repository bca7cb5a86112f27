// One replica between its ports: the session, every stage, and what they share. `serve` runs one, the simulation in tests/
// runs several side by side. It never makes a port, and knows nothing of signals or of the schema.
#pragma once

#include "config.hpp"
#include "runtime/task_group.hpp"
#include "spool/spool.hpp"
#include "stages/stage.hpp"

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace batchd {

class PlanStage;

/// What a replica works with; everything must outlive it.
struct ReplicaPorts {
  Store& store;
  const std::map<std::string, Provider*>& providers;  ///< by name: all that the configuration names
  Spool& spool;
  Clock& clock;
  Log& log;
  Metrics& metrics;
  const Vocabularies* vocabularies = nullptr;  ///< null to estimate tokens only
};

class Replica {
 public:
  Replica(const Config& config, const ReplicaPorts& ports, ReplicaInfo self);
  ~Replica();
  Replica(const Replica&) = delete;
  Replica& operator=(const Replica&) = delete;

  /// Joins the others and makes this configuration the newest. False when it has to be tried again: this database is a copy
  /// that nobody has adopted yet, or the term was lost meanwhile. Throws StoreError.
  Task<bool> enter();
  /// Starts every loop except session().run(), which must be running as long as they do. Once, after enter().
  void spawn(TaskGroup& group);

  Session& session() { return session_; }
  /// Only after enter().
  StageContext& context() { return *context_; }

 private:
  void make_routes();
  void make_stages();
  Task<bool> publish(Term term);
  void add_provider(const std::string& name, Provider& provider);

  const Config& config_;
  ReplicaPorts ports_;
  Session session_;
  Bells bells_;
  BusyShards busy_;
  std::map<std::string, Route> routes_;
  std::unique_ptr<StageContext> context_;  // once the instance's id is known
  std::deque<Wakeup> provider_bells_;
  std::vector<std::pair<std::unique_ptr<Stage>, int>> stages_;  // and how many loops run each
  PlanStage* planner_ = nullptr;
  bool moved_ = false;  // the operator was told that this database has to be adopted
};

}  // namespace batchd
