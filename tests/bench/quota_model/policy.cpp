// batchd, as far as its policy goes: plan, stage, submit, poll and learn, each when the daemon would.
#include "quota_model/contenders.hpp"

#include "core/backoff.hpp"
#include "core/packer.hpp"
#include "core/tokens.hpp"

#include <algorithm>
#include <tuple>

namespace batchd::bench {
namespace {

constexpr Time poll_interval{60'000};
constexpr Time probe_after{60'000};
constexpr Time look_at_rooms{10'000};
constexpr Time look_for_room{1'000};
constexpr std::int64_t most_rows = 100'000;
constexpr Bytes most_bytes = 200'000'000;
constexpr Bytes line_bytes = 110;
constexpr int uploads_at_once = 2;

struct Staged {
  File file;
  bool ready = false;
  int failures = 0;
  Time due{0};
  std::optional<Time> passed;

  auto place() const { return std::tuple(-file.priority, file.id); }
};

class Batchd final : public Contender {
 public:
  explicit Batchd(World& world) : world_(world) {
    room_.limit = room_.believed = world.configured();
    room_.dynamic_limit = world.scenario().dynamic_limit;
    room_.told_age = room_.settled_for = std::chrono::hours{24};
    world.ledger = [this] { return std::pair(room_.believed, reserved_); };
    poll();
    probe();
  }

  std::string name() const override { return "batchd"; }

  void settle() override {
    while (plan()) {
    }
    stage();
    while (submit()) {
    }
    world_.staged = 0;
    for (const Staged& one : staged_) world_.staged += one.file.tokens;
  }

 private:
  Room room() const {
    Room now = room_;
    now.settled_for += world_.now() - settled_at_;
    now.told_age += world_.now() - told_at_;
    if (ended_at_) now.since_end = world_.now() - *ended_at_;
    return now;
  }

  RoomUse use() const {
    RoomUse use{reserved_, 0, 0};
    for (const auto& [tokens, until] : leaving_) use.leaving += until > world_.now() ? tokens : 0;
    for (const Staged& one : staged_) use.largest_waiting = std::max(use.largest_waiting, one.ready ? one.file.tokens : 0);
    return use;
  }

  void learn(const RoomLesson& lesson) {
    const Room before = room();
    room_ = batchd::learn(before, use(), lesson);
    settled_at_ = told_at_ = world_.now();
  }

  bool plan() {
    std::vector<Flow> flows;
    for (const Heap& heap : world_.heaps()) {
      Flow flow;
      flow.id = heap.id;
      flow.lane = {"m", std::to_string(heap.id.value)};  // kinds do not share files here
      flow.priority = heap.priority;
      flow.requests = heap.rows;
      flow.bytes = heap.rows * heap.row_bytes;
      flow.waiting = world_.now() - heap.since;
      flows.push_back(flow);
    }
    PackTarget target;
    target.load.name = "d";
    target.load.model = "m";
    target.load.limit = room_.limit;
    target.load.reserved = reserved_;
    target.load.room = room_;
    target.load.staged = static_cast<int>(staged_.size());
    for (const Staged& one : staged_) target.load.staged_tokens += one.file.tokens;
    target.max_requests = most_rows;
    target.max_bytes = most_bytes;
    target.bytes_per_request = line_bytes;
    const auto order = next_order(flows, {target}, PackPolicy{});
    if (!order) return false;
    for (Heap& heap : world_.heaps()) {
      if (heap.id != order->flows.front()) continue;
      const std::int64_t by_bytes = order->max_bytes / (heap.row_bytes + line_bytes);
      Staged made;
      made.file = world_.take(heap, std::min(order->max_requests, by_bytes), room_.limit);
      staged_.push_back(made);
    }
    return true;
  }

  void stage() {
    for (Staged& one : staged_) {
      if (one.ready || uploading_ >= uploads_at_once || one.due > Time{0}) continue;
      ++uploading_;
      one.due = world_.now() + Time{2'000 + one.file.bytes / 20'000};  // 20 MB/s
      world_.at(one.due, [this, id = one.file.id] {
        --uploading_;
        for (Staged& done : staged_) done.ready = done.ready || done.file.id == id;
      });
    }
  }

  /// As gets_room() of the migrations has it.
  bool gets_room(const Staged& one) const {
    if (!has_room(room(), use(), one.file.tokens)) return false;
    return std::none_of(staged_.begin(), staged_.end(), [&](const Staged& other) {
      return other.ready && other.passed && *other.passed + longest_passing(turnaround_) < world_.now() &&
             other.due <= world_.now() && other.place() < one.place();
    });
  }

  bool submit() {
    Staged* best = nullptr;
    for (Staged& one : staged_) {
      if (!one.ready || one.due > world_.now()) continue;
      if (is_too_large(room(), one.file.rows, one.file.tokens)) {
        give_up(one);
        return true;
      }
      if (gets_room(one) && (!best || one.place() < best->place())) best = &one;
    }
    if (!best) return false;
    const File file = best->file;
    reserved_ += file.tokens;
    for (Staged& other : staged_) {
      const bool waits = other.ready && other.due <= world_.now() && other.place() < best->place();
      if (waits && !other.passed && !has_room(room(), use(), other.file.tokens)) other.passed = world_.now();
    }
    const Post answer = world_.post(file);
    if (answer.refused) {
      learn(answer.refusal);
      reserved_ -= file.tokens;
      later(*best);
      return true;
    }
    if (answer.headers.maximum) learn(answer.headers);
    live_[answer.batch] = {*best, world_.now(), answer.refusal};
    std::erase_if(staged_, [&](const Staged& one) { return one.file.id == file.id; });
    return true;
  }

  void later(Staged& one) {
    ++one.failures;
    const BackoffPolicy policy{Milliseconds{10'000}, Milliseconds{300'000}};
    one.due = world_.now() + backoff(policy, one.failures, static_cast<std::uint64_t>(one.file.id));
    world_.at(one.due, [] {});
  }

  void give_up(const Staged& one) {
    const File file = one.file;
    for (Heap& heap : world_.heaps()) {
      if (heap.row_bytes * file.rows == file.bytes && heap.priority == file.priority) heap.rows += file.rows;
    }
    std::erase_if(staged_, [&](const Staged& other) { return other.file.id == file.id; });
  }

  void poll() {
    for (const Ended& over : world_.list()) {
      const Live live = live_.at(over.batch);
      live_.erase(over.batch);
      if (over.refused) {
        learn(live.refusal);
        reserved_ -= live.staged.file.tokens;
        staged_.push_back(live.staged);
        later(staged_.back());
        continue;
      }
      reserved_ -= live.staged.file.tokens;
      ended_at_ = world_.now();
      turnaround_ = usual_turnaround(turnaround_, world_.now() - live.since);
      std::erase_if(leaving_, [this](const auto& entry) { return entry.second <= world_.now(); });
      if (room_.release_lag > Time{0}) {
        leaving_.emplace_back(live.staged.file.tokens, world_.now() + room_.release_lag);
        world_.at(world_.now() + room_.release_lag + look_for_room, [] {});
      }
      for (Staged& one : staged_) {  // what was refused for want of room is due when a batch ends
        if (one.failures > 0 && one.ready) one.due = world_.now();
      }
    }
    world_.at(world_.now() + poll_interval, [this] { poll(); });
  }

  void probe() {
    if (wants_quiet(room(), use(), probe_after)) learn(RoomQuiet{probe_after});
    world_.at(world_.now() + look_at_rooms, [this] { probe(); });
  }

  struct Live {
    Staged staged;
    Time since{0};
    RoomRefused refusal;
  };

  World& world_;
  Room room_;
  Time settled_at_{0}, told_at_{0};
  std::optional<Time> ended_at_, turnaround_;
  Tokens reserved_ = 0;
  std::vector<std::pair<Tokens, Time>> leaving_;
  std::vector<Staged> staged_;
  std::map<std::int64_t, Live> live_;
  int uploading_ = 0;
};

}  // namespace

std::unique_ptr<Contender> make_batchd(World& world) {
  return std::make_unique<Batchd>(world);
}

}  // namespace batchd::bench
