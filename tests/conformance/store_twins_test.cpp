// Two adapters of the store port, the same calls, the same answers: seeded sequences of everything that replicas, producers and
// people may do, sensible or not, on PostgreSQL and on the simulation's fake side by side. After every call what it returned and
// all that can be seen of both databases must be equal.
//
// BATCHD_TWINS=SEEDS[:FIRST] runs as many sequences, from a seed of one's own.
#include "conformance/store_harness.hpp"
#include "core/orphan.hpp"
#include "simulation/dice.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <functional>
#include <set>
#include <sstream>

namespace batchd::conformance {
namespace {

using simulation::Dice;
using namespace std::chrono_literals;

constexpr int steps = 100;
/// Whatever passes, and whatever is put off, is whole minutes: what PostgreSQL's own clock adds to them is less.
constexpr Milliseconds minute{60'000};

/// What is known on one side; the same things stand at the same places on the other.
struct Side {
  std::unique_ptr<StoreHarness> harness;
  std::vector<Term> terms;
  std::vector<std::size_t> homes;  ///< which replica's store each term was given to
  std::vector<Shard> held;         ///< as leased or saved, some of them long ago
  std::map<ShardId, ShardContents> contents;
  std::vector<Unmatched> unmatched;
  std::vector<WishedBatch> wished;
  std::optional<OrphanTask> orphans;
  std::optional<std::chrono::steady_clock::time_point> looked_at;

  Store& store(std::size_t term) { return harness->store(homes[term]); }
  template <class T>
  T wait(Task<T> task) {
    return harness->wait(std::move(task));
  }
};

class Text {
 public:
  template <class... Parts>
  explicit Text(const Parts&... parts) {
    (add(parts), ...);
  }
  template <class... Parts>
  Text& operator()(const Parts&... parts) {
    (add(parts), ...);
    return *this;
  }
  std::string str() const { return out_.str(); }

 private:
  template <class T>
  void add(const T& part) {
    out_ << part << ' ';
  }
  template <class T>
  void add(const std::optional<T>& part) {
    if (part) {
      add(*part);
    } else {
      out_ << "- ";
    }
  }
  std::ostringstream out_;
};

/// Agrees although a moment went by between the two sides.
std::int64_t about(Milliseconds time) {
  return (time + minute / 2) / minute;
}

std::string describe(const Shard& s) {
  return Text(s.id, s.lane.model, s.lane.endpoint, s.deployment, s.provider, s.priority, to_string(s.state), s.attempt,
              s.requests, s.bytes, s.tokens, s.reserved, s.intent, s.looks, s.input_file, s.batch, to_string(s.batch_status),
              s.output_file, s.error_file, to_string(s.finish_reason), s.error, s.failures, s.unwanted, s.hurried, s.doubtful,
              about(s.intent_age), about(s.state_age))
      .str();
}

std::string describe(const Stray& s) {
  return Text(s.batch, s.shard, s.attempt, to_string(s.status), s.input_file, s.output_file, s.error_file, s.over, s.used,
              about(s.age), about(s.idle), s.holder ? to_string(*s.holder) : "-")
      .str();
}

std::string describe(const DeploymentLoad& d) {
  return Text(d.name, d.provider, d.model, d.limit, d.reserved, d.staged, d.staged_tokens, d.live, d.paused, d.pause_reason)
      .str();
}

std::string describe(const Flow& f) {
  return Text(f.lane.model, f.lane.endpoint, f.job, f.priority, f.requests, f.bytes, f.returned, about(f.waiting),
              f.deadline_in.has_value())
      .str();
}

std::string describe(const BookEntry& e) {
  Text text(e.shard, e.attempt, e.retired, e.recorded, e.announced, e.batch, e.input_file, e.held.has_value());
  if (e.held) text(to_string(e.held->state), e.held->attempt, e.held->intent, e.held->batch, e.held->requests);
  return text.str();
}

std::string describe(const StoreGauges& g) {
  Text text(g.accepted, g.queued, g.in_flight, g.submissions_unknown, about(g.oldest_queued));
  for (const auto* map : {&g.settled, &g.shards, &g.queued_by_model, &g.files}) {
    for (const auto& [name, count] : *map) text(name, count);
  }
  for (const DeploymentLoad& d : g.deployments) text(describe(d));
  return text.str();
}

std::string describe(const ShardContents& contents) {
  std::map<RequestId, std::string> members;
  for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
    const RequestId id = contents.members.at(rank);
    const auto attempts = contents.attempts.find(id);
    members[id] = Text(contents.decided.test(rank), attempts == contents.attempts.end() ? 0 : attempts->second).str();
  }
  Text text;
  for (const auto& [id, member] : members) text(id, member);
  return text.str();
}

template <class List>
std::string describe_all(const List& list) {
  std::string text;
  for (const auto& entry : list) text += describe(entry) + "\n";
  return text;
}

std::string describe(const Side& side, const Picture& p) {
  Text text;
  const auto term = [&](Term t) {
    return static_cast<std::ptrdiff_t>(std::find(side.terms.begin(), side.terms.end(), t) - side.terms.begin());
  };
  const auto result = [&](const char* table, const ResultRow& r) {
    text(table, r.request, r.outcome, r.status_code, r.response, r.error, r.input_tokens, r.output_tokens, r.provider_request_id,
         r.shard, r.attempt, "\n");
  };
  for (const RequestRow& r : p.requests) text("request", r.id, r.state, r.attempts, r.shard, r.batch, r.last_error, "\n");
  for (const ResultRow& r : p.results) result("result", r);
  for (const ResultRow& r : p.history) result("history", r);
  for (const ShardRow& s : p.shards) {
    text("shard", s.id, s.state, s.deployment, s.provider, s.model, s.endpoint, s.priority, s.attempt, s.requests, s.undecided,
         s.bytes, s.tokens, s.reserved, s.intent, s.looks, s.input_file, s.batch, s.batch_status, s.output_file, s.error_file,
         s.finish_reason, s.error, s.failures, s.due ? "due" : "later", s.owner ? std::to_string(term(*s.owner)) : "free",
         s.accepted, s.wished, s.halved, s.trial, "\n");
  }
  for (const SubmissionRow& s : p.submissions)
    text("post", s.shard, s.attempt, s.provider, s.input_file, s.answer, s.batch, "\n");
  for (const StrayRow& s : p.strays) {
    text("stray", s.provider, s.batch, s.kind, s.shard, s.attempt, s.status, s.input_file, s.output_file, s.error_file, s.over,
         s.used, s.done, "\n");
  }
  for (const DeploymentRow& d : p.deployments) {
    text("deployment", d.name, d.provider, d.model, d.limit, d.reserved, d.configured, d.paused, d.reason, "\n");
  }
  for (const auto& [name, owner] : p.roles) text("role", name, term(owner), "\n");
  std::vector<std::ptrdiff_t> alive;
  for (const Term t : p.replicas) alive.push_back(term(t));
  std::sort(alive.begin(), alive.end());
  for (const std::ptrdiff_t t : alive) text("replica", t, "\n");
  for (const RequestId id : p.wishes) text("wish", id, "\n");
  for (const std::string& scope : p.pauses) text("pause", scope, "\n");
  for (const std::string& provider : p.unmatched) text("unmatched", provider, "\n");
  return text.str();
}

class Twins {
 public:
  explicit Twins(std::uint64_t seed) : dice_(seed) {
    sides_[0].harness = make_postgresql_harness();
    sides_[1].harness = make_fake_harness();
  }

