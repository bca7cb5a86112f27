#include "simulation/simulation.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace batchd::simulation {
namespace {

/// How often it is looked whether everything has come to its end.
constexpr Milliseconds look_interval{1'000};
/// After the calm a person looks at what is lost, now and then.
constexpr Milliseconds person_interval{60'000};

std::filesystem::path scratch_directory() {
  const std::filesystem::path memory = "/dev/shm";
  const bool usable = ::access(memory.c_str(), W_OK) == 0;
  return (usable ? memory : std::filesystem::temp_directory_path()) / "batchd-simulation";
}

std::vector<std::unique_ptr<FakeCloud>> make_clouds(const Schedule& schedule, const World& world, Dice& dice,
                                                    const std::string& instance) {
  std::vector<std::unique_ptr<FakeCloud>> clouds;
  for (CloudSettings settings : schedule.clouds) {
    settings.instance = instance;
    const auto now = [&world] { return std::chrono::duration_cast<Milliseconds>(world.now()); };
    clouds.push_back(std::make_unique<FakeCloud>(now, dice.fork(), std::move(settings)));
  }
  return clouds;
}

std::string body_of(Dice& dice, std::int64_t number, double poisoned) {
  static const std::vector<std::string> poisons{"cloud:poison", "cloud:silent", "cloud:create", "cloud:refused"};
  std::string body = R"({"messages":[{"role":"user","content":"prompt )" + std::to_string(number);
  if (dice.flip(poisoned)) body += " " + dice.pick(poisons);
  return body + std::string(static_cast<std::size_t>(dice.between(0, 200)), '.') + R"("}]})";
}

}  // namespace

Workbench::Workbench() : spool(scratch_directory(), Bytes{1} << 40) {}

