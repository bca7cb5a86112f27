// Everything that a seed decides before a schedule begins: who runs with which settings, what producers do, and what goes wrong
// when. A value; simulation.cpp carries it out. What goes wrong by chance at every call is drawn on the way, from the same seed.
#pragma once

#include "config.hpp"
#include "simulation/cloud/settings.hpp"
#include "simulation/process.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace batchd::simulation {

/// What goes wrong at a given time, or a producer or a person does.
enum class Incident {
  // to one replica
  kill,           ///< at once
  kill_at_call,   ///< at a call to a port or its answer, the `number`th from now on
  pause,          ///< as SIGSTOP and SIGCONT, `lasting` apart
  pause_at_call,  ///< at the `number`th call or answer
  cut_database,   ///< nothing passes between it and the database
  cut_providers,  ///< nor between it and the providers
  stop,           ///< SIGTERM; it is started again
  // to the database
  database_down,  ///< nobody reaches it
  backup,         ///< a copy is made
  restore,        ///< it is what it was at the last backup: commits are lost
  promote,        ///< the same, as a standby promoted early: on another timeline
  clock_step,     ///< its clock is set by `number` ms
  // producers and people
  enqueue,         ///< `number` requests
  cancel_request,  ///< any
  cancel_job,      ///< any
  retry_job,       ///< what failed in it
  pause_lane,      ///< a deployment, for `lasting`
  foreign_batch,   ///< somebody else submits something that looks almost like ours
};
std::string_view to_string(Incident incident);

struct Event {
  Milliseconds at{0};
  Incident what = Incident::kill;
  int who = 0;  ///< the replica, in the order of their starts, or the provider
  std::int64_t number = 0;
  Milliseconds lasting{0};
};

struct Schedule {
  std::uint64_t seed = 0;
  int replicas = 2;
  int providers = 1;
  Config config;
  std::vector<CloudSettings> clouds;  ///< one for each provider
  LineFaults database_line, provider_lines;
  double clock_drift = 0;  ///< the clocks of replicas run by so much too fast or too slow
  double poisoned = 0;     ///< of the requests name something that a provider refuses
  std::vector<Event> events;
  Milliseconds calm{0};  ///< from then on nothing goes wrong any more
  Milliseconds end{0};   ///< by then everything must have come to its end

  bool loses_commits() const;
};

/// The schedule of a seed: always the same.
Schedule draw_schedule(std::uint64_t seed);
/// A few lines for people.
std::string describe(const Schedule& schedule);

}  // namespace batchd::simulation
