// Random steps of who plans, and of what becomes of requests that no shard will hold.
#include "conformance/differential.hpp"

#include <algorithm>

namespace batchd::conformance {
namespace {

/// Everything of a lane that waits, in an order that both sides know.
PlanOrder order_for(Side& s, const Lane& lane, const std::string& deployment, std::uint64_t roll) {
  PlanOrder order;
  order.lane = lane;
  for (const Flow& flow : s.flows) order.flows.push_back(flow.id);  // those of other lanes are passed over
  order.deployment = deployment;
  order.max_requests = 1 + static_cast<std::int64_t>(roll % 9);
  order.max_bytes = roll % 4 == 0 ? 300 : 1'000'000;
  order.bytes_per_request = 20;
  order.tokens_per_byte = 0.1;
  return order;
}

std::string read_backlog(Side& s, std::size_t term) {
  s.flows = s.wait(s.store_of(term).backlog());
  std::vector<std::pair<std::string, Flow>> told;
  for (const Flow& flow : s.flows) told.emplace_back(tell(s, flow), flow);
  // Of flows that began in the same statement, who waited longer is chance.
  std::stable_sort(told.begin(), told.end(), [](const auto& a, const auto& b) {
    return std::make_pair(a.first, a.second.deadline_in) < std::make_pair(b.first, b.second.deadline_in);
  });
  std::string all;
  s.flows.clear();
  for (const auto& [text, flow] : told) {
    s.flows.push_back(flow);
    all += text + ";";
  }
  return all;
}

}  // namespace

Step draw_planning(Plot& plot, const Side& side) {
  auto& dice = plot.dice;
  const std::size_t term = draw_term(dice, side);
  const std::string who = "t" + std::to_string(term);
  const std::uint64_t roll = dice.next();
  switch (dice.between(std::int64_t{0}, std::int64_t{11})) {
    case 0:
      return {"the backlog", [=](Side& s) { return read_backlog(s, term); }};
    case 1:
      return {who + " fails what nobody serves", [=](Side& s) {
                return std::to_string(
                    s.wait(s.store_of(term).fail_unroutable(s.terms.at(term), {{"m", {}}, {"n", {"/chat/completions"}}},
                                                            minutes_and_a_half(static_cast<std::int64_t>(roll % 5)))));
              }};
    case 2:
      return {who + " expires what is overdue",
              [=](Side& s) { return std::to_string(s.wait(s.store_of(term).expire_overdue(s.terms.at(term)))); }};
    case 3:
      return {who + " keeps house", [=](Side& s) {
                s.wait(s.store_of(term).maintain());
                if (roll % 2 == 0) return std::string();
                return yes(
                    s.wait(s.store_of(term).retire(s.terms.at(term), minutes_and_a_half(static_cast<std::int64_t>(roll % 30)))));
              }};
    default: {
      const bool fresh = chance(dice, 80);
      const Lane lane{chance(dice, 80) ? "m" : "n", chance(dice, 80) ? "/v1/chat/completions" : "/v1/embeddings"};
      const std::string deployment = lane.model == "n" ? "d3" : chance(dice, 60) ? "d1" : "d2";
      const bool by_another = chance(dice, 10);
      const bool by_the_planner = chance(dice, 85);
      return {(by_the_planner ? "the planner" : who) + " plans " + lane.model + lane.endpoint + " for " + deployment +
                  (fresh ? "" : " by an old backlog"),
              [=](Side& s) {
                const std::size_t by = by_the_planner ? s.planner : term;
                std::string told = tell(s, s.terms.at(by)) + " " + (fresh ? read_backlog(s, by) : std::string());
                const PlanOrder order = order_for(s, lane, deployment, roll);
                const auto made = s.wait(s.harness->store((by + (by_another ? 1 : 0)) % 2).plan(s.terms.at(by), order));
                if (!made) return told + " nothing";
                told += tell(s, made->id) + " " + std::to_string(made->requests) + " " + std::to_string(made->bytes);
                const auto shard = s.wait(s.store_of(by).lease_one(s.terms.at(by), made->id, ShardState::planned));
                if (shard) s.held.push_back({by, *shard});
                return told + (shard ? tell(s, *shard) : std::string());
              }};
    }
  }
}

}  // namespace batchd::conformance
