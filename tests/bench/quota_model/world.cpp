#include "quota_model/world.hpp"

#include <algorithm>
#include <cmath>

namespace batchd::bench {
namespace {

constexpr Time minute{60'000};
constexpr Time hour{3'600'000};

double hours(Time time) {
  return static_cast<double>(time.count()) / 3'600'000.0;
}

Tokens part(Tokens whole, double share) {
  return static_cast<Tokens>(static_cast<double>(whole) * share);
}

}  // namespace

World::World(const Scenario& scenario, std::uint64_t seed, Time lasts)
    : scenario_(scenario), random_(seed), fate_(seed + 1), lasts_(lasts), limit_(scenario.limit) {
  heaps_.push_back({FlowId{1}, 0, 0, 1200, 0.22, {}});
  if (scenario.work == Scenario::Work::mixed) {
    heaps_.push_back({FlowId{2}, 0, 0, 90'000, 0.25, {}});
    heaps_.push_back({FlowId{3}, 5, 0, 400, 0.2, {}});
  }
  at(Time{0}, [this] { arrive(); });
  if (scenario.others > 0) at(Time{0}, [this] { change_others(); });
  if (scenario.dynamic_limit > 0) at(Time{0}, [this] { change_limit(); });
}

void World::at(Time when, std::function<void()> what) {
  events_.push({when, order_++, std::move(what)});
}

void World::run(const std::function<void()>& settle) {
  while (!events_.empty() && events_.top().when < lasts_) {
    const Event event = events_.top();
    events_.pop();
    pass(event.when);
    event.what();
    settle();
  }
  pass(lasts_);
}

bool World::has_backlog() const {
  double waiting = static_cast<double>(staged);
  for (const Heap& heap : heaps_)
    waiting += static_cast<double>(heap.rows) * static_cast<double>(heap.row_bytes) * heap.tokens_per_byte;
  return waiting > static_cast<double>(scenario_.limit) / 12;
}

Tokens World::available() const {
  return std::max<Tokens>(limit_ - others_, 1);
}

/// Keeps the account of the time up to an event.
void World::pass(Time until) {
  const double took = hours(until - now_);
  if (took > 0 && has_backlog()) {
    const double share = std::min(1.0, static_cast<double>(running_) / static_cast<double>(available()));
    backlog_ += took;
    used_ += took * share;
    auto& [length, sum] = hours_[now_ / hour];
    length += took;
    sum += took * share;
    const auto [believed, held] = ledger();
    used_believed_ += took * static_cast<double>(held) / static_cast<double>(std::max<Tokens>(believed, 1));
    believed_ += took * static_cast<double>(believed) / static_cast<double>(available());
  }
  now_ = until;
}

/// Rows come a third faster than the quota can take them in the long run; bursts bring the same on three days of the week.
void World::arrive() {
  const double mean_hours = scenario_.median_hours * std::exp(scenario_.sigma * scenario_.sigma / 2);
  const double tokens_a_minute = static_cast<double>(std::max(scenario_.limit, scenario_.dynamic_limit)) / mean_hours / 60;
  const bool bursty = scenario_.work == Scenario::Work::bursty;
  const bool on = !bursty || (now_ / (8 * hour)) % 3 == 0;
  const double rate = (bursty ? 2.5 : scenario_.by_size ? 3 : 1.5) * tokens_a_minute;
  const double shares[] = {scenario_.work == Scenario::Work::mixed ? 0.5 : 1.0, 0.49, 0.01};
  for (std::size_t i = 0; on && i < heaps_.size(); ++i) {
    Heap& heap = heaps_[i];
    // Nobody lets a queue grow for ever: producers stop while a day's work waits.
    const double row_tokens = static_cast<double>(heap.row_bytes) * heap.tokens_per_byte;
    if (static_cast<double>(heap.rows) * row_tokens > tokens_a_minute * 1440) continue;
    if (heap.rows == 0) heap.since = now_;
    heap.rows += static_cast<std::int64_t>(rate * shares[i] / row_tokens + fate());
  }
  at(now_ + minute, [this] { arrive(); });
}

void World::change_others() {
  others_ = part(scenario_.limit, fate() * scenario_.others);
  at(now_ + minute + Time{static_cast<std::int64_t>(-std::log(1 - fate()) * 6 * 3'600'000)}, [this] { change_others(); });
}

void World::change_limit() {
  limit_ = scenario_.limit + part(scenario_.dynamic_limit - scenario_.limit, fate());
  at(now_ + Time{static_cast<std::int64_t>((2 + 4 * fate()) * 3'600'000)}, [this] { change_limit(); });
}

File World::take(Heap& heap, std::int64_t most_rows, Tokens most_tokens) {
  const double row_tokens = static_cast<double>(heap.row_bytes) * heap.tokens_per_byte;
  const auto fit = static_cast<std::int64_t>(static_cast<double>(most_tokens) / row_tokens);
  File file;
  file.id = next_file_++;
  file.rows = std::clamp<std::int64_t>(std::min(most_rows, fit), 1, std::max<std::int64_t>(heap.rows, 1));
  file.priority = heap.priority;
  file.bytes = file.rows * heap.row_bytes;
  file.tokens = static_cast<Tokens>(static_cast<double>(file.bytes) * heap.tokens_per_byte * (0.97 + 0.06 * flip())) + 1;
  heap.rows -= file.rows;
  heap.since = now_;
  return file;
}

Time World::draw_turnaround(Tokens tokens) {
  std::normal_distribution<double> normal(0, scenario_.sigma);
  double took = scenario_.median_hours * std::exp(normal(random_));
  if (scenario_.by_size) took *= 0.4 + 0.6 * 24 * static_cast<double>(tokens) / static_cast<double>(scenario_.limit);
  return Time{static_cast<std::int64_t>(std::clamp(took, 0.01, 24.0) * 3'600'000)};
}

Post World::post(const File& file) {
  Post answer;
  ++account_.posts;
  if (running_ + file.tokens > limit_) ++account_.overruns;
  const bool full = running_ + lagging_ + others_ + file.tokens > limit_;
  if (full) {
    ++account_.refusals;
    answer.refusal = {file.tokens, scenario_.names_limit ? std::optional(limit_) : std::nullopt};
  }
  if (full && !scenario_.late) {
    answer.refused = true;
    return answer;
  }
  const std::int64_t batch = answer.batch = next_batch_++;
  live_[batch] = {file.tokens, file.rows, full};
  if (!full) running_ += file.tokens;
  if (scenario_.headers) answer.headers = {running_ + lagging_ + others_, limit_};
  const Time took = full ? Time{120'000 + static_cast<std::int64_t>(flip() * 300'000)} : draw_turnaround(file.tokens);
  at(now_ + took, [this, batch] {
    const Live over = live_[batch];
    live_.erase(batch);
    ended_.push_back({batch, over.refused});
    if (over.refused) return;
    running_ -= over.tokens;
    account_.answered += over.tokens;
    account_.answered_rows += over.rows;
    if (scenario_.release_lag == Time{0}) return;
    lagging_ += over.tokens;
    at(now_ + scenario_.release_lag, [this, tokens = over.tokens] { lagging_ -= tokens; });
  });
  return answer;
}

std::vector<Ended> World::list() {
  return std::exchange(ended_, {});
}

World::Account World::account() const {
  Account account = account_;
  const double whole = std::max(backlog_, 1e-9);
  account.backlog_hours = backlog_;
  account.used = used_ / whole;
  account.used_believed = used_believed_ / whole;
  account.believed = believed_ / whole;
  const std::int64_t last = lasts_ / hour;
  for (std::int64_t i = 0; i < last; ++i) {
    const auto found = hours_.find(i);
    const bool any = found != hours_.end() && found->second.first > 0.5;
    account.by_hour.push_back(any ? static_cast<float>(found->second.second / found->second.first) : -1.0F);
  }
  return account;
}

}  // namespace batchd::bench
