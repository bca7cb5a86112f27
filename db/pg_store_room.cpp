// What is learnt of quotas: read, judged by core/quota.hpp and written in one transaction, under a lock on the deployment's row.
#include "db/pg_store_room.hpp"

#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

namespace batchd {
namespace {

std::optional<Learnt> learn_in(Transaction& tx, Term term, const std::string& deployment, const RoomLesson& lesson) {
  const auto rows = tx.run(queries::room_to_learn, deployment, term.value);
  if (rows.empty()) return std::nullopt;
  const auto row = rows[0];
  const RoomUse use{row["reserved"].as<Tokens>(), row["leaving"].as<Tokens>(), row["largest_waiting"].as<Tokens>()};
  const Room before = to_room(row);
  const Room after = learn(before, use, lesson);
  const Learnt learnt{before, after};
  if (!learnt.changed()) return learnt;
  tx.run(queries::save_room, deployment, after.believed, after.told.value_or(0), after.told_age < before.told_age,
         after.settled_for < before.settled_for, after.strikes, after.refusals, after.release_lag.count(), after.lag_blamed);
  return learnt;
}

}  // namespace

Room to_room(const pqxx::row& row) {
  Room room;
  room.limit = row["enqueued_token_limit"].as<Tokens>();
  room.dynamic_limit = row["dynamic_token_limit"].as<Tokens>();
  room.believed = row["believed"].as<Tokens>();
  if (!row["room_told"].is_null()) room.told = row["room_told"].as<Tokens>();
  room.told_age = Milliseconds{row["told_age"].as<std::int64_t>()};
  room.settled_for = Milliseconds{row["settled_for"].as<std::int64_t>()};
  room.strikes = row["room_strikes"].as<int>();
  room.release_lag = Milliseconds{row["release_lag_ms"].as<std::int64_t>()};
  room.lag_blamed = row["lag_blamed"].as<bool>();
  if (!row["since_end"].is_null()) {
    const auto since = row["since_end"].as<std::int64_t>();
    if (since >= 0) room.since_end = Milliseconds{since};  // else the clock was set meanwhile
  }
  room.refusals = row["room_refusals"].as<std::int64_t>();
  return room;
}

Task<std::optional<Learnt>> PgStore::learn(Term term, std::string_view deployment, const RoomLesson& lesson) {
  return run([&db = database_, term, name = std::string(deployment), lesson] {
    return transact(db, [&](Transaction& tx) { return learn_in(tx, term, name, lesson); });
  });
}

}  // namespace batchd
