// A provider's deployment and a queue of rows in virtual time: what a way of filling the quota is tried on. Nothing here knows
// what batchd believes; the same seed brings every contender the same provider and the same rows.
#pragma once

#include "core/quota.hpp"
#include "core/types.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

namespace batchd::bench {

using Time = Milliseconds;

/// What the provider and its other users are like.
struct Scenario {
  std::string name;
  Tokens limit = 1'000'000'000;  ///< true and, unless `configured` says otherwise, configured
  Tokens configured = 0;
  Tokens dynamic_limit = 0;  ///< configured: how far to try; the true limit then varies between `limit` and this
  double median_hours = 2;   ///< of a batch, long-tailed
  double sigma = 0.8;        ///< of its logarithm; the longest takes 24 h
  bool by_size = false;      ///< a large file takes longer
  double others = 0;         ///< others hold up to this part of the limit, another amount every few hours
  Time release_lag{0};       ///< an ended batch counts for so long
  bool late = false;         ///< what does not fit is accepted, and fails within minutes
  bool names_limit = true;   ///< in refusals
  bool headers = false;      ///< Azure's, of all jobs
  enum class Work { steady, bursty, mixed } work = Work::steady;
  bool learns_by_refusals = false;  ///< the true room cannot be known without them
};

/// Rows of one kind that wait, the oldest first; sizes are averages.
struct Heap {
  FlowId id;
  int priority = 0;
  std::int64_t rows = 0;
  Bytes row_bytes = 1200;
  double tokens_per_byte = 0.22;
  Time since{0};  ///< when the oldest came
};

struct File {
  std::int64_t id = 0;
  std::int64_t rows = 0;
  int priority = 0;
  Bytes bytes = 0;
  Tokens tokens = 0;
};

struct Post {
  bool refused = false;
  std::int64_t batch = 0;
  RoomRefused refusal{};
  RoomTold headers{};
};

/// A batch that the provider lists as over.
struct Ended {
  std::int64_t batch = 0;
  bool refused = false;  ///< late, for want of room
};

class World {
 public:
  World(const Scenario& scenario, std::uint64_t seed, Time lasts);

  const Scenario& scenario() const { return scenario_; }
  Time now() const { return now_; }
  void at(Time when, std::function<void()> what);
  /// Runs until the end; `settle` is called whenever something has happened.
  void run(const std::function<void()>& settle);

  std::vector<Heap>& heaps() { return heaps_; }
  /// Takes rows of one heap, up to both limits; at least one row.
  File take(Heap& heap, std::int64_t most_rows, Tokens most_tokens);
  Post post(const File& file);
  /// What has ended since the last call.
  std::vector<Ended> list();
  Tokens configured() const { return scenario_.configured > 0 ? scenario_.configured : scenario_.limit; }

  /// Files that a contender has made and not submitted count as backlog.
  Tokens staged = 0;
  /// What the contender believes and holds, for the account.
  std::function<std::pair<Tokens, Tokens>()> ledger;

  struct Account {
    double backlog_hours = 0;
    double used = 0;           ///< of what the provider had for us, time-averaged while there was backlog
    double used_believed = 0;  ///< held, of what was believed
    double believed = 0;       ///< of what the provider had for us
    std::int64_t posts = 0, refusals = 0, overruns = 0, answered_rows = 0;
    Tokens answered = 0;
    std::vector<float> by_hour;  ///< `used` in each hour
  };
  Account account() const;

 private:
  struct Live {
    Tokens tokens = 0;
    std::int64_t rows = 0;
    bool refused = false;
  };
  struct Event {
    Time when;
    std::int64_t order;
    std::function<void()> what;
    bool operator>(const Event& other) const { return std::pair(when, order) > std::pair(other.when, other.order); }
  };

  void pass(Time until);
  bool has_backlog() const;
  Tokens available() const;
  void arrive();
  void change_others();
  void change_limit();
  Time draw_turnaround(Tokens tokens);
  double flip() { return std::uniform_real_distribution<double>()(random_); }
  double fate() { return std::uniform_real_distribution<double>()(fate_); }

  Scenario scenario_;
  std::mt19937_64 random_;  // what a contender's own doing draws from
  std::mt19937_64 fate_;    // others, and the limit: the same for every contender
  Time now_{0}, lasts_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::int64_t order_ = 0, next_file_ = 1, next_batch_ = 1;
  std::vector<Heap> heaps_;
  std::map<std::int64_t, Live> live_;
  std::vector<Ended> ended_;
  Tokens limit_ = 0, others_ = 0, running_ = 0, lagging_ = 0;
  double backlog_ = 0, used_ = 0, used_believed_ = 0, believed_ = 0;
  std::map<std::int64_t, std::pair<double, double>> hours_;
  Account account_;
};

}  // namespace batchd::bench