  /// "" when both sides agreed to the end.
  std::string run() {
    join();
    // Else a clock that is set is noticed against the time when the template of all databases was made.
    both("look at the clock", [](Side& s) {
      s.looked_at = s.harness->now();
      return Text(s.harness->bury_dead(minute).replicas).str();
    });
    for (int n = 0; n < steps && problem_.empty(); ++n) step();
    if (problem_.empty()) {
      const std::string wrong = sides_[0].harness->check();
      if (!wrong.empty()) problem_ = "PostgreSQL's data do not add up: " + wrong;
    }
    if (problem_.empty()) return {};
    std::string story;
    for (const std::string& told : told_) story += told + "\n";
    return story + problem_;
  }

 private:
  using Act = std::function<std::string(Side&)>;

  /// The same on both sides; what is thrown is an answer, too.
  void both(const std::string& name, const Act& act) {
    if (!problem_.empty()) return;
    told_.push_back(name);
    if (told_.size() > 400) told_.pop_front();
    std::string said[2], seen[2];
    for (std::size_t i = 0; i < 2; ++i) {
      try {
        said[i] = act(sides_[i]);
      } catch (const std::exception& error) {
        said[i] = "an error";
        errors_[i] = error.what();
      }
    }
    for (std::size_t i = 0; i < 2; ++i) {
      picture_ = sides_[i].harness->picture();
      seen[i] = describe(sides_[i], picture_);
    }
    if (said[0] == "an error" && said[1] == "an error") told_.back() += " -> " + errors_[0] + " | " + errors_[1];
    if (said[0] != said[1]) problem_ = "PostgreSQL said\n" + said[0] + errors_[0] + "\nand the fake\n" + said[1] + errors_[1];
    if (problem_.empty() && seen[0] != seen[1]) problem_ = "they are not the same any more:\n" + difference(seen[0], seen[1]);
    errors_[0].clear();
    errors_[1].clear();
  }

