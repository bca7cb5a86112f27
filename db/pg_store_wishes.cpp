// Requests that were cancelled while they are in flight.
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

namespace batchd {
namespace {

std::vector<WishedBatch> read_wished(Database& database, int most) {
  return transact(database, [&](Transaction& tx) {
    std::vector<WishedBatch> wished;
    for (const auto& row : tx.run(queries::wished_batches, most)) {
      WishedBatch batch;
      batch.batch = {ShardId{row[0].as<std::int64_t>()}, BatchId{row[2].as<std::string>()},
                     parse_batch_status(row[3].as<std::string>())};
      batch.provider = row[1].as<std::string>();
      batch.mark = row[4].as<std::string>();
      batch.wanted = row[5].as<std::int64_t>();
      wished.push_back(std::move(batch));
    }
    return wished;
  });
}

}  // namespace

Task<std::int64_t> PgStore::place_wishes(int most) {
  return run([&db = database_, most] {
    return transact(db, [&](Transaction& tx) { return tx.run(queries::place_wishes, most)[0][0].as<std::int64_t>(); });
  });
}

Task<std::vector<WishedBatch>> PgStore::wished_batches(int most) {
  return run([&db = database_, most] { return read_wished(db, most); });
}

Task<void> PgStore::forget_wished(const WishedBatch& batch) {
  return run([&db = database_, id = batch.batch.shard.value, mark = batch.mark] {
    transact(db, [&](Transaction& tx) { tx.run(queries::forget_wished, id, mark); });
  });
}

}  // namespace batchd
