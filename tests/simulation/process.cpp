#include "simulation/process.hpp"

#include "db/store.hpp"
#include "simulation/trace.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>

namespace batchd::simulation {

Process::Process(World& world, Dice dice, Trace& trace, std::string name, double clock_rate)
    : world_(world), dice_(dice), trace_(trace), name_(std::move(name)), rate_(clock_rate) {}

void Process::kill() {
  if (owner_.dead) return;
  trace_.note(name_, "killed");
  world_.kill(owner_);
  if (on_death) on_death();
}

void Process::pause(Milliseconds duration) {
  if (owner_.dead) return;
  trace_.note(name_, "paused for " + std::to_string(duration.count()) + " ms");
  world_.pause(owner_, world_.now() + duration);
}

Clock::TimePoint Process::local_now() const {
  // Every process began long ago by its own clock: a zero would look like "never".
  constexpr std::chrono::hours uptime{1000};
  const auto passed = std::chrono::duration<double, std::micro>(static_cast<double>(world_.now().count()) * rate_);
  return Clock::TimePoint{} + uptime + std::chrono::duration_cast<Clock::TimePoint::duration>(passed);
}

Time Process::duration_of(Milliseconds local) const {
  return Time{static_cast<std::int64_t>(static_cast<double>(local.count()) * 1000 / rate_) + 1};
}

bool Process::pass() {
  ++passages_;
  return kill_in_ > 0 || pause_in_ > 0;
}

Task<void> Process::meet() {
  World::Wait wait;
  if (kill_in_ > 0 && --kill_in_ == 0) {
    world_.at(world_.now(), [this] { kill(); });
    co_await until(Time::max(), wait);
  }
  if (pause_in_ > 0 && --pause_in_ == 0) {
    pause(pause_for_);
    co_await until(world_.now(), wait);
  }
}

Task<void> ProcessClock::sleep_for(Milliseconds delay) {
  World::Wait wait;
  co_await process_.until(process_.world().now() + process_.duration_of(delay), wait);
}

Task<void> ProcessClock::sleep_for(Milliseconds delay, Wakeup& wakeup) {
  if (wakeup.take()) co_return;
  World::Wait wait;
  const Wakeup::Waiter waiter(wakeup, [&world = process_.world(), &wait] { world.wake(wait); });
  co_await process_.until(process_.world().now() + process_.duration_of(delay), wait);
}

Time Line::way() {
  const Milliseconds longest = process_.dice().flip(faults_.slow) ? faults_.slowest : usual_;
  return Time{process_.dice().between(50, std::max<std::int64_t>(51, longest.count() * 1000))};
}

Task<Passage> Line::there(std::string_view verb) {
  return travel(verb, false);
}

Task<Passage> Line::back(std::string_view verb) {
  return travel(verb, true);
}

Task<Passage> Line::travel(std::string_view verb, bool back) {
  if (process_.pass()) co_await process_.meet();
  World& world = process_.world();
  Dice& dice = process_.dice();
  World::Wait wait;
  co_await process_.until(world.now() + way(), wait);
  Passage passage = Passage::through;
  if (world.now() < cut_until_) {
    passage = !back && dice.flip(0.5) ? Passage::refused : Passage::lost;
  } else if (!back && dice.flip(faults_.refused)) {
    passage = Passage::refused;
  } else if (dice.flip(faults_.lost)) {
    passage = Passage::lost;
  }
  if (passage == Passage::through) co_return passage;
  process_.trace().note(process_.name(), name_, verb, passage == Passage::refused ? "refused" : back ? "answer lost" : "lost");
  if (passage == Passage::lost) co_await process_.until(world.now() + Time{dice.between(1000, patience_.count() * 1000)}, wait);
  co_return passage;
}

void Line::arrives_late(std::string_view verb, std::function<void()> effect) {
  Dice& dice = process_.dice();
  if (!dice.flip(faults_.late)) return;
  World& world = process_.world();
  world.at(
      world.now() + Time{dice.between(1000, 3 * patience_.count() * 1000)},
      [trace = &process_.trace(), who = process_.name(), line = name_, what = std::string(verb), effect = std::move(effect)] {
        trace->note(who, line, what, "arrives late");
        try {
          effect();
        } catch (const StoreError&) {
          // Refused, and nobody waits for the answer any more.
        }
      });
}

}  // namespace batchd::simulation