  static std::string difference(const std::string& a, const std::string& b) {
    std::string out;
    std::istringstream left(a), right(b);
    std::string l, r;
    while (true) {
      const bool more_left = static_cast<bool>(std::getline(left, l));
      const bool more_right = static_cast<bool>(std::getline(right, r));
      if (!more_left && !more_right) return out;
      if (!more_left) l = "(nothing)";
      if (!more_right) r = "(nothing)";
      if (l != r) out += "PostgreSQL: " + l + "\nfake:       " + r + "\n";
    }
  }

  // Chance ------------------------------------------------------------------------------------------------------------------
  int roll(int most) { return static_cast<int>(dice_.between(std::int64_t{0}, std::int64_t{most})); }
  std::size_t any_term() { return static_cast<std::size_t>(roll(static_cast<int>(sides_[0].terms.size()) - 1)); }
  /// Mostly the latest one.
  std::size_t some_term() { return dice_.flip(0.8) ? sides_[0].terms.size() - 1 : any_term(); }
  std::string job() { return dice_.pick(std::vector<std::string>{"a", "a", "b"}); }
  std::string provider() { return dice_.flip(0.85) ? "prov" : "other"; }
  std::string deployment() { return dice_.pick(std::vector<std::string>{"dep", "dep", "dep", "big", "far", "none"}); }
  RequestId some_request() {
    return RequestId{dice_.between(std::int64_t{1}, static_cast<std::int64_t>(picture_.requests.size()) + 2)};
  }
  ShardId some_shard() { return ShardId{dice_.between(std::int64_t{1}, static_cast<std::int64_t>(picture_.shards.size()) + 2)}; }
  ShardState some_state() {
    return dice_.pick(std::vector<ShardState>{ShardState::planned, ShardState::uploaded, ShardState::submitted,
                                              ShardState::finished, ShardState::merged});
  }
  std::string some_batch() { return "batch-" + std::to_string(roll(8)); }

  // Steps -------------------------------------------------------------------------------------------------------------------
  void step() {
    using Step = void (Twins::*)();
    struct Weighted {
      int weight;
      Step step;
    };
    static const std::vector<Weighted> all{
        {10, &Twins::enqueue}, {8, &Twins::plan},   {10, &Twins::lease}, {24, &Twins::save},   {6, &Twins::lease_one},
        {12, &Twins::settle},  {3, &Twins::split},  {6, &Twins::orders}, {5, &Twins::pauses},  {6, &Twins::replicas},
        {4, &Twins::trust},    {4, &Twins::wishes}, {8, &Twins::books},  {4, &Twins::find},    {3, &Twins::orphans},
        {4, &Twins::look},     {3, &Twins::upkeep}, {5, &Twins::time},   {1, &Twins::history}, {3, &Twins::accounts},
        {6, &Twins::go_on}};
    int sum = 0;
    for (const Weighted& one : all) sum += one.weight;
    int at = roll(sum - 1);
    for (const Weighted& one : all) {
      at -= one.weight;
      if (at < 0) return (this->*one.step)();
    }
  }

  void join() {
    const auto home = static_cast<std::size_t>(roll(1));
    const std::vector<std::string> providers = dice_.flip(0.3) ? std::vector<std::string>{"prov"} : std::vector<std::string>{};
    both("join", [&](Side& s) {
      s.terms.push_back(s.wait(s.harness->store(home).join({"host", 1, "test", providers})));
      s.homes.push_back(home);
      return std::string();
    });
    publish();
    for (const char* role : {"plan", "watch:prov", "watch:other"}) {
      both(std::string("hold ") + role,
           [&](Side& s) { return Text(s.wait(s.store(s.terms.size() - 1).hold_role(s.terms.back(), role))).str(); });
    }
  }

  void publish() {
    const std::size_t term = some_term();
    std::vector<DeploymentSettings> settings{{"dep", "prov", "m", dice_.pick(std::vector<Tokens>{15, 1'000, 100'000})}};
    if (dice_.flip(0.7)) settings.push_back({"big", "prov", "m", 1'000'000});
    if (dice_.flip(0.5)) settings.push_back({"far", "other", "m", 1'000'000});
    both("publish", [&](Side& s) { return Text(s.wait(s.store(term).publish(s.terms[term], settings))).str(); });
  }

