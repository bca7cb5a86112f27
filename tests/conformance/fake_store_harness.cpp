// The store harness on the simulation's fake: virtual time, and calls that arrive at once.
#include "conformance/store_harness.hpp"
#include "simulation/store/fake_store.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace batchd::conformance {
namespace {

using simulation::FakeDatabase;

/// Stands still but for what the harness lets pass, what calls take, and what somebody sleeps.
class HarnessClock final : public Clock {
 public:
  TimePoint now() const override { return TimePoint{} + time; }
  Task<void> sleep_for(Milliseconds delay) override {
    time += delay;
    co_return;
  }
  Task<void> sleep_for(Milliseconds delay, Wakeup& wakeup) override {
    if (!wakeup.take()) time += delay;
    co_return;
  }

  /// Begins in the middle of a minute, so that what is due in the same one stays there.
  Milliseconds time = std::chrono::hours{24 * 365} + std::chrono::seconds{30};
};

/// A millisecond each way, so that what happens later is later.
class HarnessWire final : public simulation::Wire {
 public:
  explicit HarnessWire(HarnessClock& clock) : clock_(clock) {}
  Task<simulation::Passage> there(std::string_view) override { return pass(); }
  Task<simulation::Passage> back(std::string_view) override { return pass(); }

 private:
  Task<simulation::Passage> pass() {
    clock_.time += Milliseconds{1};
    co_return simulation::Passage::through;
  }
  HarnessClock& clock_;
};

template <class Id>
std::string text_of(const std::optional<Id>& id) {
  return id ? id->value : std::string{};
}

std::string_view word_of(simulation::PostAnswer answer) {
  constexpr std::array<std::string_view, 4> words{"open", "created", "not_created", "fenced"};
  return words.at(static_cast<std::size_t>(answer));
}

std::string_view word_of(StrayKind kind) {
  constexpr std::array<std::string_view, 3> words{"duplicate", "harmless", "lost"};
  return words.at(static_cast<std::size_t>(kind));
}

ResultRow to_result(RequestId id, const simulation::AnswerRow& answer) {
  ResultRow row;
  row.request = id;
  row.outcome = std::string(to_string(answer.outcome));
  row.status_code = answer.status_code;
  row.response = answer.response;
  row.error = answer.error;
  if (answer.usage) {
    row.input_tokens = answer.usage->input;
    row.output_tokens = answer.usage->output;
  }
  row.provider_request_id = answer.provider_request_id;
  row.shard = answer.shard;
  row.attempt = answer.attempt;
  return row;
}

class FakeStoreHarness final : public StoreHarness {
 public:
  Store& store(std::size_t replica) override { return stores_.at(replica); }

  std::vector<RequestId> enqueue(const std::vector<Prompt>& prompts) override {
    std::vector<simulation::NewRequest> requests;
    const Milliseconds calls_took = clock_.time - began_ - passed_;
    for (const Prompt& p : prompts) {
      requests.push_back({p.model, p.body, p.endpoint, p.job, p.key, p.priority, p.deadline_in});
      if (p.deadline_in) *requests.back().deadline_in -= calls_took;
    }
    const std::int64_t notified = database_.notifications();
    std::vector<RequestId> ids = database_.enqueue(requests);
    tell_if_notified(notified);
    return ids;
  }
  bool cancel_request(RequestId id) override {
    return order([&] { return database_.cancel_request(id); });
  }
  std::int64_t cancel_job(std::string_view job) override {
    return order([&] { return database_.cancel_job(job); });
  }
  bool retry_request(RequestId id) override {
    return order([&] { return database_.retry_request(id); });
  }
  std::int64_t retry_job(std::string_view job) override {
    return order([&] { return database_.retry_job(job); });
  }
  std::int64_t set_priority(std::string_view job, int priority) override { return database_.set_priority(job, priority); }
  void pause(std::string_view scope) override { database_.pause(scope); }
  bool resume(std::string_view scope) override {
    return order([&] { return database_.resume(scope); });
  }
  AcceptedLoss accept_loss() override {
    const auto [shards, batches] = order([&] { return database_.accept_loss(); });
    return {shards, batches};
  }
  void move() override { database_.move(); }
  void adopt() override {
    order([&] { return database_.adopt(); });
  }

  void pass(Milliseconds time) override {
    clock_.time += time;
    passed_ += time;
  }
  void set_clock(Milliseconds by) override { database_.step_clock(by); }
  std::chrono::steady_clock::time_point now() override { return clock_.now(); }
  Burial bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) override {
    return wait(stores_[0].bury_dead(ttl, last));
  }
  void backup() override { backup_.emplace(database_); }
  void restore() override { database_ = backup_.value(); }
  void promote() override { database_.begin_timeline(); }

  Picture picture() override;
  std::string check() override { return database_.check(); }

 private:
  template <class Order>
  std::invoke_result_t<Order&> order(Order order) {
    const std::int64_t notified = database_.notifications();
    auto result = order();
    tell_if_notified(notified);
    return result;
  }
  void tell_if_notified(std::int64_t before) {
    if (database_.notifications() == before) return;
    for (simulation::FakeStore& store : stores_) store.hint();
  }
  RequestRow to_request(const simulation::RequestRow& row) const;
  ShardRow to_shard(const simulation::ShardRow& row) const;
  bool is_alive(Term term) const {
    const auto& replicas = database_.replica_rows();
    return std::any_of(replicas.begin(), replicas.end(), [term](const auto& row) { return row.term == term; });
  }

  HarnessClock clock_;
  const Milliseconds began_ = clock_.time;
  Milliseconds passed_{0};
  simulation::Dice dice_{1};
  FakeDatabase database_{[this] { return clock_.time; }, dice_};
  std::optional<FakeDatabase> backup_;
  HarnessWire wire_{clock_};
  std::array<simulation::FakeStore, 2> stores_{simulation::FakeStore(database_, wire_, clock_),
                                               simulation::FakeStore(database_, wire_, clock_)};
};

