// Whatever is read out of a malformed line can be written beside its request by COPY, and read back by producers: one answer
// that PostgreSQL refuses would keep its whole shard from ever being merged.
#include "core/output_line.hpp"
#include "malformed/corpus.hpp"
#include "support/pg_store_fixture.hpp"

namespace batchd::testing {
namespace {

class MalformedStorage : public StoreTest {
 protected:
  /// What the corpus's readable lines become when no attempt is left, one for each of the requests 1, 2, 3 …
  std::vector<Settlement> settlements() const {
    std::vector<Settlement> out;
    for (const MalformedCase& tested : read_kind("output_lines").cases) {
      LineResult result = read_output_line(tested.input());
      if (!result.reading || result.reading->settlement.response.size() > 10'000'000) continue;
      out.push_back(std::move(result.reading->settlement));
      out.back().request = RequestId{static_cast<std::int64_t>(out.size())};
    }
    return out;
  }
  Shard finished_shard(Term term, std::size_t requests) {
    insert(static_cast<int>(requests));
    return finish(term, planned(term));
  }
};

TEST_F(MalformedStorage, TakesEveryAnswerAndItsErrorsCanBeRead) {
  const std::vector<Settlement> made = settlements();
  ASSERT_GT(made.size(), 100U);
  const Term term = planner();
  const Shard shard = finished_shard(term, made.size());
  ShardContents contents = wait(store.contents(shard.id));
  ASSERT_TRUE(settle(term, shard, contents, {made, {}}));
  EXPECT_EQ(sql.number("SELECT count(*) FROM batchd.result"), static_cast<std::int64_t>(made.size()));
  for (const Settlement& settled : made) {
    if (settled.outcome == Outcome::succeeded) continue;
    const std::string where = " FROM batchd.result WHERE request_id = " + std::to_string(settled.request.value);
    EXPECT_EQ(sql.error_of("SELECT error->>'code', error->>'message', error->>'none'" + where), "") << settled.error;
    EXPECT_EQ(sql.value("SELECT (error->>'code' <> '' AND error->>'message' IS NOT NULL)::text" + where), "true")
        << settled.error;
  }
  EXPECT_EQ(sql.error_of("SELECT sum(length(response::text)) FROM batchd.result"), "") << "an answer is no JSON to PostgreSQL";
  wait(store.backlog());  // rolls the counters up, tokens among them
  expect_nothing_lost();
  EXPECT_EQ(sql.number("SELECT accepted FROM batchd.job_progress"), static_cast<std::int64_t>(made.size()));
}

TEST_F(MalformedStorage, TakesEveryErrorOfARequestThatGoesRoundAgain) {
  const std::vector<Settlement> made = settlements();
  const Term term = planner();
  const Shard shard = finished_shard(term, made.size());
  ShardContents contents = wait(store.contents(shard.id));
  SettleChunk chunk;
  for (const Settlement& settled : made) chunk.returned.push_back({settled.request, 1, Milliseconds{0}, settled.error});
  ASSERT_TRUE(settle(term, shard, contents, std::move(chunk)));
  for (const Settlement& settled : made) {
    const std::string id = std::to_string(settled.request.value);
    EXPECT_EQ(sql.error_of("SELECT last_error->>'code' FROM batchd.request_status WHERE id = " + id), "") << settled.error;
  }
  expect_nothing_lost();
}

}  // namespace
}  // namespace batchd::testing
