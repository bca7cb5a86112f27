#include "simulation/node.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace batchd::simulation {
namespace {

/// The longest way to PostgreSQL and to a provider when nothing is wrong, and how long is waited for what does not come.
constexpr Milliseconds near{8};
constexpr Milliseconds far{120};
constexpr Milliseconds database_patience{3'000};
constexpr Milliseconds provider_patience{6'000};

double rate_of(Dice& dice, double drift) {
  return 1 + drift * static_cast<double>(dice.between(-100, 100)) / 100;
}

std::vector<std::string> names_of(const Config& config) {
  std::vector<std::string> names;
  for (const ProviderConfig& provider : config.providers) names.push_back(provider.name);
  return names;
}

}  // namespace

Node::Node(const Surroundings& around, std::string name, Dice dice)
    : process_(around.world, dice.fork(), around.trace, std::move(name), rate_of(dice, around.schedule.clock_drift)),
      clock_(process_),
      database_line_(process_, "store", near, database_patience),
      store_(around.database, database_line_, clock_),
      ports_(make_providers(around)),
      log_(around.trace.log(process_.name())),
      replica_(around.schedule.config, {store_, ports_, around.spool, clock_, *log_, around.metrics},
               ReplicaInfo{"simulated", 1, "simulation", names_of(around.schedule.config)}),
      tasks_(around.world.executor()),
      work_(around.world.executor()) {
  database_line_.set_faults(around.schedule.database_line);
  for (Line& line : provider_lines_) line.set_faults(around.schedule.provider_lines);
  for (TaskGroup* group : {&tasks_, &work_})
    group->on_exit = [this](const std::string& loop, std::exception_ptr failure) { loop_ended(loop, failure); };
  tasks_.spawn("session", [this] { return live(); });
}

std::map<std::string, Provider*> Node::make_providers(const Surroundings& around) {
  std::map<std::string, Provider*> ports;
  for (std::size_t p = 0; p < around.clouds.size(); ++p) {
    const std::string& name = around.schedule.config.providers[p].name;
    Line& line = provider_lines_.emplace_back(process_, name, far, provider_patience);
    const auto may_call = [this] { return replica_.session().trusted(); };
    ports[name] = &providers_.emplace_back(*around.clouds[p], line, may_call);
  }
  return ports;
}

Task<void> Node::live() {
  for (;;) {
    bool entered = false;
    try {
      entered = co_await replica_.enter();
    } catch (const StoreError&) {
    }
    if (entered) break;
    co_await clock_.sleep_for(Milliseconds{1000});
  }
  replica_.spawn(work_);
  co_await replica_.session().run();
}

void Node::stop() {
  if (stopping_ || process_.dead()) return;
  stopping_ = true;
  process_.trace().note(process_.name(), "asked to stop");
  work_.request_stop();
  if (work_.idle()) tasks_.request_stop();
}

Task<void> Node::leave() {
  try {
    co_await replica_.session().leave();
  } catch (const StoreError&) {
  }
}

void Node::loop_ended(const std::string& loop, std::exception_ptr failure) {
  if (failure && failure_.empty()) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      failure_ = loop + ": " + error.what();
    }
    process_.trace().note(process_.name(), "loop failed: " + failure_);
    stopping_ = true;
    work_.request_stop();
  }
  if (!work_.idle()) return;
  tasks_.request_stop();
  if (!tasks_.idle()) return;
  asio::co_spawn(process_.world().executor(), leave(), [this](std::exception_ptr) {
    World& world = process_.world();
    world.at(world.now(), [this] { process_.kill(); });
  });
}

void Node::calm() {
  database_line_.set_faults({});
  for (Line& line : provider_lines_) line.set_faults({});
  process_.kill_at_passage(0);
  process_.pause_at_passage(0, Milliseconds{0});
}

void Node::cut_providers(Time until) {
  for (Line& line : provider_lines_) line.cut(until);
}

void Node::hint() {
  if (!process_.dead()) store_.hint();
}

}  // namespace batchd::simulation
