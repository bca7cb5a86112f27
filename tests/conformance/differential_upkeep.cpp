// Random steps of producers, of people, of replicas' upkeep, and of time.
#include "conformance/differential.hpp"

#include <algorithm>

namespace batchd::conformance {
namespace {

const std::vector<std::string> jobs{"a", "b", "c"};
const std::vector<std::string> providers{"p", "q"};
const std::vector<std::string> roles{"plan", "plan", "watch:p", "watch:q", "sweep"};
const std::vector<std::string> scopes{"all", "job:a", "job:b", "job:a", "job:b", "deployment:d1", "deployment:d2"};

Prompt draw_prompt(simulation::Dice& dice) {
  Prompt prompt;
  prompt.model = dice.pick(std::vector<std::string>{"m", "m", "m", "m", "n", "nobody's"});
  if (chance(dice, 20)) prompt.endpoint = "/v1/embeddings";
  prompt.job = dice.pick(jobs);
  if (chance(dice, 30)) prompt.key = "k" + std::to_string(dice.between(std::int64_t{0}, std::int64_t{30}));
  if (chance(dice, 30)) prompt.priority = static_cast<int>(dice.between(std::int64_t{-1}, std::int64_t{2}));
  if (chance(dice, 20)) prompt.deadline_in = minutes_and_a_half(dice.between(std::int64_t{-2}, std::int64_t{90}));
  prompt.body = "\"" + std::string(static_cast<std::size_t>(dice.between(std::int64_t{0}, std::int64_t{200})), 'x') + "\"";
  return prompt;
}

/// A statement for each kind: within one, which flow began to wait first is chance.
Step enqueue(simulation::Dice& dice) {
  std::vector<std::vector<Prompt>> statements;
  std::string what = "enqueue";
  const auto kinds = dice.between(std::int64_t{1}, std::int64_t{3});
  for (int i = 0; i < kinds; ++i) {
    const Prompt p = draw_prompt(dice);
    statements.emplace_back(static_cast<std::size_t>(dice.between(std::int64_t{1}, std::int64_t{6})), p);
    what += " " + std::to_string(statements.back().size()) + " " + p.model + p.endpoint + "/" + p.job;
    if (!p.key.empty()) what += "/" + p.key;
    if (p.deadline_in) what += "/" + std::to_string(p.deadline_in->count() / 1000) + "s";
  }
  return {what, [statements](Side& s) {
            std::string told;
            for (const auto& prompts : statements) {
              const auto ids = s.harness->enqueue(prompts);
              for (const RequestId id : ids) s.lanes[id] = {prompts.front().model, prompts.front().endpoint};
              told += tell_all(s, ids);
            }
            return told;
          }};
}

Step order_about_a_request(simulation::Dice& dice, const Side& side) {
  const std::size_t which = one_of(dice, side.requests.ids().size());
  const bool cancel = chance(dice, 70);
  return {(cancel ? "cancel r" : "retry r") + std::to_string(which), [=](Side& s) {
            const RequestId id = s.requests.ids().at(which);
            return yes(cancel ? s.harness->cancel_request(id) : s.harness->retry_request(id));
          }};
}

Step order_about_a_job(simulation::Dice& dice) {
  const std::string job = dice.pick(jobs);
  const int n = static_cast<int>(dice.between(std::int64_t{-1}, std::int64_t{3}));
  if (chance(dice, 50)) {
    return {"set the priority of " + job + " to " + std::to_string(n),
            [=](Side& s) { return std::to_string(s.harness->set_priority(job, n)); }};
  }
  return {"cancel job " + job, [=](Side& s) { return std::to_string(s.harness->cancel_job(job)); }};
}

Step pause_or_resume(simulation::Dice& dice) {
  const std::string scope = dice.pick(scopes);
  if (chance(dice, 75)) return {"resume " + scope, [=](Side& s) { return yes(s.harness->resume(scope)); }};
  return {"pause " + scope, [=](Side& s) {
            s.harness->pause(scope);
            return std::string();
          }};
}

Step join(simulation::Dice& dice) {
  ReplicaInfo info{"host", 1, "test", {}};
  if (chance(dice, 25)) info.providers = chance(dice, 50) ? providers : std::vector<std::string>{dice.pick(providers)};
  return {"join with " + std::to_string(info.providers.size()) + " providers", [info](Side& s) {
            s.terms.push_back(s.wait(s.store_of(s.terms.size()).join(info)));
            return tell(s, s.terms.back());
          }};
}

bool take_role(Side& s, std::size_t term, const std::string& role) {
  const bool held = s.wait(s.store_of(term).hold_role(s.terms.at(term), role));
  if (held && role == "plan") s.planner = term;
  return held;
}

/// Judges who is dead, as a replica does it again and again.
std::string bury(Side& s) {
  const auto asked = s.harness->now();
  const Burial burial = s.harness->bury_dead(std::chrono::seconds(50), s.buried);
  s.buried = asked;
  const auto step = burial.clock_step.count();
  const std::int64_t minutes = (step + (step < 0 ? -30'000 : 30'000)) / 60'000;
  return std::to_string(burial.replicas) + " and " + std::to_string(minutes) + "min";
}

Step set_clock(Plot& plot) {
  const bool forward = chance(plot.dice, 50);
  if (forward) plot.minutes += 10;
  return {std::string("the database's clock is set ") + (forward ? "forward" : "back"), [=](Side& s) {
            const std::string before = bury(s);
            s.harness->set_clock(std::chrono::minutes(forward ? 10 : -10));
            s.flows.clear();
            s.contents.clear();
            s.settled.reset();
            return before + ", then " + bury(s);
          }};
}

Step pass_time(Plot& plot) {
  const std::int64_t minutes = plot.dice.pick(std::vector<std::int64_t>{1, 1, 2, 3, 11, 60, 49 * 60});
  plot.minutes += static_cast<int>(minutes);
  return silent_step(std::to_string(minutes) + " minutes pass", [=](Side& s) {
    s.harness->pass(std::chrono::minutes(minutes));
    // Where deadlines come nearer the harness gives flows other ids; nobody remembers the old ones.
    s.flows.clear();
    s.contents.clear();
    s.settled.reset();
  });
}

void restore(Side& s) {
  s.harness->restore();
  s.requests = s.backup->requests;
  s.shards = s.backup->shards;
  // Numbers given out since may be given out again, and not in the same order on both sides.
  const auto forgotten = [&s](ShardId id) { return id.value < 900'000 && !s.shards.knows(id); };
  std::erase_if(s.held, [&](const Held& h) { return forgotten(h.shard.id); });
  std::erase_if(s.contents, [&](const HeldContents& h) { return forgotten(h.shard); });
  std::erase_if(s.wished, [&](const WishedBatch& w) { return forgotten(w.batch.shard); });
  std::erase_if(s.strays, [&](const Stray& stray) { return forgotten(stray.shard); });
  s.flows.clear();
  s.settled.reset();
}

Step sweep(Plot& plot, std::size_t term, const std::string& provider) {
  const bool due = plot.minutes - plot.suspected_at[provider] >= 10;
  const bool suspect = chance(plot.dice, 30) || due;
  if (suspect) plot.suspected_at[provider] = plot.minutes;
  const std::int64_t others = plot.minutes % 7;
  return {"t" + std::to_string(term) + " sweeps " + provider + (suspect ? ", suspected" : ""), [=](Side& s) {
            Store& store = s.store_of(term);
            const auto task = s.wait(store.orphans_due(provider));
            if (task) s.wait(store.orphans_swept(s.terms.at(term), provider, *task, others));
            // After a while without suspicion the next time is a random one.
            if (suspect) s.wait(store.suspect_orphans(provider));
            const auto again = s.wait(store.orphans_due(provider));
            return yes(task.has_value()) + ", then " + yes(again.has_value());
          }};
}

Step publish(simulation::Dice& dice, std::size_t term) {
  const Tokens limit = dice.pick(std::vector<Tokens>{40, 90, 200});
  std::vector<DeploymentSettings> deployments{{"d1", "p", "m", limit}, {"d2", "q", "m", 300}, {"d3", "p", "n", 1000}};
  if (chance(dice, 25)) deployments.pop_back();
  if (chance(dice, 15)) deployments.erase(deployments.begin());
  return {"t" + std::to_string(term) + " publishes " + std::to_string(deployments.size()) + ", limit " + std::to_string(limit),
          [=](Side& s) { return yes(s.wait(s.store_of(term).publish(s.terms.at(term), deployments))); }};
}

Step match(simulation::Dice& dice, std::size_t term) {
  const bool stale = chance(dice, 15);
  const std::size_t which = static_cast<std::size_t>(dice.next() % 8);
  return {"t" + std::to_string(term) + (stale ? " matches an old mark" : " matches all"), [=](Side& s) {
            std::string told;
            const auto now = s.wait(s.store_of(term).unmatched());
            for (const Unmatched& u : now) told += u.provider + (u.rewound ? " rewound; " : " start; ");
            if (stale && !s.unmatched.empty()) {
              s.wait(s.store_of(term).matched(s.terms.at(term), s.unmatched[which % s.unmatched.size()]));
            } else {
              for (const Unmatched& u : now) s.wait(s.store_of(term).matched(s.terms.at(term), u));
            }
            s.unmatched.insert(s.unmatched.end(), now.begin(), now.end());
            return told;
          }};
}

}  // namespace

Step draw_order(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  const auto roll = dice.between(std::int64_t{0}, std::int64_t{99});
  if (roll < 62 || side.requests.ids().empty()) return enqueue(dice);
  if (roll < 78) return order_about_a_request(dice, side);
  if (roll < 84) return order_about_a_job(dice);
  return pause_or_resume(dice);
}

Step draw_upkeep(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  if (side.terms.size() < 2) return join(dice);
  const std::size_t term = draw_term(dice, side);
  const std::string who = "t" + std::to_string(term);
  const std::string role = dice.pick(roles);
  const std::string provider = dice.pick(providers);
  switch (dice.between(std::int64_t{0}, std::int64_t{15})) {
    case 0:
      return join(dice);
    case 1:
    case 2:
    case 3:
      return {who + " beats",
              [=](Side& s) { return std::to_string(static_cast<int>(s.wait(s.store_of(term).heartbeat(s.terms.at(term))))); }};
    case 4:
    case 5:
    case 6:
    case 7:
      return {who + " takes the role " + role, [=](Side& s) { return yes(take_role(s, term, role)); }};
    case 8:
      if (chance(dice, 60)) return publish(dice, term);
      return silent_step(who + " drops the role " + role,
                         [=](Side& s) { s.wait(s.store_of(term).drop_role(s.terms.at(term), role)); });
    case 9:
      return publish(dice, term);
    case 10:
    case 11:
    case 12:
      return match(dice, term);
    case 13:
      return {"the dead are buried", [](Side& s) { return bury(s); }};
    case 14:
      if (!chance(dice, 20)) return match(dice, term);
      return silent_step(who + " leaves", [=](Side& s) { s.wait(s.store_of(term).leave(s.terms.at(term))); });
    default:
      return sweep(plot, term, provider);
  }
}

/// Nothing random lasts: people and replicas set everything right, so that work goes on.
Step draw_recovery(Plot& plot) {
  const bool adopt = plot.moved;
  plot.moved = false;
  const Tokens limit = plot.dice.pick(std::vector<Tokens>{40, 90, 200});
  return {"everything is set right, limit " + std::to_string(limit), [=](Side& s) {
            if (adopt) s.harness->adopt();
            s.harness->accept_loss();
            for (const std::string& scope : s.harness->picture().pauses) s.harness->resume(scope);
            std::size_t term = s.terms.size() - 1;
            if (s.wait(s.store_of(term).heartbeat(s.terms[term])) != Standing::alive) {
              term = s.terms.size();
              s.terms.push_back(s.wait(s.store_of(term).join({"host", 1, "test", {}})));
            }
            Store& store = s.store_of(term);
            s.wait(store.publish(s.terms[term], {{"d1", "p", "m", limit}, {"d2", "q", "m", 300}, {"d3", "p", "n", 1000}}));
            std::string told = tell(s, s.terms[term]);
            for (const char* role : {"plan", "watch:p", "watch:q"}) told += " " + yes(take_role(s, term, role));
            for (const Unmatched& u : s.wait(store.unmatched())) s.wait(store.matched(s.terms[term], u));
            for (const char* scope : {"deployment:d1", "deployment:d2"}) s.harness->resume(scope);
            return told;
          }};
}

Step draw_history(Plot& plot) {
  auto& dice = plot.dice;
  const auto roll = dice.between(std::int64_t{0}, std::int64_t{99});
  if (roll < 54) return pass_time(plot);
  if (roll < 60) return set_clock(plot);
  if (roll < 66) return silent_step("a loss is proven", [](Side& s) { s.wait(s.store_of(0).distrust()); });
  if (roll < 74) {
    return {"the loss is accepted", [](Side& s) {
              const AcceptedLoss loss = s.harness->accept_loss();
              return std::to_string(loss.shards) + " shards, " + std::to_string(loss.batches) + " batches";
            }};
  }
  if (roll < 78) return silent_step("another history of the server", [](Side& s) { s.harness->promote(); });
  if (roll < 84 || plot.moved) {
    plot.moved = !plot.moved;
    const bool adopt = !plot.moved;
    return {adopt ? "adopted" : "moved", [=](Side& s) {
              adopt ? s.harness->adopt() : s.harness->move();
              return yes(s.wait(s.store_of(0).has_moved()));
            }};
  }
  if (roll < 91 || !plot.backed_up) {
    plot.backed_up = true;
    return silent_step("a backup", [](Side& s) {
      s.harness->backup();
      s.backup = {s.requests, s.shards};
    });
  }
  plot.aftermath = 8;
  return silent_step("the backup is restored", restore);
}

}  // namespace batchd::conformance