Simulation::Simulation(const Schedule& schedule, Workbench& bench, std::ostream* trace)
    : schedule_(schedule),
      dice_(schedule.seed ^ 0x5eed'5eed'5eed'5eedULL),
      trace_(world_, trace),
      database_([this] { return now_ms(); }, dice_),
      clouds_(make_clouds(schedule, world_, dice_, database_.instance_id())),
      around_{world_, trace_, schedule, database_, clouds_, bench.spool, bench.metrics},
      seats_(static_cast<std::size_t>(schedule.replicas)),
      oracle_(schedule, database_, clouds_) {
  for (std::size_t c = 0; c < clouds_.size(); ++c)
    clouds_[c]->on_answers_read = [this, c](std::size_t batch) { oracle_.answers_read(c, batch); };
  database_.server().on_stray_used = [this](const BatchId& batch) { oracle_.stray_used(batch); };
  for (std::size_t seat = 0; seat < seats_.size(); ++seat) {
    world_.at(Time{dice_.between(0, 500'000)}, [this, seat] { start(seat); });
  }
  for (const Event& event : schedule.events) world_.at(event.at, [this, &event] { befall(event); });
  world_.at(schedule.calm, [this] { calm(); });
  if (schedule.loses_commits()) world_.at(schedule.calm + person_interval, [this] { adopt_losses(); });
  world_.at(look_interval, [this] { look_whether_over(); });
}

/// What still waits is unwound while all that it names is there.
Simulation::~Simulation() {
  for (const auto& node : nodes_) {
    node->process().on_death = nullptr;
    node->process().kill();
  }
}

Verdict Simulation::run() {
  Verdict verdict;
  while (!over_ && world_.now() < schedule_.end) {
    if (!world_.step()) break;
    ++verdict.events;
  }
  verdict.lasted = world_.now();
  for (const auto& node : nodes_) {
    if (!node->failure().empty() && verdict.violation.empty()) verdict.violation = "a loop failed: " + node->failure();
  }
  if (verdict.violation.empty() && !database_.violations().empty())
    verdict.violation = "a constraint of the database was violated: " + database_.violations().front();
  if (verdict.violation.empty()) verdict.violation = oracle_.check_now();
  if (verdict.violation.empty() && !over_) verdict.violation = "it has not come to its end: " + oracle_.unfinished();
  if (verdict.violation.empty()) verdict.violation = oracle_.check_end();
  verdict.tally = oracle_.tally();
  if (!verdict.violation.empty()) trace_.note("oracle", "VIOLATION: " + verdict.violation);
  return verdict;
}

void Simulation::start(std::size_t seat) {
  Seat& place = seats_[seat];
  if (place.node) return;
  const std::string name = "r" + std::to_string(seat) + "." + std::to_string(++place.lives);
  trace_.note(name, "started");
  nodes_.push_back(std::make_unique<Node>(around_, name, dice_.fork()));
  place.node = nodes_.back().get();
  if (calm_) place.node->calm();
  place.node->cut_database(database_down_until_);
  place.node->process().on_death = [this, seat] { died(seat); };
}

void Simulation::died(std::size_t seat) {
  seats_[seat].node = nullptr;
  oracle_.died();
  world_.at(world_.now() + Time{dice_.between(50'000, 4'000'000)}, [this, seat] { start(seat); });
}

void Simulation::befall(const Event& event) {
  switch (event.what) {
    case Incident::kill:
    case Incident::kill_at_call:
    case Incident::pause:
    case Incident::pause_at_call:
    case Incident::cut_database:
    case Incident::cut_providers:
    case Incident::stop:
      if (Node* const node = seats_[static_cast<std::size_t>(event.who)].node) befall_replica(event, *node);
      break;
    case Incident::database_down:
    case Incident::backup:
    case Incident::restore:
    case Incident::promote:
    case Incident::clock_step:
      trace_.note("database", to_string(event.what));
      befall_database(event);
      break;
    default:
      trace_.note("person", to_string(event.what));
      order(event);
  }
}

void Simulation::befall_replica(const Event& event, Node& node) {
  const Time until = world_.now() + event.lasting;
  switch (event.what) {
    case Incident::kill:
      node.process().kill();
      break;
    case Incident::kill_at_call:
      node.process().kill_at_passage(event.number);
      break;
    case Incident::pause:
      node.process().pause(event.lasting);
      break;
    case Incident::pause_at_call:
      node.process().pause_at_passage(event.number, event.lasting);
      break;
    case Incident::cut_database:
      trace_.note(node.process().name(), "cut off from the database");
      node.cut_database(until);
      break;
    case Incident::cut_providers:
      trace_.note(node.process().name(), "cut off from the providers");
      node.cut_providers(until);
      break;
    default:
      node.stop();
  }
}

void Simulation::befall_database(const Event& event) {
  switch (event.what) {
    case Incident::database_down:
      database_down_until_ = world_.now() + event.lasting;
      for (const Seat& seat : seats_) {
        if (seat.node) seat.node->cut_database(database_down_until_);
      }
      break;
    case Incident::backup:
      backup_ = database_;
      break;
    case Incident::clock_step:
      database_.step_clock(Milliseconds{event.number});
      break;
    default:
      restore(event.what == Incident::promote);
  }
}

void Simulation::restore(bool new_timeline) {
  if (!backup_) return;
  database_ = *backup_;
  if (new_timeline) database_.begin_timeline();
  oracle_.restored(now_ms(), new_timeline);
  if (new_timeline) {
    oracle_.must_be_noticed();
    return;
  }
  std::vector<Node*> witnesses;
  for (const Seat& seat : seats_) {
    if (seat.node && seat.node->knows_of_loss()) witnesses.push_back(seat.node);
  }
  world_.at(world_.now() + schedule_.config.lease.ttl, [this, witnesses] {
    const auto sound = [](Node* node) { return node->undisturbed(); };
    if (std::any_of(witnesses.begin(), witnesses.end(), sound)) oracle_.must_be_noticed();
  });
}

void Simulation::order(const Event& event) {
  const auto some = [this](const auto& all) { return all[static_cast<std::size_t>(dice_.between(0, std::ssize(all) - 1))]; };
  switch (event.what) {
    case Incident::enqueue:
      enqueue(event.number);
      break;
    case Incident::cancel_request:
      if (const auto all = database_.requests(); !all.empty()) database_.cancel_request(some(all));
      break;
    case Incident::cancel_job:
      database_.cancel_job("j" + std::to_string(dice_.between(0, 1)));
      break;
    case Incident::retry_job:
      oracle_.retrying();
      database_.retry_job("j" + std::to_string(dice_.between(0, 1)));
      break;
    case Incident::pause_lane: {
      const auto& deployments = schedule_.config.deployments;
      const std::string scope = "deployment:" + deployments[static_cast<std::size_t>(event.number) % deployments.size()].name;
      database_.pause(scope);
      world_.at(world_.now() + event.lasting, [this, scope] {
        database_.resume(scope);
        hint();
      });
      break;
    }
    default:
      clouds_[static_cast<std::size_t>(event.who)]->add_foreign_batch(
          {{"batchd_instance", database_.instance_id() + "0"}, {"batchd_shard", "1"}, {"batchd_attempt", "1"}});
  }
  hint();
}

void Simulation::enqueue(std::int64_t count) {
  NewRequest request;
  request.job = "j" + std::to_string(dice_.between(0, 1));
  request.priority = dice_.flip(0.2) ? 5 : 0;
  request.model =
      schedule_.config.deployments[static_cast<std::size_t>(dice_.between(0, std::ssize(schedule_.config.deployments) - 1))]
          .model;
  if (dice_.flip(0.1)) request.deadline_in = dice_.between(Milliseconds{2'000}, Milliseconds{60'000});
  for (std::int64_t i = 0; i < count; ++i) {
    request.body = body_of(dice_, ++prompts_, schedule_.poisoned);
    enqueue(request);
  }
}

void Simulation::enqueue(const NewRequest& request) {
  const auto id = database_.enqueue(request);
  if (id) oracle_.enqueued(*id, request.body);
}

void Simulation::hint() {
  for (const Seat& seat : seats_) {
    if (seat.node) seat.node->hint();
  }
}

void Simulation::calm() {
  trace_.note("world", "from now on nothing goes wrong any more");
  calm_ = true;
  for (const auto& cloud : clouds_) cloud->calm();
  for (const auto& node : nodes_) node->calm();
  for (const DeploymentConfig& deployment : schedule_.config.deployments) database_.resume("deployment:" + deployment.name);
}

bool Simulation::is_over() {
  if (!calm_ || database_.unsettled() > 0) return false;
  for (const auto& cloud : clouds_) {
    if (cloud->living() > 0) return false;
  }
  return oracle_.unfinished().empty();
}

void Simulation::look_whether_over() {
  if (is_over()) {
    over_ = true;
    return;
  }
  world_.at(world_.now() + look_interval, [this] { look_whether_over(); });
}

/// A person reads what `doctor` says, and lets what is lost be paid for again.
void Simulation::adopt_losses() {
  const auto [shards, batches] = database_.accept_loss();
  if (shards + batches > 0) {
    trace_.note("person", "adopts what is lost");
    oracle_.loss_accepted(now_ms());
    hint();
  }
  world_.at(world_.now() + person_interval, [this] { adopt_losses(); });
}

}  // namespace batchd::simulation
