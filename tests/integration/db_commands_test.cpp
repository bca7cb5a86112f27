// What `batchd submit`, `status` and `results` do with the database: bulk enqueuing and reading.
#include "db/enqueue.hpp"
#include "db/reading.hpp"
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

#include <thread>

namespace batchd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class Enqueuing : public StoreTest {
 protected:
  /// A source of `count` requests with keys "key 0" and on.
  static RequestSource keyed(int count, int from = 0) {
    return [n = from, last = from + count](NewRequest& request) mutable {
      if (n == last) return false;
      request.model = "m";
      request.key = "key " + std::to_string(n);
      request.body = "{\"n\": " + std::to_string(n++) + "}";
      return true;
    };
  }
};

TEST_F(Enqueuing, TellsNewFromKnown) {
  EnqueueOptions options;
  options.job = "j";
  options.chunk_rows = 100;
  std::vector<std::int64_t> heard;
  const auto first = enqueue(database, options, keyed(250), [&](const EnqueueCounts& c) { heard.push_back(c.fresh + c.known); });
  EXPECT_EQ(first.fresh, 250);
  EXPECT_EQ(first.known, 0);
  EXPECT_THAT(heard, ElementsAre(100, 200, 250));
  const auto again = enqueue(database, options, keyed(300, 100));
  EXPECT_EQ(again.fresh, 150);
  EXPECT_EQ(again.known, 150);
  expect_nothing_lost();
}

TEST_F(Enqueuing, TakesWhatAProducerMayGive) {
  EnqueueOptions options;
  options.job = "it's \"quoted\"";
  options.priority = 3;
  options.deadline = "2030-01-01T00:00:00Z";
  int left = 2;
  const auto counts = enqueue(database, options, [&](NewRequest& request) {
    if (left-- == 0) return false;
    request.model = "m";
    request.endpoint = left == 1 ? "" : "/v1/embeddings";
    request.body = "{\"t\": \"tab\\t, \\u0000, \xE4\xBD\xA0\", \"n\": 9007199254740993}";
    return true;
  });
  EXPECT_EQ(counts.fresh, 2);
  EXPECT_THAT(
      sql.run("SELECT endpoint, key IS NULL, priority, deadline = '2030-01-01 00:00Z', job, body FROM batchd.request ORDER BY id")
          .at(0),
      ElementsAre("/v1/chat/completions", "t", "3", "t", options.job,
                  "{\"t\": \"tab\\t, \\u0000, \xE4\xBD\xA0\", \"n\": 9007199254740993}"));
  EXPECT_EQ(sql.value("SELECT endpoint FROM batchd.request WHERE id = 2"), "/v1/embeddings");
}

TEST_F(Enqueuing, AFailingSourceLeavesOnlyWholeChunks) {
  EnqueueOptions options;
  options.chunk_rows = 10;
  int given = 0;
  EXPECT_THROW(enqueue(database, options,
                       [&](NewRequest& request) {
                         if (++given > 25) throw std::runtime_error("line 26 is no JSON");
                         request.model = "m";
                         request.body = "{}";
                         return true;
                       }),
               std::runtime_error);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.request"), 20);
  expect_nothing_lost();
}

TEST_F(Enqueuing, NothingIsNothing) {
  EXPECT_EQ(enqueue(database, {}, [](NewRequest&) { return false; }).fresh, 0);
}

TEST_F(Enqueuing, AnErrorShowsNoPrompt) {
  try {
    enqueue(database, {}, [n = 0](NewRequest& request) mutable {
      request.model = "m";
      request.body = "{secret prompt";
      return n++ == 0;
    });
    FAIL();
  } catch (const StoreError& error) {
    EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
  }
}

TEST_F(Enqueuing, TwoSubmittersOfTheSameKeysNeverDeadlock) {
  EnqueueOptions options;
  options.chunk_rows = 500;
  EnqueueCounts other;
  std::thread thread([&] { other = enqueue(database, options, keyed(3000)); });
  // The same keys from the other end.
  const auto mine = enqueue(database, options, [n = 3000](NewRequest& request) mutable {
    if (n-- == 0) return false;
    request.model = "m";
    request.key = "key " + std::to_string(n);
    request.body = "{}";
    return true;
  });
  thread.join();
  EXPECT_EQ(mine.fresh + other.fresh, 3000);
  EXPECT_EQ(mine.known + other.known, 3000);
  expect_nothing_lost();
}

