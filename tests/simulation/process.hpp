// A process of batchd as the schedule sees it: it can be killed at any await, paused, cut off, and has a clock of its own.
// Whatever it waits for (its timers, its ports) passes through here, so that nothing of a killed one goes on.
#pragma once

#include "runtime/clock.hpp"
#include "simulation/dice.hpp"
#include "simulation/wire.hpp"
#include "simulation/world.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace batchd::simulation {

class Trace;

/// How a line between a process and a port behaves for a time.
struct LineFaults {
  double refused = 0;  ///< of the calls never leave
  double lost = 0;     ///< leave and get lost, on either way
  double late = 0;     ///< of those that got lost on the way there arrive much later
  double slow = 0;     ///< of the ways take up to `slowest`
  Milliseconds slowest{0};
};

class Process {
 public:
  Process(World& world, Dice dice, Trace& trace, std::string name, double clock_rate);

  World& world() { return world_; }
  Trace& trace() { return trace_; }
  const std::string& name() const { return name_; }
  bool dead() const { return owner_.dead; }

  /// SIGKILL. Not to be called from one of its own coroutines: use kill_soon() there.
  void kill();
  void pause(Milliseconds duration);
  /// Kills it at its `n`th passage to or from a port from now on; 1 is the next.
  void kill_at_passage(std::int64_t n) { kill_in_ = n; }
  /// Pauses it there.
  void pause_at_passage(std::int64_t n, Milliseconds duration) {
    pause_in_ = n;
    pause_for_ = duration;
  }
  std::int64_t passages() const { return passages_; }
  /// It was ever paused.
  bool disturbed() const { return owner_.paused_until.count() > 0; }
  std::function<void()> on_death;

  /// A wait, to be awaited at once; `wait` lives in the coroutine that does.
  auto until(Time when, World::Wait& wait) { return world_.until(owner_, when, wait); }
  /// Counts a passage; true when something waits for it there, which is then to be met.
  bool pass();
  Task<void> meet();

  /// The process's own monotonic clock.
  Clock::TimePoint local_now() const;
  Time duration_of(Milliseconds local) const;
  Dice& dice() { return dice_; }

 private:
  World& world_;
  Dice dice_;
  Trace& trace_;
  std::string name_;
  double rate_;
  Owner owner_;
  std::int64_t passages_ = 0;
  std::int64_t kill_in_ = 0, pause_in_ = 0;  // 0: not at all
  Milliseconds pause_for_{0};
};

class ProcessClock final : public Clock {
 public:
  explicit ProcessClock(Process& process) : process_(process) {}
  TimePoint now() const override { return process_.local_now(); }
  Task<void> sleep_for(Milliseconds delay) override;
  Task<void> sleep_for(Milliseconds delay, Wakeup& wakeup) override;

 private:
  Process& process_;
};

/// A line from a process to one port.
class Line final : public Wire {
 public:
  /// `usual` is the longest that a way takes when nothing is wrong; `patience` how long the process waits for what got lost.
  Line(Process& process, std::string name, Milliseconds usual, Milliseconds patience)
      : process_(process), name_(std::move(name)), usual_(usual), patience_(patience) {}

  Task<Passage> there(std::string_view verb) override;
  Task<Passage> back(std::string_view verb) override;
  void arrives_late(std::string_view verb, std::function<void()> effect) override;

  void set_faults(const LineFaults& faults) { faults_ = faults; }
  /// It was ever cut, or loses calls.
  bool disturbed() const { return cut_until_.count() > 0 || faults_.lost > 0 || faults_.slow > 0; }
  /// Nothing gets through either way before `until`.
  void cut(Time until) { cut_until_ = std::max(cut_until_, until); }

 private:
  Task<Passage> travel(std::string_view verb, bool back);
  Time way();

  Process& process_;
  std::string name_;
  Milliseconds usual_, patience_;
  LineFaults faults_;
  Time cut_until_{0};
};

}  // namespace batchd::simulation