  void enqueue() {
    std::vector<Prompt> prompts(static_cast<std::size_t>(roll(4) + 1));
    const bool is_other = dice_.flip(0.1);
    for (Prompt& p : prompts) {
      p.job = job();
      p.priority = dice_.flip(0.2) ? 1 : 0;
      if (is_other) p.model = "other";
      if (dice_.flip(0.2)) p.key = "k" + std::to_string(roll(5));
      if (dice_.flip(0.1)) p.deadline_in = Milliseconds(minutes_[static_cast<std::size_t>(roll(3))]);
      p.body = R"({"n":)" + std::to_string(roll(100'000)) + "}";
    }
    both("enqueue " + std::to_string(prompts.size()), [&](Side& s) {
      Text text;
      for (const RequestId id : s.harness->enqueue(prompts)) {
        text(id);
        if (is_other) others_.insert(id);
      }
      return text.str();
    });
  }

  static std::vector<Flow> flows_of(Side& s) {
    std::vector<Flow> flows = s.wait(s.harness->store(0).backlog());
    // Flows of equal rank come in the order of their ids, which are each side's own.
    std::sort(flows.begin(), flows.end(), [](const Flow& a, const Flow& b) { return order_of(a) < order_of(b); });
    return flows;
  }
  static std::tuple<int, std::string, std::string, std::int64_t, std::int64_t, Bytes> order_of(const Flow& f) {
    return {-f.priority, f.lane.model, f.job, f.deadline_in.value_or(Milliseconds::max()).count(), f.requests, f.bytes};
  }

  void plan() {
    const std::size_t term = some_term();
    PlanOrder order{{"m", "/v1/chat/completions"}, {}, deployment(), roll(5) + 1, dice_.flip(0.3) ? 30 : 100'000, 10, 0.5};
    const auto left_out = static_cast<std::size_t>(roll(4));
    both("plan " + std::to_string(order.max_requests) + " of " + order.deployment + " by " + std::to_string(term), [&](Side& s) {
      PlanOrder mine = order;
      Text text;
      const std::vector<Flow> flows = flows_of(s);
      for (std::size_t i = 0; i < flows.size(); ++i) {
        text(describe(flows[i]), "\n");
        if (i != left_out) mine.flows.push_back(flows[i].id);
      }
      const auto made = s.wait(s.store(term).plan(s.terms[term], mine));
      if (made) text(made->id, made->requests, made->bytes);
      return text.str();
    });
  }

  void lease() {
    const std::size_t term = some_term();
    const ShardState state = some_state();
    const int most = roll(3);
    std::vector<ShardId> busy;
    if (dice_.flip(0.2)) busy.push_back(some_shard());
    both("lease " + std::string(to_string(state)) + " by " + std::to_string(term), [&](Side& s) {
      const auto shards = s.wait(s.store(term).lease(s.terms[term], state, most, busy));
      s.held.insert(s.held.end(), shards.begin(), shards.end());
      return describe_all(shards);
    });
  }

  void lease_one() {
    const std::size_t term = some_term();
    const ShardId shard = some_shard();
    const ShardState state = some_state();
    both("lease " + std::to_string(shard.value), [&](Side& s) {
      const auto leased = s.wait(s.store(term).lease_one(s.terms[term], shard, state));
      if (!leased) return std::string();
      s.held.push_back(*leased);
      return describe(*leased);
    });
  }

  /// One that is held, mostly one of the latest.
  std::optional<std::size_t> some_held() {
    const int count = static_cast<int>(sides_[0].held.size());
    if (count == 0) return std::nullopt;
    const int back = dice_.flip(0.8) ? std::min(roll(3), count - 1) : roll(count - 1);
    return static_cast<std::size_t>(count - 1 - back);
  }

  ShardEvent some_event(const Shard& shard) {
    Batch batch;
    batch.id = BatchId{some_batch()};
    batch.status = dice_.pick(std::vector<BatchStatus>{BatchStatus::validating, BatchStatus::in_progress, BatchStatus::completed,
                                                       BatchStatus::expired, BatchStatus::cancelled, BatchStatus::failed});
    if (dice_.flip(0.7)) batch.output_file_id = FileId{"out-" + std::to_string(roll(5))};
    if (dice_.flip(0.3)) batch.error_file_id = FileId{"err-" + std::to_string(roll(5))};
    if (shard.batch && dice_.flip(0.9)) batch.id = *shard.batch;
    const Milliseconds delay = dice_.flip(0.6) ? 0ms : Milliseconds(minutes_[static_cast<std::size_t>(roll(2))]);
    const FileId file{"file-" + std::to_string(roll(5))};
    const ProviderError refusal{};
    const int kind = roll(15);
    switch (shard.state) {
      case ShardState::planned:
        if (kind < 12) return Uploaded{file, 100 + roll(50), roll(40)};
        if (kind < 13) return GivenUp{};
        if (kind < 14) return Refused{refusal};
        if (kind < 15) return Found{batch, roll(2) + 1, file};
        return Delayed{delay, ""};
      case ShardState::uploaded:
        if (!shard.intent) {
          if (kind < 12) return Intended{};
          if (kind < 13) return GivenUp{};
          if (kind < 14) return FileLost{delay, R"({"code":"x"})"};
          if (kind < 15) return Found{batch, roll(2) + 1, file};
          return Delayed{delay, R"({"code":"y"})"};
        }
        if (kind < 9) return Created{batch};
        if (kind < 11) return NotCreated{refusal, delay};
        if (kind < 12) return Refused{refusal};
        if (kind < 14) return NotFoundInList{delay};
        return Fenced{};
      case ShardState::submitted:
        if (kind < 12) return Ended{batch};
        if (kind < 13) return Vanished{};
        if (kind < 14) return NotRun{delay};
        return Delayed{delay, R"({"code":"answers_lost"})"};
      case ShardState::finished:
        if (kind < 13) return Merged{};
        return Delayed{delay, ""};
      default:
        if (kind < 12) return Closed{};
        return Delayed{delay, ""};
    }
  }

  void save() {
    const auto held = some_held();
    if (!held) return lease();
    const std::size_t term = some_term();
    const ShardEvent event = some_event(sides_[1].held[*held]);
    const bool keep = dice_.flip(0.7);
    both("save " + std::to_string(sides_[1].held[*held].id.value) + " by " + std::to_string(term) + " event " +
             std::to_string(event.index()),
         [&](Side& s) {
           const Shard before = s.held[*held];
           const Shard after = apply(before, event);
           const SaveResult result = s.wait(s.store(term).save(s.terms[term], before, after, keep));
           if (result == SaveResult::saved) s.held.push_back(after);
           return Text(static_cast<int>(result)).str();
         });
  }

  /// The usual way on for something that the latest term holds, so that sequences get far.
  void go_on() {
    for (int n = 0; n < 4; ++n) {
      lease();
      save();
    }
    settle();
  }

  static std::vector<RequestId> undecided(const ShardContents& contents) {
    std::vector<RequestId> ids;
    for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
      if (!contents.decided.test(rank)) ids.push_back(contents.members.at(rank));
    }
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  /// Reads a shard's contents anew, or keeps what was read before.
  void read(ShardId shard) {
    if (sides_[0].contents.contains(shard) && dice_.flip(0.2)) return;
    both("contents " + std::to_string(shard.value), [&](Side& s) {
      ShardContents contents = s.wait(s.harness->store(0).contents(shard));
      std::string text = describe(contents);
      std::map<std::int64_t, std::string> bodies;
      s.wait(s.harness->store(0).read_bodies(shard, contents, [&](RequestId id, std::string_view body) {
        bodies[id.value] = std::string(body);
        return true;
      }));
      for (const auto& [id, body] : bodies) text += Text("\n", id, body).str();
      s.contents.insert_or_assign(shard, std::move(contents));
      return text;
    });
  }

  ShardId some_finished() {
    std::vector<ShardId> finished;
    for (const ShardRow& row : picture_.shards) {
      if (row.state == "finished") finished.push_back(row.id);
    }
    return finished.empty() || dice_.flip(0.1) ? some_shard() : dice_.pick(finished);
  }

  void settle() {
    const std::size_t term = some_term();
    const ShardId shard = some_finished();
    both("lease finished", [&](Side& s) {
      const auto leased = s.wait(s.store(term).lease_one(s.terms[term], shard, ShardState::finished));
      if (leased) s.held.push_back(*leased);
      return leased ? describe(*leased) : std::string();
    });
    read(shard);
    if (!problem_.empty()) return;
    SettleChunk chunk;
    for (const RequestId id : undecided(sides_[0].contents[shard])) {
      const int kind = roll(9);
      if (kind < 5) {
        Settlement one{
            id,
            dice_.pick(std::vector<Outcome>{Outcome::succeeded, Outcome::failed, Outcome::expired, Outcome::cancelled}),
            200,
            R"({"a":1})",
            R"({"code":"c"})",
            Usage{roll(9), roll(9)},
            "req"};
        if (one.outcome == Outcome::succeeded) one.error.clear();
        chunk.settled.push_back(one);
      } else if (kind < 8) {
        chunk.returned.push_back(
            {id, roll(2), dice_.flip(0.5) ? 0ms : Milliseconds(minutes_[0]), dice_.flip(0.5) ? "" : R"({"code":"r"})"});
      }
    }
    both("settle " + std::to_string(shard.value) + " by " + std::to_string(term), [&](Side& s) {
      ShardContents& contents = s.contents[shard];
      for (const Settlement& one : chunk.settled) contents.decided.set(contents.members.rank(one.request).value());
      for (const Return& one : chunk.returned) contents.decided.set(contents.members.rank(one.request).value());
      Text text(s.wait(s.store(term).settle(s.terms[term], shard, contents, chunk)));
      if (roll_of(shard, 4) == 0) text(s.wait(s.store(term).settle(s.terms[term], shard, contents, chunk)));
      return text.str();
    });
  }
  static std::int64_t roll_of(ShardId shard, std::int64_t of) { return shard.value % of; }

  void split() {
    const std::size_t term = some_term();
    const ShardId shard = some_finished();
    const bool trial = dice_.flip(0.7);
    read(shard);
    if (!problem_.empty()) return;
    std::vector<IdRange> part;
    for (const RequestId id : undecided(sides_[0].contents[shard])) {
      if (dice_.flip(0.5)) part.push_back({id.value, id.value});
    }
    both("split " + std::to_string(shard.value), [&](Side& s) {
      if (part.empty()) return std::string();
      ShardContents& contents = s.contents[shard];
      for (const IdRange& range : part) contents.decided.set(contents.members.rank(RequestId{range.first}).value());
      return Text(s.wait(s.store(term).split(s.terms[term], shard, contents, part, trial))).str();
    });
    suspicion(shard);
  }

  /// Of a refused shard only; of another one the port says nothing.
  void suspicion(ShardId shard) {
    const auto is_refused = [shard](const ShardRow& row) { return row.id == shard && row.finish_reason == "refused"; };
    if (std::none_of(picture_.shards.begin(), picture_.shards.end(), is_refused)) return;
    both("suspicion " + std::to_string(shard.value), [&](Side& s) {
      const Suspicion found = s.wait(s.harness->store(0).suspicion(shard));
      return Text(static_cast<int>(found.trial), found.halved, found.lane_works, found.other_suspect).str();
    });
  }

  void orders() {
    const RequestId id = some_request();
    const std::string name = job();
    const int kind = roll(9);
    both("order " + std::to_string(kind) + " " + std::to_string(id.value) + " " + name, [&](Side& s) {
      if (kind < 4) return Text(s.harness->cancel_request(id)).str();
      if (kind < 5) return Text(s.harness->cancel_job(name)).str();
      if (kind < 7) return Text(s.harness->retry_request(id)).str();
      if (kind < 8) return Text(s.harness->retry_job(name)).str();
      if (kind < 9) return Text(s.harness->set_priority(name, kind % 3)).str();
      const AcceptedLoss accepted = s.harness->accept_loss();
      return Text(accepted.shards, accepted.batches).str();
    });
  }

  void pauses() {
    const std::string scope = dice_.pick(std::vector<std::string>{"all", "job:a", "job:b", "deployment:dep", "deployment:big"});
    const bool resume = dice_.flip(0.65);
    both((resume ? "resume " : "pause ") + scope, [&](Side& s) {
      if (resume) return Text(s.harness->resume(scope)).str();
      s.harness->pause(scope);
      return std::string();
    });
  }

  void accounts() {
    const std::size_t term = some_term();
    const std::string name = deployment(), why = dice_.flip(0.5) ? "account" : "quota", of = provider();
    const Milliseconds length{minutes_[static_cast<std::size_t>(roll(2))]};
    const int kind = roll(9);
    both("pause deployment " + name + " " + std::to_string(kind), [&](Side& s) {
      Text text;
      if (kind < 1) s.wait(s.store(term).pause_deployment(s.terms[term], name, why, 0ms, 10min));
      if (kind < 6) s.wait(s.store(term).pause_deployment(s.terms[term], name, why, length, 10min));
      if (kind >= 6) {
        auto lifted = s.wait(s.store(term).retry_account(of));
        std::sort(lifted.begin(), lifted.end());
        for (const std::string& one : lifted) text(one);
      }
      return text.str();
    });
  }

  void replicas() {
    const std::size_t term = any_term();
    const int kind = roll(9);
    if (kind < 2) return join();
    if (kind < 3) return publish();
    const std::string role = dice_.pick(std::vector<std::string>{"plan", "watch:prov", "sweep"});
    both("replica " + std::to_string(term) + " " + std::to_string(kind) + " " + role, [&](Side& s) {
      Text text;
      if (kind < 7) text(static_cast<int>(s.wait(s.store(term).heartbeat(s.terms[term]))));
      if (kind == 7) text(s.wait(s.store(term).hold_role(s.terms[term], role)));
      if (kind == 8) s.wait(s.store(term).drop_role(s.terms[term], role));
      if (kind == 9) s.wait(s.store(term).leave(s.terms[term]));
      return text.str();
    });
  }

  void trust() {
    const std::size_t term = some_term();
    const int kind = roll(19);
    has_backup_ = has_backup_ && kind < 18;
    both("trust " + std::to_string(kind), [&](Side& s) {
      Text text;
      if (kind == 0) s.wait(s.harness->store(0).distrust());
      if (kind < 15) s.unmatched = s.wait(s.harness->store(0).unmatched());
      for (const Unmatched& one : s.unmatched) {
        text(one.provider, one.rewound);
        s.wait(s.store(term).matched(s.terms[term], one));
      }
      if (kind == 19) s.harness->move();
      if (kind >= 18) s.harness->adopt();
      text(s.wait(s.harness->store(0).has_moved()));
      return text.str();
    });
  }

  void wishes() {
    const bool act = dice_.flip(0.6), later = dice_.flip(0.2);
    both("wishes", [&](Side& s) {
      Text text(s.wait(s.harness->store(0).place_wishes(2)));
      if (!later) s.wished = s.wait(s.harness->store(0).wished_batches(5));
      for (const WishedBatch& one : s.wished) {
        text(one.batch.shard, one.batch.batch, to_string(one.batch.status), one.provider, one.wanted);
        if (act) s.wait(s.harness->store(0).forget_wished(one));
      }
      return text.str();
    });
  }

  void books() {
    const std::string of = provider();
    Stray stray;
    stray.batch = BatchId{some_batch()};
    stray.shard = some_shard();
    stray.attempt = roll(2) + 1;
    stray.status = dice_.flip(0.5) ? BatchStatus::in_progress : BatchStatus::completed;
    if (dice_.flip(0.5)) stray.input_file = FileId{"file-" + std::to_string(roll(5))};
    if (dice_.flip(0.5)) stray.output_file = FileId{"out-" + std::to_string(roll(5))};
    stray.over = dice_.flip(0.3);
    stray.used = dice_.flip(0.3);
    const auto kind = static_cast<StrayKind>(dice_.flip(0.8) ? 0 : roll(2));
    std::vector<Claim> claims;
    for (int n = roll(4); n >= 0; --n) {
      Claim claim{BatchId{some_batch()}, std::nullopt, roll(2) + 1, std::nullopt};
      if (dice_.flip(0.6)) claim.shard = some_shard();
      if (dice_.flip(0.7)) claim.input_file = FileId{"file-" + std::to_string(roll(5))};
      claims.push_back(claim);
    }
    std::vector<LiveBatch> noted{{some_shard(), BatchId{some_batch()}, BatchStatus::in_progress}};
    const std::size_t term = some_term();
    const int what = roll(9);
    const bool done = dice_.flip(0.3);
    both("books " + std::to_string(what) + " of " + of, [&](Side& s) {
      Store& store = s.store(term);
      Text text;
      if (what < 3) text(s.wait(store.record_stray(of, kind, stray)));
      if (what == 3) s.wait(store.update_stray(of, stray, done));
      if (what == 4) s.wait(store.file_ceiling_reached(of));
      if (what == 5) {
        noted.push_back({noted[0].shard, {}, BatchStatus::finalizing});
        for (const LiveBatch& live : s.wait(store.live_batches(of))) {
          noted[1] = {live.shard, live.batch, BatchStatus::finalizing};
          text(live.shard, live.batch, to_string(live.status));
        }
        s.wait(store.note_status(s.terms[term], noted));
        noted.pop_back();
      }
      text(describe_all(s.wait(store.look_up(of, claims))), s.wait(store.wants_walks(of)));
      text(describe_all(s.wait(store.open_strays(of))), describe_all(s.wait(store.strays_of(stray.shard))));
      return text.str();
    });
  }

  void find() {
    FoundBatch found;
    found.provider = provider();
    found.batch = BatchId{some_batch()};
    // Only numbers that nobody has are given, as the port says.
    if (dice_.flip(0.5)) found.shard = ShardId{next_number_ += 3};
    found.attempt = roll(2) + 1;
    found.input_file = FileId{"file-" + std::to_string(roll(5))};
    if (dice_.flip(0.5)) found.model = deployment();
    found.tokens = roll(60);
    std::set<RequestId> lines;
    for (int n = roll(5); n >= 0; --n) lines.insert(some_request());
    std::erase_if(lines, [this](RequestId id) { return others_.contains(id); });  // a batch is of one lane
    for (const RequestId id : lines) found.lines.push_back({id, roll(2) + 1});
    const std::size_t term = some_term();
    both("bind_found " + found.batch.value + " of " + found.provider + " by " + std::to_string(term), [&](Side& s) {
      if (found.shard) s.wait(s.store(term).skip_shards(*found.shard));
      const auto bound = s.wait(s.store(term).bind_found(s.terms[term], found));
      return bound ? Text(bound->id, bound->requests).str() : std::string("nothing");
    });
  }

  void orphans() {
    const std::string of = provider();
    const std::size_t term = some_term();
    std::vector<ShardId> shards;
    for (int n = roll(4); n >= 0; --n) shards.push_back(some_shard());
    const int kind = roll(5);
    both("orphans " + std::to_string(kind) + " of " + of, [&](Side& s) {
      Text text;
      if (kind == 0) s.wait(s.store(term).suspect_orphans(of));
      s.orphans = s.wait(s.store(term).orphans_due(of));
      text(s.orphans.has_value());
      if (s.orphans && kind > 3) s.wait(s.store(term).orphans_swept(s.terms[term], of, *s.orphans));
      const FileBooks books = s.wait(s.store(term).file_books(of, shards));
      std::map<ShardId, FileOwner> owners(books.shards.begin(), books.shards.end());
      std::set<FileId> needed(books.needed.begin(), books.needed.end());
      text(books.trusted);
      for (const auto& [id, owner] : owners) text(id, owner.input_file, owner.attempt, owner.planned, owner.uploading);
      for (const FileId& file : needed) text(file);
      return text.str();
    });
  }

  void look() {
    both("look", [&](Side& s) {
      Store& store = s.harness->store(0);
      Text text(describe(s.wait(store.gauges())), describe_all(s.wait(store.deployments())));
      std::vector<std::string> jobs;
      for (const JobProgress& j : s.wait(store.jobs(10))) {
        jobs.push_back(
            Text(j.job, j.queued, j.in_flight, j.succeeded, j.failed, j.cancelled, j.expired, j.input_tokens, j.output_tokens)
                .str());
      }
      std::sort(jobs.begin(), jobs.end());
      for (const std::string& one : jobs) text(one);
      return text.str();
    });
    suspicion(some_shard());
  }

  void upkeep() {
    const std::size_t term = some_term();
    const int kind = roll(9);
    both("upkeep " + std::to_string(kind), [&](Side& s) {
      Store& store = s.store(term);
      if (kind < 3) return Text(s.wait(store.expire_overdue(s.terms[term]))).str();
      if (kind < 5) return Text(s.wait(store.fail_unroutable(s.terms[term], {"m"}, Milliseconds(minutes_[0])))).str();
      if (kind < 7) return Text(s.wait(store.retire(s.terms[term], Milliseconds(minutes_[1])))).str();
      s.wait(store.maintain());
      return std::string();
    });
  }

  void time() {
    const Milliseconds went_by{minutes_[static_cast<std::size_t>(roll(1))]};
    const int kind = roll(19);
    const std::size_t quiet = any_term();
    both("time " + std::to_string(kind), [&](Side& s) {
      Text text;
      if (kind < 14) s.harness->pass(went_by);
      if (kind == 18) s.harness->set_clock(-10min);
      if (kind == 19) s.harness->set_clock(10min);
      if (kind < 9) {
        for (std::size_t t = 0; t < s.terms.size(); ++t) {
          if (t != quiet || kind > 1) text(static_cast<int>(s.wait(s.store(t).heartbeat(s.terms[t]))));
        }
      }
      if (kind < 12 || kind > 17) {
        const auto now = s.harness->now();
        const Burial burial = s.harness->bury_dead(30s, s.looked_at);
        s.looked_at = now;
        text(burial.replicas, burial.clock_step < -minute / 2 ? "back" : burial.clock_step > minute / 2 ? "on" : "the same");
      }
      return text.str();
    });
  }

  void history() {
    const int kind = roll(3);
    if (kind == 0 || !has_backup_) {
      has_backup_ = true;
      return both("backup", [](Side& s) {
        s.harness->backup();
        return std::string();
      });
    }
    // A backup of before is of another place or history of the server, which PostgreSQL's harness cannot tell.
    has_backup_ = kind == 1;
    both("history " + std::to_string(kind), [&](Side& s) {
      if (kind < 3) s.harness->restore();
      if (kind > 1) s.harness->promote();
      return std::string();
    });
  }

  const std::vector<std::int64_t> minutes_{60'000, 120'000, 300'000, -60'000};
  Dice dice_;
  Side sides_[2];
  Picture picture_;             ///< after the last step
  std::set<RequestId> others_;  ///< requests of another model
  std::int64_t next_number_ = 1'000;
  bool has_backup_ = false;
  std::deque<std::string> told_;
  std::string errors_[2];
  std::string problem_;
};

TEST(StoreTwins, TheFakeDoesWhatPostgreSqlDoes) {
  int seeds = 4;
  std::uint64_t first = 1;
  if (const char* const asked = std::getenv("BATCHD_TWINS")) {
    const std::string text = asked;
    seeds = std::stoi(text);
    if (const auto colon = text.find(':'); colon != std::string::npos) first = std::stoull(text.substr(colon + 1));
  }
  for (std::uint64_t seed = first; seed < first + static_cast<std::uint64_t>(seeds); ++seed) {
    const std::string problem = Twins(seed).run();
    ASSERT_EQ(problem, "") << "BATCHD_TWINS=1:" << seed << " shows it again";
  }
}

}  // namespace
}  // namespace batchd::conformance
