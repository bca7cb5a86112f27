// One schedule from its beginning to its verdict: the world, the database, the providers, the replicas, what befalls them, and
// the oracle at the end. Same seed, same run.
#pragma once

#include "simulation/node.hpp"
#include "simulation/oracle.hpp"
#include "simulation/schedule.hpp"

#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace batchd::simulation {

/// What is costly to make and holds nothing of a schedule: one for each thread that runs some.
struct Workbench {
  Workbench();
  Spool spool;
  Metrics metrics{"simulation"};
};

struct Verdict {
  std::string violation;  ///< "" when everything held
  Time lasted{0};         ///< by the schedule's own clock
  std::int64_t events = 0;
  Tally tally;
};

class Simulation {
 public:
  /// With `trace`, what happens is written there.
  Simulation(const Schedule& schedule, Workbench& bench, std::ostream* trace);
  ~Simulation();
  Verdict run();

  // For scenarios that are written by hand.
  World& world() { return world_; }
  const FakeDatabase& database() const { return database_; }
  void enqueue(const NewRequest& request);
  FakeCloud& cloud(std::size_t provider) { return *clouds_.at(provider); }

 private:
  struct Seat {
    Node* node = nullptr;  // the living one
    int lives = 0;
  };
  Milliseconds now_ms() const { return std::chrono::duration_cast<Milliseconds>(world_.now()); }
  void start(std::size_t seat);
  void died(std::size_t seat);
  void befall(const Event& event);
  void befall_replica(const Event& event, Node& node);
  void befall_database(const Event& event);
  void order(const Event& event);
  void enqueue(std::int64_t count);
  void restore(bool new_timeline);
  void hint();
  void calm();
  void adopt_losses();
  void look_whether_over();
  bool is_over();

  const Schedule& schedule_;
  Dice dice_;
  World world_;
  Trace trace_;
  FakeDatabase database_;
  std::vector<std::unique_ptr<FakeCloud>> clouds_;
  Surroundings around_;
  std::vector<Seat> seats_;
  std::vector<std::unique_ptr<Node>> nodes_;  // the dead too: what is under way may name them
  std::optional<FakeDatabase> backup_;
  Time database_down_until_{0};
  std::int64_t prompts_ = 0;  // no two requests ask the same
  bool calm_ = false;
  bool over_ = false;
  Oracle oracle_;
};

}  // namespace batchd::simulation