class ReadingBack : public StoreTest {
 protected:
  Reading reading{database};
};

TEST_F(ReadingBack, AJobsResultsComeInTheOrderOfItsRequests) {
  const Term term = planner();
  sql.run(
      "INSERT INTO batchd.request (model, body, job, key) VALUES ('m', '{}', 'it''s', 'a'), ('m', '{}', 'it''s', NULL), "
      "('m', '{}', 'other', NULL), ('m', '{}', 'it''s', 'b')");
  Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  Settlement failed;
  failed.request = RequestId{1};
  failed.status_code = 400;
  failed.error = R"({"code":"bad"})";
  ASSERT_TRUE(
      settle(term, shard, contents,
             {{answered(RequestId{4}, "{\"pretty\": \n 0.10}"), failed, answered(RequestId{2}), answered(RequestId{3})}, {}}));
  std::vector<ResultRow> rows;
  reading.results("it's", [&](const ResultRow& row) {
    rows.push_back(row);
    return true;
  });
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].custom_id(), "a");
  EXPECT_EQ(rows[0].outcome, Outcome::failed);
  EXPECT_EQ(rows[0].status_code, 400);
  EXPECT_EQ(rows[0].response, std::nullopt);
  EXPECT_EQ(rows[0].error, R"({"code":"bad"})");
  EXPECT_EQ(rows[1].custom_id(), "2");
  EXPECT_EQ(rows[2].response, "{\"pretty\": \n 0.10}");
  EXPECT_EQ(rows[2].provider_request_id, "req-4");
  int seen = 0;
  reading.results("it's", [&](const ResultRow&) { return ++seen < 1; });
  EXPECT_EQ(seen, 1);
  reading.results("nobody's", [&](const ResultRow&) { return ++seen < 100; });
  EXPECT_EQ(seen, 1);
}

TEST_F(ReadingBack, JobsAndRequestsAreFoundByName) {
  const Term term = planner();
  EXPECT_EQ(reading.job("j"), std::nullopt);
  sql.run("INSERT INTO batchd.request (model, body, job, key) SELECT 'm', '{}', 'j', 'k' || n FROM generate_series(1, 4) n");
  insert(1, "z");
  EXPECT_EQ(reading.job("j")->queued, 4);
  EXPECT_FALSE(reading.job("j")->finished());
  Shard shard = finish(term, planned(term, 2));
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {{answered(RequestId{1})}, {}}));
  const auto job = reading.job("j").value();
  EXPECT_EQ(job.settled(), 1);
  EXPECT_EQ(job.in_flight, 1);
  EXPECT_EQ(job.input_tokens, 3);
  EXPECT_TRUE(job.last_settled.has_value());
  EXPECT_TRUE(job.estimated_finish.has_value());
  EXPECT_THAT(job.started, ::testing::MatchesRegex("20..-..-..T..:..:..Z"));
  EXPECT_THAT(reading.jobs(), SizeIs(2));
  EXPECT_EQ(reading.request("j", "k1")->state, "succeeded");
  EXPECT_EQ(reading.request(RequestId{2})->shard, shard.id.value);
  EXPECT_EQ(reading.request(RequestId{2})->batch, shard.batch->value);
  EXPECT_EQ(reading.request(RequestId{5})->key, std::nullopt);
  EXPECT_EQ(reading.request(RequestId{99}), std::nullopt);
  EXPECT_EQ(reading.request("j", "zzz"), std::nullopt);
  const auto shards = reading.shards();
  ASSERT_THAT(shards, SizeIs(1));
  EXPECT_EQ(shards[0].state, "finished");
}

TEST_F(ReadingBack, NeedsOnlyTheReadersRole) {
  insert(2);
  sql.run(
      "DO $$ BEGIN IF to_regrole('onlooker') IS NULL THEN CREATE ROLE onlooker LOGIN; END IF; END $$; GRANT batchd_reader TO "
      "onlooker");
  Database as_reader({.url = PgCluster::instance().url(database_name, "onlooker"), .listen_url = ""});
  Reading there(as_reader);
  EXPECT_EQ(there.jobs().size(), 1U);
  EXPECT_EQ(there.job("default")->queued, 2);
  EXPECT_EQ(there.request(RequestId{1})->state, "queued");
  EXPECT_NO_THROW(there.results("default", [](const ResultRow&) { return true; }));
}

}  // namespace
}  // namespace batchd::testing
