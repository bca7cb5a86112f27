// The producers' contract of batchd.request (DESIGN.md 3): columns, keys, bytes, and what an INSERT leaves behind.
#include "support/pg_store_fixture.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RequestContract : public StoreTest {};

TEST_F(RequestContract, NeedsOnlyAModelAndABody) {
  const auto row = sql.run(
                          "INSERT INTO batchd.request (model, body) VALUES ('m', '{}') "
                          "RETURNING endpoint, job, key IS NULL, priority, deadline IS NULL, id")
                       .at(0);
  EXPECT_THAT(row, ElementsAre("/v1/chat/completions", "default", "t", "0", "t", "1"));
  EXPECT_EQ(sql.value("SELECT queued FROM batchd.job_progress WHERE job = 'default'"), "1");
}

TEST_F(RequestContract, NamesTheColumnOfABadValue) {
  const auto refused = [&](const std::string& columns, const std::string& values) {
    return sql.error_of("INSERT INTO batchd.request (body, " + columns + ") VALUES ('{}', " + values + ")");
  };
  EXPECT_THAT(refused("model", "''"), HasSubstr("request_model_has_1_to_200_bytes"));
  EXPECT_THAT(refused("model, endpoint", "'m', 'v1/chat'"), HasSubstr("request_endpoint_is_a_path"));
  EXPECT_THAT(refused("model, job", "'m', ''"), HasSubstr("request_job_has_1_to_512_bytes"));
  EXPECT_THAT(refused("model, key", "'m', repeat('k', 513)"), HasSubstr("request_key_has_1_to_512_bytes"));
  EXPECT_THAT(refused("model, deadline", "'m', 'infinity'"), HasSubstr("request_deadline_is_finite"));
  EXPECT_THAT(sql.error_of("INSERT INTO batchd.request (model, body) VALUES ('m', '{bad')"), HasSubstr("json"));
  expect_nothing_lost();
}

TEST_F(RequestContract, EnqueuesAKeyOnce) {
  EXPECT_EQ(sql.run("INSERT INTO batchd.request (model, body, job, key) VALUES ('m', '1', 'j', 'a'), ('m', '2', 'j', 'a'), "
                    "('m', '3', 'j', 'b'), ('m', '4', 'k', 'a') RETURNING id")
                .size(),
            3U);
  EXPECT_EQ(sql.run("INSERT INTO batchd.request (model, body, job, key) VALUES ('m', '5', 'j', 'b') RETURNING id").size(), 0U);
  EXPECT_EQ(sql.copy("COPY batchd.request (model, body, job, key) FROM STDIN", "m\t6\tj\ta\nm\t7\tj\tc\nm\t8\tj\tc\n"), 1);
  EXPECT_EQ(sql.value("SELECT string_agg(body::text, '' ORDER BY id) FROM batchd.request"), "1347");
  EXPECT_EQ(sql.value("SELECT queued FROM batchd.job_progress WHERE job = 'j'"), "3");
  expect_nothing_lost();
}

TEST_F(RequestContract, ForgetsTheKeyOfATransactionThatRolledBack) {
  sql.run("BEGIN; INSERT INTO batchd.request (model, body, key) VALUES ('m', '1', 'a'); ROLLBACK");
  EXPECT_EQ(sql.run("INSERT INTO batchd.request (model, body, key) VALUES ('m', '2', 'a') RETURNING id").size(), 1U);
  expect_nothing_lost();
}

TEST_F(RequestContract, TakesAKeylessCopy) {
  std::string rows;
  for (int i = 0; i < 5000; ++i) rows += "m\t{\"n\": " + std::to_string(i) + "}\n";
  EXPECT_EQ(sql.copy("COPY batchd.request (model, body) FROM STDIN", rows), 5000);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.queue"), 5000);
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.delta"), 1);
  expect_nothing_lost();
}

TEST_F(RequestContract, KeepsEveryByteOfABody) {
  const std::vector<std::string> texts{
      "{\n  \"model\": \"m\",\n  \"messages\": [\n    {\"role\": \"user\"}\n  ]\n}",
      R"({"nul": "\u0000", "pair": "\ud83d\ude00"})",
      R"({"big": 9007199254740993, "exact": 0.1, "tiny": 1e-400, "same": 1, "same": 2})",
      "{\"text\": \"\xE4\xBD\xA0\xE5\xA5\xBD \xD0\x9F\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82 \xF0\x9F\x8E\x89\"}",
      "  {\"padded\" :\t1 }\r\n ",
      "{\"long\": \"" + std::string(300'000, 'x') + "\"}",
  };
  for (const std::string& text : texts)
    sql.run("INSERT INTO batchd.request (model, body) VALUES ('m', $body$" + text + "$body$)");
  const Term term = planner();
  const Shard shard = planned(term);
  const auto read = bodies(shard);
  ASSERT_EQ(read.size(), texts.size());
  for (std::size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(read[i].second, texts[i]);
  EXPECT_EQ(shard.requests, static_cast<std::int64_t>(texts.size()));
}

TEST_F(RequestContract, NeverWaitsForAnotherProducer) {
  Sql slow(url);
  slow.run("BEGIN; INSERT INTO batchd.request (model, body, job) VALUES ('new-model', '{}', 'new-job')");
  // The same brand-new lane and job, while the first transaction stays open: a wait would end in the lock time-out.
  EXPECT_EQ(
      sql.error_of(
          "SET lock_timeout = '200ms'; INSERT INTO batchd.request (model, body, job) VALUES ('new-model', '{}', 'new-job')"),
      "");
  EXPECT_EQ(wait(store.backlog()).size(), 1U);
  slow.run("COMMIT");
  EXPECT_EQ(wait(store.backlog()).at(0).requests, 2);
  expect_nothing_lost();
}

TEST_F(RequestContract, HintsOnlyADaemonThatSleeps) {
  sql.run("LISTEN batchd_request");
  insert(1);
  EXPECT_THAT(sql.notifications(), ElementsAre(StartsWith("batchd_request")));
  wait(store.backlog());  // found work: the daemon is awake
  insert(1);
  EXPECT_TRUE(sql.notifications().empty());
  wait(store.backlog());
  wait(store.backlog());  // found nothing: it may go to sleep
  insert(1);
  EXPECT_THAT(sql.notifications(), ElementsAre(StartsWith("batchd_request")));
}

TEST_F(RequestContract, HintsReachAWaitingDaemon) {
  EXPECT_FALSE(wait(store.wait_for_hint(Milliseconds{1})));
  insert(1);
  EXPECT_TRUE(wait(store.wait_for_hint(Milliseconds{10'000})));
}

TEST_F(RequestContract, GroupsRequestsIntoFlows) {
  sql.run(
      "INSERT INTO batchd.request (model, body, job, priority, deadline) VALUES "
      "('m', '{}', 'j', 0, NULL), ('m', '{}', 'j', 5, NULL), ('m', '{}', 'k', 0, NULL), ('n', '{}', 'j', 0, NULL), "
      "('m', '{}', 'j', 0, '2030-01-01 00:00:10Z'), ('m', '{}', 'j', 0, '2030-01-01 00:00:50Z'), "
      "('m', '{}', 'j', 0, '2030-01-01 00:01:10Z')");
  const auto flows = wait(store.backlog());
  EXPECT_EQ(flows.size(), 6U);
  EXPECT_EQ(flows.at(0).priority, 5) << "higher priority first";
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.flow WHERE deadline = '2030-01-01 00:00Z' AND queued = 2"), 1);
}

}  // namespace
}  // namespace batchd::testing