RequestRow FakeStoreHarness::to_request(const simulation::RequestRow& row) const {
  const simulation::RequestView view = database_.request(row.id).value();
  RequestRow r;
  r.id = row.id;
  r.state = view.state == simulation::RequestView::State::queued      ? "queued"
            : view.state == simulation::RequestView::State::in_flight ? "in_flight"
                                                                      : std::string(to_string(view.result->outcome));
  r.attempts = view.attempts;
  r.shard = view.shard;
  r.last_error = row.answer && !row.answer->error.empty() ? row.answer->error : row.attempt_error;
  for (const auto* const table : {&database_.live_shard_rows(), &database_.closed_shard_rows()}) {
    for (const simulation::ShardRow& shard : *table) {
      if (shard.shard.id == view.shard) r.batch = shard.shard.batch;
    }
  }
  return r;
}

ShardRow FakeStoreHarness::to_shard(const simulation::ShardRow& row) const {
  const Shard& from = row.shard;
  ShardRow s;
  s.id = from.id;
  s.state = std::string(to_string(from.state));
  s.deployment = from.deployment;
  s.provider = from.provider;
  s.model = from.lane.model;
  s.endpoint = from.lane.endpoint;
  s.priority = from.priority;
  s.attempt = from.attempt;
  s.requests = from.requests;
  const bool is_merged = from.state == ShardState::merged || from.state == ShardState::closed;
  s.undecided = is_merged ? 0 : from.requests - simulation::bit_count(row.decided);
  s.bytes = from.bytes;
  s.tokens = from.tokens;
  s.reserved = from.reserved;
  s.intent = from.intent;
  s.looks = from.looks;
  s.input_file = text_of(from.input_file);
  s.batch = text_of(from.batch);
  s.batch_status = std::string(to_string(from.batch_status));
  s.output_file = text_of(from.output_file);
  s.error_file = text_of(from.error_file);
  s.finish_reason = std::string(to_string(from.finish_reason));
  s.error = from.error;
  s.failures = from.failures;
  s.denials = from.denials;
  s.short_reads = from.short_reads;
  s.due = row.due_at <= database_.clock();
  if (row.owner && is_alive(*row.owner)) s.owner = row.owner;
  s.accepted = row.accepted_at.has_value();
  s.wished = row.wished_at.has_value();
  s.halved = row.suspect_since.has_value();
  s.trial = row.trial;
  return s;
}

Picture FakeStoreHarness::picture() {
  Picture p;
  for (const simulation::RequestRow& row : database_.request_rows()) {
    p.requests.push_back(to_request(row));
    if (row.answer) p.results.push_back(to_result(row.id, *row.answer));
    auto history = row.history;
    std::stable_sort(history.begin(), history.end(), [](const auto& a, const auto& b) {
      return std::pair(a.attempt, a.finished_at) < std::pair(b.attempt, b.finished_at);
    });
    for (const simulation::AnswerRow& answer : history) p.history.push_back(to_result(row.id, answer));
  }
  for (const auto* const table : {&database_.live_shard_rows(), &database_.closed_shard_rows()}) {
    for (const simulation::ShardRow& row : *table) p.shards.push_back(to_shard(row));
  }
  std::sort(p.shards.begin(), p.shards.end(), [](const ShardRow& a, const ShardRow& b) { return a.id < b.id; });
  for (const auto& [key, row] : database_.submissions()) {
    p.submissions.push_back({key.first, key.second, row.provider, row.input_file, std::string(word_of(row.answer)), row.batch});
  }
  for (const simulation::StrayRow& row : database_.stray_rows()) {
    p.strays.push_back({row.provider, row.stray.batch.value, std::string(word_of(row.kind)), row.stray.shard, row.stray.attempt,
                        std::string(to_string(row.stray.status)), text_of(row.stray.input_file), text_of(row.stray.output_file),
                        text_of(row.stray.error_file), row.over_at.has_value(), row.used_at.has_value(),
                        row.done_at.has_value()});
    if (const auto& counts = row.stray.counts) {
      p.strays.back().total = counts->total;
      p.strays.back().completed = counts->completed;
      p.strays.back().failed = counts->failed;
    }
    p.strays.back().batch_created_at = row.stray.created_at.value_or(-1);
  }
  std::sort(p.strays.begin(), p.strays.end(),
            [](const StrayRow& a, const StrayRow& b) { return std::tie(a.provider, a.batch) < std::tie(b.provider, b.batch); });
  for (const simulation::DeploymentRow& row : database_.deployment_rows()) {
    p.deployments.push_back({row.name, row.provider, row.model, row.limit, row.reserved, row.configured,
                             row.paused_until && *row.paused_until > database_.clock(), row.pause_reason.value_or("")});
  }
  for (const auto& [name, owner] : database_.role_rows()) {
    if (owner && is_alive(*owner)) p.roles.emplace_back(name, *owner);
  }
  for (const simulation::ReplicaRow& row : database_.replica_rows()) p.replicas.push_back(row.term);
  std::sort(p.replicas.begin(), p.replicas.end());
  p.wishes.assign(database_.wishes().begin(), database_.wishes().end());
  p.pauses.assign(database_.pauses().begin(), database_.pauses().end());
  for (const Unmatched& row : database_.unmatched()) p.unmatched.push_back(row.provider + (row.rewound ? " rewound" : " start"));
  return p;
}

}  // namespace

std::unique_ptr<StoreHarness> make_fake_harness() {
  return std::make_unique<FakeStoreHarness>();
}

}  // namespace batchd::conformance
