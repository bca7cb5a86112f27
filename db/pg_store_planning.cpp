// From the queue to shards.
#include "db/pg_store_money.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

namespace batchd {
namespace {

constexpr int fold_most = 20'000;

void fold_all(Database& database) {
  // A fold is bounded, so that its locks and its undo are; a few in a row keep up with single-row producers.
  for (int round = 0; round < 10; ++round) {
    const auto folded =
        transact(database, [](Transaction& tx) { return tx.run(queries::fold, fold_most)[0][0].as<std::int64_t>(); });
    if (folded < fold_most) break;
  }
}

std::vector<Flow> read_backlog(Database& database) {
  fold_all(database);
  return transact(database, [](Transaction& tx) {
    std::vector<Flow> flows;
    for (const auto& row : tx.run(queries::waiting_flows)) {
      Flow flow;
      flow.id = FlowId{row[0].as<std::int64_t>()};
      flow.lane = {row[1].as<std::string>(), row[2].as<std::string>()};
      flow.job = row[3].as<std::string>();
      flow.priority = row[4].as<int>();
      flow.requests = row[5].as<std::int64_t>();
      flow.bytes = row[6].as<Bytes>();
      flow.returned = row[7].as<std::int64_t>();
      flow.waiting = Milliseconds{row[8].as<std::int64_t>()};
      if (!row[9].is_null()) flow.deadline_in = Milliseconds{row[9].as<std::int64_t>()};
      flows.push_back(std::move(flow));
    }
    drop_flows_without_money(tx, flows);
    return flows;
  });
}

std::optional<PlannedShard> plan_shard(Database& database, std::int64_t beats, Term term, const PlanOrder& order) {
  return transact(
      database,
      [&](Transaction& tx) {
        // A shard's number must not be one that was given out in what the database has forgotten.
        if (tx.run(queries::remembers, term.value, beats, order.deployment).empty()) return std::optional<PlannedShard>{};
        const auto rows = tx.run(queries::plan_shard, term.value, order.lane.model, order.lane.endpoint, order.deployment,
                                 array_of(order.flows, [](FlowId id) { return id.value; }), order.max_requests, order.max_bytes,
                                 order.bytes_per_request, order.tokens_per_byte);
        if (rows.empty()) return std::optional<PlannedShard>{};
        tx.run(queries::flag_wished, rows[0][0].as<std::int64_t>());
        return std::optional(
            PlannedShard{ShardId{rows[0][0].as<std::int64_t>()}, rows[0][1].as<std::int64_t>(), rows[0][2].as<Bytes>()});
      },
      database.settings().bulk_timeout);
}

/// Each endpoint of each offer by itself, an empty one for any.
std::vector<Lane> pairs_of(const std::vector<Offer>& offers) {
  std::vector<Lane> pairs;
  for (const Offer& offer : offers) {
    if (offer.endpoints.empty()) pairs.push_back({offer.model, ""});
    for (const std::string& endpoint : offer.endpoints) pairs.push_back({offer.model, endpoint});
  }
  return pairs;
}

int fail_untaken(Database& database, Term term, const std::vector<Offer>& offers, Milliseconds after) {
  return transact(database, [&](Transaction& tx) {
    if (tx.run(queries::holds_plan, term.value).empty()) return 0;
    const std::vector<Lane> pairs = pairs_of(offers);
    const std::string models = text_array_of(pairs, [](const Lane& lane) -> const std::string& { return lane.model; });
    const std::string endpoints = text_array_of(pairs, [](const Lane& lane) -> const std::string& { return lane.endpoint; });
    return tx.run(queries::fail_unroutable_queued, models, endpoints, after.count())[0][0].as<int>() +
           tx.run(queries::fail_unroutable_returned, models, endpoints, after.count())[0][0].as<int>();
  });
}

int expire(Database& database, Term term) {
  return transact(database, [&](Transaction& tx) {
    if (tx.run(queries::holds_plan, term.value).empty()) return 0;
    return tx.run(queries::expire_overdue_queued)[0][0].as<int>() + tx.run(queries::expire_overdue_returned)[0][0].as<int>();
  });
}

void keep_house(Database& database) {
  fold_all(database);
  transact(database, [](Transaction& tx) { tx.run(queries::make_partitions); });
}

/// What a retiring statement returned; nothing when the term is void.
template <class T>
T retire_with(Database& database, const char* sql, Term term, Milliseconds settled) {
  return transact(database, [&](Transaction& tx) {
    return tx.run(queries::is_alive, term.value).empty() ? T{} : tx.run(sql, settled.count())[0][0].as<T>();
  });
}

bool retire_some(Database& database, Term term, Milliseconds settled) {
  const bool dropped = retire_with<bool>(database, queries::retire_partition, term, settled);
  const auto shards = retire_with<std::int64_t>(database, queries::retire_shards, term, settled);
  return dropped || shards == 1000;
}

}  // namespace

Task<bool> PgStore::retire(Term term, Milliseconds settled) {
  return run([&db = database_, term, settled] { return retire_some(db, term, settled); });
}

Task<std::vector<Flow>> PgStore::backlog() {
  return run([&db = database_] { return read_backlog(db); });
}

Task<std::optional<PlannedShard>> PgStore::plan(Term term, const PlanOrder& order) {
  return run([&db = database_, &beats = beats_, term, order] { return plan_shard(db, beats.confirmed(term), term, order); });
}

Task<int> PgStore::fail_unroutable(Term term, const std::vector<Offer>& offers, Milliseconds after) {
  return run([&db = database_, term, offers, after] { return fail_untaken(db, term, offers, after); });
}

Task<int> PgStore::expire_overdue(Term term) {
  return run([&db = database_, term] { return expire(db, term); });
}

Task<void> PgStore::maintain() {
  return run([&db = database_] { keep_house(db); });
}

}  // namespace batchd
