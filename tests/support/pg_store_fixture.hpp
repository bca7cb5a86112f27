// A PgStore on a fresh database.
#pragma once

#include "support/pg_fixture.hpp"
#include "support/store_steps.hpp"

#include "db/pg_store.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace batchd::testing {

class StoreTest : public PgTest, protected StoreSteps {
 protected:
  StoreTest() : database({.url = pooled_url, .listen_url = url}), store(database, pool, metrics) {}
  Store& port() override { return store; }

  /// A living term with the role `plan`, and the deployment `dep` for the model `m`.
  Term planner(Tokens limit = 1'000'000) {
    const Term term = join();
    wait(store.publish(term, {{"dep", "prov", "m", limit}}));
    EXPECT_TRUE(wait(store.hold_role(term, "plan")));
    return term;
  }
  /// Inserts `count` requests with small bodies.
  void insert(int count, const std::string& job = "default", const std::string& columns = "", const std::string& values = "") {
    sql.run("INSERT INTO batchd.request (model, body, job" + columns + ") SELECT 'm', json_build_object('n', n), '" + job + "'" +
            values + " FROM generate_series(1, " + std::to_string(count) + ") n");
  }
  std::vector<std::pair<std::int64_t, std::string>> bodies(const Shard& shard) {
    const ShardContents contents = wait(store.contents(shard.id));
    std::vector<std::pair<std::int64_t, std::string>> read;
    wait(store.read_bodies(shard.id, contents, [&](RequestId id, std::string_view body) {
      read.emplace_back(id.value, body);
      return true;
    }));
    return read;
  }
  /// P1: every request is exactly one of queued, in flight, settled, by the counters and by counting.
  void expect_nothing_lost() {
    const auto row =
        sql.run("SELECT accepted, queued, in_flight, succeeded + failed + cancelled + expired FROM batchd.totals").at(0);
    const std::string counted = sql.value(
        "SELECT concat_ws(' ', (SELECT count(*) FROM batchd.request), (SELECT count(*) FROM batchd.queue) + (SELECT count(*) "
        "FROM "
        "batchd.retry), (SELECT coalesce(sum(requests), 0) FROM batchd.shard_member) - (SELECT coalesce(sum(bit_count(decided)), "
        "0) FROM "
        "batchd.shard_progress), (SELECT count(*) FROM batchd.answer))");
    EXPECT_EQ(row[0] + " " + row[1] + " " + row[2] + " " + row[3], counted) << "accepted, queued, in flight, settled";
    const auto number = [&](int i) { return std::stoll(row[static_cast<std::size_t>(i)]); };
    EXPECT_EQ(number(0), number(1) + number(2) + number(3));
  }

  Metrics metrics{"test"};
  BlockingPool pool{4};
  Database database;
  PgStore store;
};

}  // namespace batchd::testing
