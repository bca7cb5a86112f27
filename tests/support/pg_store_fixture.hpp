// A PgStore on a fresh database, with the few steps that most tests of it begin with.
#pragma once

#include "support/pg_fixture.hpp"
#include "support/plan_order.hpp"
#include "support/run_task.hpp"

#include "db/pg_store.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace batchd::testing {

class StoreTest : public PgTest {
 protected:
  StoreTest() : database({.url = pooled_url, .listen_url = url}), store(database, pool, metrics) {}

  template <class T>
  T wait(Task<T> task) {
    return run_task(io, std::move(task));
  }

  Term join() { return wait(store.join({"host", 1, "test", {}})); }
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
  /// An order for everything that waits, in the order of the backlog.
  PlanOrder order_for_all(std::int64_t max_requests = 100'000) { return order_for(wait(store.backlog()), max_requests); }
  /// Plans everything that waits into one shard and leases it.
  Shard planned(Term term, std::int64_t max_requests = 100'000) {
    const auto made = wait(store.plan(term, order_for_all(max_requests)));
    EXPECT_TRUE(made.has_value());
    return leased(term, made->id, ShardState::planned);
  }
  Shard leased(Term term, ShardId id, ShardState state) {
    auto shard = wait(store.lease_one(term, id, state));
    EXPECT_TRUE(shard.has_value()) << "shard " << id << " cannot be leased as " << to_string(state);
    return shard.value_or(Shard{});
  }
  /// Saves what an event makes of a shard, keeping its lease, and returns it.
  Shard step(Term term, const Shard& before, const ShardEvent& event) {
    const Shard after = batchd::apply(before, event);
    EXPECT_EQ(wait(store.save(term, before, after, true)), SaveResult::saved);
    return after;
  }
  /// Leads a planned shard to `finished` by a batch that ended as given.
  Shard finish(Term term, Shard shard, BatchStatus status = BatchStatus::completed) {
    shard = step(term, shard, Uploaded{FileId{"file-1"}, 1000, 10});
    shard = step(term, shard, Intended{});
    Batch batch;
    batch.id = BatchId{"batch-" + std::to_string(shard.id.value)};
    batch.status = status;
    batch.output_file_id = FileId{"out-1"};
    shard = step(term, shard, Created{batch});
    return step(term, shard, Ended{batch});
  }
  /// Marks members as decided and settles them so.
  bool settle(Term term, const Shard& shard, ShardContents& contents, SettleChunk chunk) {
    for (const auto& s : chunk.settled) contents.decided.set(contents.members.rank(s.request).value());
    for (const auto& r : chunk.returned) contents.decided.set(contents.members.rank(r.request).value());
    return wait(store.settle(term, shard.id, contents, std::move(chunk)));
  }
  static Settlement answered(RequestId id, std::string response = R"({"ok":true})") {
    Settlement s;
    s.request = id;
    s.outcome = Outcome::succeeded;
    s.status_code = 200;
    s.response = std::move(response);
    s.usage = Usage{3, 4};
    s.provider_request_id = "req-" + std::to_string(id.value);
    return s;
  }
  static std::vector<RequestId> undecided(const ShardContents& contents) {
    std::vector<RequestId> ids;
    for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
      if (!contents.decided.test(rank)) ids.push_back(contents.members.at(rank));
    }
    return ids;
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

  boost::asio::io_context io;
  Metrics metrics{"test"};
  BlockingPool pool{4};
  Database database;
  PgStore store;
};

}  // namespace batchd::testing
