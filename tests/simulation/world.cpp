#include "simulation/world.hpp"

#include <algorithm>
#include <vector>

namespace batchd::simulation {

World::~World() {
  // What still waits is unwound while the loop is there to do it.
  std::map<Key, Event> left = std::move(events_);
  events_.clear();
  left.clear();
  loop_.poll();
}

void World::at(Time when, std::function<void()> action) {
  Event event;
  event.action = std::move(action);
  add(when, std::move(event));
}

void World::add(Time when, Event event) {
  const Owner* const owner = event.owner;
  if (owner) when = owner->dead ? Time::max() : std::max(when, owner->paused_until);
  const Key key{std::max(when, now_), next_++};
  if (event.key) *event.key = key;
  events_.emplace(key, std::move(event));
}

void World::settle() {
  loop_.restart();
  loop_.poll();
}

bool World::step() {
  settle();
  if (events_.empty() || events_.begin()->first.first == Time::max()) return false;
  auto first = events_.extract(events_.begin());
  now_ = first.key().first;
  Event& event = first.mapped();
  if (event.sleeper) {
    event.sleeper->wake({});
  } else {
    event.action();
  }
  settle();
  return true;
}

void World::end_wait(const Key& key, boost::system::error_code ended) {
  const auto found = events_.find(key);
  // A process that is paused hears of nothing until it goes on.
  if (found == events_.end() || found->second.owner->dead) return;
  auto event = std::move(found->second);
  events_.erase(found);
  if (event.owner->paused_until > now_ && !ended) {
    const Time later = event.owner->paused_until;
    add(later, std::move(event));
    return;
  }
  event.sleeper->wake(ended);
}

void World::kill(Owner& owner) {
  owner.dead = true;
  std::vector<Event> ended;
  for (auto it = events_.begin(); it != events_.end();) {
    if (it->second.owner == &owner) {
      ended.push_back(std::move(it->second));
      it = events_.erase(it);
    } else {
      ++it;
    }
  }
  ended.clear();
  settle();
}

void World::pause(Owner& owner, Time until) {
  owner.paused_until = std::max(owner.paused_until, until);
  std::vector<Event> late;
  for (auto it = events_.begin(); it != events_.end() && it->first.first < until;) {
    if (it->second.owner == &owner) {
      late.push_back(std::move(it->second));
      it = events_.erase(it);
    } else {
      ++it;
    }
  }
  for (Event& event : late) add(until, std::move(event));
}

}  // namespace batchd::simulation
