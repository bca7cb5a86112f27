// Money: the rules, what a shard may cost, what it has cost. Every sum is moved by a guarded statement in its caller's
// transaction.
#include "db/pg_store_money.hpp"

#include "core/money_step.hpp"
#include "core/output_bound.hpp"
#include "db/queries.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace batchd {
namespace {

constexpr NanoDollars no_cap = -1;

std::optional<NanoDollars> cap_of(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<NanoDollars>();
}

MoneyRules read_rules(Transaction& tx) {
  MoneyRules rules;
  const auto budget = tx.run(queries::money_rules);
  if (budget.empty()) return rules;
  rules.daily = cap_of(budget[0][0]);
  rules.per_job = cap_of(budget[0][1]);
  rules.strict = budget[0][2].as<bool>();
  rules.assumed_output = budget[0][3].as<Tokens>();
  rules.max_output = budget[0][4].as<Tokens>();
  for (const auto& row : tx.run(queries::prices)) {
    Prices& prices = rules.prices[row[0].as<std::string>()];
    prices.input = row[1].as<std::int64_t>();
    prices.cached_input = row[2].as<std::int64_t>();
    prices.output = row[3].as<std::int64_t>();
    prices.max_output = row[4].as<Tokens>();
  }
  return rules;
}

/// `{1,2,3}`.
std::vector<std::int64_t> numbers_of(std::string_view array) {
  std::vector<std::int64_t> numbers;
  for (std::size_t at = 1; at + 1 < array.size();) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(array.data() + at, array.data() + array.size(), number);
    if (error != std::errc{}) break;
    numbers.push_back(number);
    at = static_cast<std::size_t>(end - array.data()) + 1;
  }
  return numbers;
}

std::string text_of_numbers(const std::vector<std::int64_t>& numbers) {
  return array_of(numbers, [](std::int64_t number) { return number; });
}

std::optional<CapState> state_of(const pqxx::row& row, int cap, int committed, int outstanding) {
  if (row[cap].is_null()) return std::nullopt;
  return CapState{row[cap].as<NanoDollars>(), row[committed].as<NanoDollars>(), row[outstanding].as<bool>()};
}

void read_job_purses(Transaction& tx, ShardId shard, std::optional<NanoDollars> per_job, Tariff& tariff) {
  for (const auto& row : tx.run(queries::shard_jobs, shard.value, per_job.has_value())) {
    std::string job = row[1].as<std::string>();
    if (tariff.jobs.empty() || tariff.jobs.back().job != job) {
      JobPurse purse;
      purse.job = std::move(job);
      if (per_job) purse.cap = CapState{*per_job, row[2].as<NanoDollars>(), row[3].as<bool>()};
      tariff.jobs.push_back(std::move(purse));
    }
    tariff.job_of[FlowId{row[0].as<std::int64_t>()}] = tariff.jobs.size() - 1;
  }
}

void note_bounds(Transaction& tx, const Shard& after) {
  if (after.attempt > 1) tx.run(queries::forget_bounds, after.id.value);
  if (after.bounds.empty()) return;
  const std::string jobs = text_array_of(after.bounds, [](const JobBound& b) -> const std::string& { return b.job; });
  tx.run(queries::note_bounds, after.id.value, jobs, array_of(after.bounds, [](const JobBound& b) { return b.bound; }),
         array_of(after.bounds, [](const JobBound& b) { return b.least; }));
  tx.run(queries::end_money_waits, after.id.value, jobs);
}

void learn_sizes(BulkTransaction& tx, ShardId shard, const OutputSizes& seen) {
  const std::string id = std::to_string(shard.value);
  tx.run(queries::begin_output_sizes, {id});
  const Rows known = tx.run(queries::lock_output_sizes, {id});
  if (known.size() == 0) return;
  OutputSizes sizes = sizes_of(known.at(0, 1));
  sizes.add(seen);
  tx.run(queries::store_output_sizes, {std::string(known.at(0, 0)), text_of_numbers(sizes.counts())});
}

}  // namespace

OutputSizes sizes_of(std::string_view counts) {
  return OutputSizes(numbers_of(counts));
}

void publish_money(Transaction& tx, const MoneyRules& money) {
  const MoneyRules known = read_rules(tx);
  if (known == money) return;
  tx.run(queries::forget_prices);
  for (const auto& [model, prices] : money.prices)
    tx.run(queries::publish_price, model, prices.input, prices.cached_input, prices.output, prices.max_output);
  tx.run(queries::publish_budget, money.daily.value_or(no_cap), money.per_job.value_or(no_cap), money.strict,
         money.assumed_output, money.max_output);
  tx.run(queries::forget_money_waits);
  tx.run(queries::hurry_above_budget, std::string(above_cap_code));
}

