// Gauges and pages: from counters and live shards, never by counting requests.
#include "db/pg_store_money.hpp"
#include "db/pg_store_room.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

#include <set>

namespace batchd {
namespace {

std::vector<DeploymentLoad> read_loads(Transaction& tx) {
  std::vector<DeploymentLoad> loads;
  for (const auto& row : tx.run(queries::deployment_loads)) {
    DeploymentLoad load;
    load.name = row["name"].as<std::string>();
    load.provider = row["provider"].as<std::string>();
    load.model = row["model"].as<std::string>();
    load.limit = row["enqueued_token_limit"].as<Tokens>();
    load.reserved = row["reserved"].as<Tokens>();
    load.staged = row["staged"].as<int>();
    load.staged_tokens = row["staged_tokens"].as<Tokens>();
    load.live = row["live"].as<int>();
    load.paused = row["paused"].as<bool>();
    if (load.paused) load.pause_reason = row["reason"].as<std::string>();
    load.room = to_room(row);
    load.leaving = row["leaving"].as<Tokens>();
    load.largest_waiting = row["largest_waiting"].as<Tokens>();
    loads.push_back(std::move(load));
  }
  std::set<std::string> short_of_money;
  for (const auto& row : tx.run(queries::models_short_of_money, look_again_for_money.count()))
    short_of_money.insert(row[0].as<std::string>());
  for (DeploymentLoad& load : loads) load.needs_money = short_of_money.contains(load.model);
  return loads;
}

StoreGauges read_gauges(Database& database) {
  return transact(database, [](Transaction& tx) {
    StoreGauges gauges;
    const auto totals = tx.run(queries::totals);
    gauges.accepted = totals[0][0].as<std::int64_t>();
    gauges.queued = totals[0][1].as<std::int64_t>();
    gauges.in_flight = totals[0][2].as<std::int64_t>();
    int column = 3;
    for (const Outcome outcome : {Outcome::succeeded, Outcome::failed, Outcome::cancelled, Outcome::expired}) {
      gauges.settled[std::string(to_string(outcome))] = totals[0][column++].as<std::int64_t>();
    }
    for (const ShardState state :
         {ShardState::planned, ShardState::uploaded, ShardState::submitted, ShardState::finished, ShardState::merged}) {
      gauges.shards[std::string(to_string(state))] = 0;
    }
    for (const auto& row : tx.run(queries::shard_states)) gauges.shards[row[0].as<std::string>()] = row[1].as<std::int64_t>();
    for (const auto& row : tx.run(queries::queued_by_lane))
      gauges.queued_by_lane[{row[0].as<std::string>(), row[1].as<std::string>()}] = row[2].as<std::int64_t>();
    gauges.oldest_queued = Milliseconds{tx.run(queries::oldest_queued)[0][0].as<std::int64_t>()};
    gauges.submissions_unknown = tx.run(queries::submissions_unknown)[0][0].as<std::int64_t>();
    for (const auto& row : tx.run(queries::files_by_provider)) gauges.files[row[0].as<std::string>()] = row[1].as<std::int64_t>();
    gauges.deployments = read_loads(tx);
    read_budget(tx, gauges);
    return gauges;
  });
}

std::vector<JobProgress> read_jobs(Database& database, int most) {
  return transact(database, [most](Transaction& tx) {
    std::vector<JobProgress> jobs;
    for (const auto& row : tx.run(queries::some_jobs, most)) {
      JobProgress job;
      job.job = row[0].as<std::string>();
      job.queued = row[2].as<std::int64_t>();
      job.in_flight = row[3].as<std::int64_t>();
      job.succeeded = row[4].as<std::int64_t>();
      job.failed = row[5].as<std::int64_t>();
      job.cancelled = row[6].as<std::int64_t>();
      job.expired = row[7].as<std::int64_t>();
      job.input_tokens = row[8].as<Tokens>();
      job.output_tokens = row[9].as<Tokens>();
      job.cost = row[13].as<NanoDollars>();
      jobs.push_back(std::move(job));
    }
    return jobs;
  });
}

}  // namespace

Task<std::vector<DeploymentLoad>> PgStore::deployments() {
  return run([&db = database_] { return transact(db, read_loads); });
}

Task<StoreGauges> PgStore::gauges() {
  return run([&db = database_] { return read_gauges(db); });
}

Task<std::vector<JobProgress>> PgStore::jobs(int most) {
  return run([&db = database_, most] { return read_jobs(db, most); });
}

}  // namespace batchd
