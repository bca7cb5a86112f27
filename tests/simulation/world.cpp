#include "simulation/world.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

constexpr Time end_of_time = Time::max();

}  // namespace

World::~World() {
  // What still waits is unwound while the world is there.
  for (const Waiting& one : std::exchange(waiting_, {})) one.wait->sleeper_.reset();
  ready_.run();
}

void World::at(Time when, std::function<void()> action) {
  actions_.emplace(key(when), std::move(action));
}

void World::add(Time when, Wait& wait) {
  const Owner& owner = *wait.owner_;
  wait.key_ = key(owner.dead ? end_of_time : std::max(when, owner.paused_until));
  const auto sooner = [&wait](const Waiting& one) { return one.key < wait.key_; };
  // Most waits are short: from the end it is a few steps.
  waiting_.insert(std::find_if_not(waiting_.rbegin(), waiting_.rend(), sooner).base(), {wait.key_, &wait});
}

bool World::step() {
  ready_.run();
  const bool acts = !actions_.empty() && (waiting_.empty() || actions_.begin()->first < waiting_.back().key);
  if (acts) {
    const auto first = actions_.extract(actions_.begin());
    now_ = first.key().when;
    first.mapped()();
    ready_.run();
    return true;
  }
  if (waiting_.empty() || waiting_.back().key.when == end_of_time) return false;
  Wait& wait = *waiting_.back().wait;
  waiting_.pop_back();
  now_ = wait.key_.when;
  wait.key_.number = 0;
  ready_.run([&wait] { wait.sleeper_->resume(wait); });
  return true;
}

void World::end(Wait& wait, boost::system::error_code ended) {
  if (wait.key_.number == 0 || wait.owner_->dead) return;
  waiting_.erase(std::find_if(waiting_.begin(), waiting_.end(), [&wait](const Waiting& one) { return one.wait == &wait; }));
  if (wait.owner_->paused_until > now_ && !ended) {
    add(wait.owner_->paused_until, wait);  // a process that is paused hears of nothing until it goes on
  } else {
    wait.key_.number = 0;
    wait.ended_ = ended;
    ready_.add([&wait] { wait.sleeper_->resume(wait); });
  }
}

/// Takes out what the owner waits for until then, in the order of the events.
std::vector<World::Wait*> World::take(const Owner& owner, Time last) {
  std::vector<Wait*> taken;
  std::erase_if(waiting_, [&](const Waiting& one) {
    const bool its = one.wait->owner_ == &owner && one.key.when <= last;
    if (its) taken.push_back(one.wait);
    return its;
  });
  std::reverse(taken.begin(), taken.end());
  return taken;
}

void World::kill(Owner& owner) {
  owner.dead = true;
  for (Wait* const wait : take(owner, end_of_time)) wait->sleeper_.reset();
  ready_.run();
}

void World::pause(Owner& owner, Time until) {
  owner.paused_until = std::max(owner.paused_until, until);
  for (Wait* const wait : take(owner, until - Time{1})) add(until, *wait);
}

}  // namespace batchd::simulation