std::optional<Tariff> read_tariff(Transaction& tx, ShardId shard) {
  const auto rows = tx.run(queries::shard_tariff, shard.value);
  if (rows.empty()) return std::nullopt;
  const pqxx::row row = rows[0];
  Tariff tariff;
  tariff.prices.input = row[0].as<std::int64_t>();
  tariff.prices.cached_input = row[1].as<std::int64_t>();
  tariff.prices.output = row[2].as<std::int64_t>();
  tariff.prices.max_output = row[3].as<Tokens>();
  tariff.strict = row[4].as<bool>();
  tariff.assumed_output = row[5].as<Tokens>();
  tariff.max_output = tariff.prices.max_output > 0 ? tariff.prices.max_output : row[6].as<Tokens>();
  if (!row[7].is_null()) tariff.usual_output = sizes_of(row[7].as<std::string>()).usual();
  tariff.day = state_of(row, 8, 9, 10);
  read_job_purses(tx, shard, cap_of(row[11]), tariff);
  return tariff;
}

void drop_flows_without_money(Transaction& tx, std::vector<Flow>& flows) {
  if (flows.empty()) return;
  std::set<std::pair<std::string, std::string>> waiting;  // model and job
  for (const auto& row : tx.run(queries::money_waits, look_again_for_money.count())) {
    MoneyWait wait;
    wait.model = row[0].as<std::string>();
    wait.job = row[1].as<std::string>();
    wait.needs = row[2].as<NanoDollars>();
    wait.wants = row[3].as<NanoDollars>();
    wait.above_cap = row[4].as<bool>();
    if (must_wait(wait, state_of(row, 5, 6, 7), state_of(row, 8, 9, 10))) waiting.emplace(wait.model, wait.job);
  }
  if (waiting.empty()) return;
  std::erase_if(flows, [&](const Flow& flow) { return waiting.contains({flow.lane.model, flow.job}); });
}

bool move_money(Transaction& tx, const Shard& before, const Shard& after) {
  const std::int64_t id = after.id.value;
  switch (money_step(before, after)) {
    case MoneyStep::none:
      break;
    case MoneyStep::note:
      note_bounds(tx, after);
      break;
    case MoneyStep::reserve:
      return tx.run(queries::reserve_money, id, false)[0][0].as<bool>();
    case MoneyStep::found:
      tx.run(queries::reserve_money, id, true);
      break;
    case MoneyStep::release:
      tx.run(queries::release_money, id);
      break;
    case MoneyStep::settle:
      tx.run(queries::settle_money, id);
      break;
  }
  return true;
}

void note_unaffordable(Database& database, Term term, ShardId shard) {
  transact(database, [&](Transaction& tx) { tx.run(queries::note_unaffordable, shard.value, term.value); });
}

void settle_money(BulkTransaction& tx, ShardId shard, const ShardContents& contents, const SettleChunk& chunk) {
  const std::string id = std::to_string(shard.value);
  for (const Shortage& s : chunk.shortages) {
    tx.run(queries::note_money_wait,
           {id, s.job, std::to_string(s.needs), std::to_string(s.wants), s.above_cap ? "true" : "false"});
  }
  if (!contents.tariff) return;
  std::map<FlowId, NanoDollars> spent;
  OutputSizes seen;
  for (const Settlement& s : chunk.settled) {
    if (s.cost > 0) {
      NanoDollars& of_flow = spent[contents.members.flow_at(contents.members.rank(s.request).value())];
      of_flow = add_money(of_flow, s.cost);
    }
    if (s.outcome == Outcome::succeeded && s.usage) seen.add(s.usage->output);
  }
  if (!spent.empty()) {
    tx.run(queries::note_spent, {id, array_of(spent, [](const auto& s) { return s.first.value; }),
                                 array_of(spent, [](const auto& s) { return s.second; })});
  }
  // Last, for others that merge the same model wait for this row.
  if (!seen.empty()) learn_sizes(tx, shard, seen);
}

void read_budget(Transaction& tx, StoreGauges& gauges) {
  const auto today = tx.run(queries::budget_today);
  gauges.budget.spent = today[0][0].as<NanoDollars>();
  gauges.budget.reserved = today[0][1].as<NanoDollars>();
  gauges.budget.daily = cap_of(today[0][2]);
  for (const auto& row : tx.run(queries::spent_today))
    gauges.budget.spent_by_deployment[row[0].as<std::string>()] = row[1].as<NanoDollars>();
}

}  // namespace batchd
