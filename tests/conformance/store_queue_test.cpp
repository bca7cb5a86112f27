// What waits: the backlog by flows, and requests that no shard will ever hold.
#include "conformance/store_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Queue : public StoreConformance {
 protected:
  std::vector<std::string> jobs_of(const std::vector<Flow>& flows) {
    std::vector<std::string> jobs;
    for (const Flow& flow : flows) jobs.push_back(flow.job);
    return jobs;
  }
  static Prompt due(Milliseconds in, const std::string& job = "default") {
    Prompt prompt;
    prompt.job = job;
    prompt.deadline_in = in;
    return prompt;
  }
};
CONFORMANCE_SUITE(Queue);

TEST_P(Queue, ShowsWhatWaitsByFlow) {
  EXPECT_THAT(wait(store.backlog()), IsEmpty());
  Prompt prompt;
  prompt.job = "j";
  prompt.priority = 3;
  prompt.body = R"("12345678")";
  enqueue(4, prompt);
  prompt.endpoint = "/v1/embeddings";
  prompt.priority = 2;
  enqueue(1, prompt);
  prompt.model = "other";
  prompt.priority = 1;
  enqueue(1, prompt);
  const auto flows = wait(store.backlog());
  ASSERT_THAT(flows, SizeIs(3));
  EXPECT_EQ(flows[0].lane, (Lane{"m", "/v1/chat/completions"}));
  EXPECT_EQ(flows[0].job, "j");
  EXPECT_EQ(flows[0].priority, 3);
  EXPECT_EQ(flows[0].requests, 4);
  EXPECT_EQ(flows[0].bytes, 40);
  EXPECT_EQ(flows[0].returned, 0);
  EXPECT_FALSE(flows[0].deadline_in);
  EXPECT_EQ(flows[1].lane, (Lane{"m", "/v1/embeddings"}));
  EXPECT_EQ(flows[2].lane, (Lane{"other", "/v1/embeddings"}));
}

TEST_P(Queue, ThePriorityComesFirstThenTheDeadlineThenWhoWaitedLonger) {
  enqueue(1, "first");
  wait(store.backlog());
  enqueue(1, "second");
  wait(store.backlog());
  harness->enqueue({due(120min, "in two hours"), due(60min, "in an hour")});
  Prompt urgent = due(180min, "urgent");
  urgent.priority = 1;
  enqueue(1, urgent);
  EXPECT_THAT(jobs_of(wait(store.backlog())), ElementsAre("urgent", "in an hour", "in two hours", "first", "second"));
  EXPECT_EQ(harness->set_priority("second", 9), 1);
  EXPECT_THAT(jobs_of(wait(store.backlog())), ElementsAre("second", "urgent", "in an hour", "in two hours", "first"));
  EXPECT_EQ(wait(store.backlog()).at(0).priority, 9);
}

TEST_P(Queue, AKeyIsEnqueuedOnceInItsJob) {
  Prompt prompt;
  prompt.key = "k";
  EXPECT_THAT(harness->enqueue({prompt, prompt}), SizeIs(1));
  EXPECT_THAT(harness->enqueue({prompt}), IsEmpty());
  prompt.job = "other";
  EXPECT_THAT(harness->enqueue({prompt}), SizeIs(1));
  EXPECT_EQ(wait(store.gauges()).accepted, 2);
}

TEST_P(Queue, TellsHowLongTheOldestHasWaited) {
  const Term term = planner();
  enqueue(1);
  wait(store.backlog());
  harness->pass(1h);
  enqueue(1);
  EXPECT_GE(wait(store.backlog()).at(0).waiting, 1h);
  EXPECT_GE(wait(store.gauges()).oldest_queued, 1h);
  ASSERT_TRUE(plan(term, 1));
  EXPECT_LT(wait(store.backlog()).at(0).waiting, 1min) << "the next one came later";
  EXPECT_LT(wait(store.gauges()).oldest_queued, 1min);
}

TEST_P(Queue, AJobThatIsPausedDoesNotWait) {
  enqueue(1, "a");
  enqueue(1, "b");
  harness->pause("job:a");
  EXPECT_THAT(jobs_of(wait(store.backlog())), ElementsAre("b"));
  EXPECT_TRUE(harness->resume("job:a"));
  EXPECT_FALSE(harness->resume("job:a"));
  EXPECT_THAT(wait(store.backlog()), SizeIs(2));
}

TEST_P(Queue, FailsWhatNobodyServesWhenItHasWaitedLongEnough) {
  const Term term = planner();
  enqueue(2);
  Prompt unserved;
  unserved.model = "unknown";
  const auto ids = enqueue(3, unserved);
  wait(store.backlog());
  EXPECT_EQ(wait(store.fail_unroutable(term, {{"m", {}}, {"it's", {}}}, 1h)), 0);
  EXPECT_EQ(wait(store.fail_unroutable(Term{1}, {{"m", {}}}, 0ms)), 0) << "only for who holds the role";
  harness->pass(61min);
  EXPECT_EQ(wait(store.fail_unroutable(term, {{"m", {}}, {"it's", {}}}, 1h)), 3);
  for (const RequestId id : ids) {
    const auto result = result_of(id);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->outcome, "failed");
    EXPECT_THAT(result->error, HasSubstr(R"("no_deployment")"));
    EXPECT_THAT(result->error, HasSubstr("unknown"));
    EXPECT_EQ(result->attempt, 0);
  }
  EXPECT_THAT(wait(store.backlog()), SizeIs(1));
  EXPECT_EQ(wait(store.fail_unroutable(term, {{"m", {"/chat/completions", "/responses"}}}, 0ms)), 0) << "with or without /v1";
  Prompt elsewhere;
  elsewhere.endpoint = "/v1/embeddings";
  const auto embeddings = enqueue(1, elsewhere);
  wait(store.backlog());
  EXPECT_EQ(wait(store.fail_unroutable(term, {{"m", {"/chat/completions", "/responses"}}}, 0ms)), 1);
  EXPECT_THAT(result_of(embeddings.front())->error, HasSubstr("m at /v1/embeddings"));
  EXPECT_EQ(wait(store.fail_unroutable(term, {}, 0ms)), 2);
  EXPECT_THAT(wait(store.backlog()), IsEmpty());
}

TEST_P(Queue, FailsWhatCameBackAndIsServedByNobodyAnyMore) {
  const Term term = planner();
  const Shard shard = finished(term, 1);
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(id, 2, 1h, R"({"code":"x"})")}}));
  wait(store.backlog());
  EXPECT_EQ(wait(store.fail_unroutable(term, {{"other", {}}}, 0ms)), 1) << "due or not";
  const auto result = result_of(id);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->attempt, 2);
  EXPECT_THAT(result->error, HasSubstr("no_deployment"));
  EXPECT_EQ(request(id).attempts, 2);
}

TEST_P(Queue, ExpiresWhatIsOverdue) {
  const Term term = planner();
  const auto late = enqueue(2, due(2min, "late"));
  enqueue(2, due(60min, "in time"));
  const auto flows = wait(store.backlog());
  EXPECT_THAT(jobs_of(flows), ElementsAre("late", "in time"));
  EXPECT_GT(flows[0].deadline_in.value(), 0ms);
  EXPECT_LE(flows[0].deadline_in.value(), 2min);
  EXPECT_EQ(wait(store.expire_overdue(term)), 0);
  harness->pass(4min);
  EXPECT_LT(wait(store.backlog()).at(0).deadline_in.value(), 0ms);
  EXPECT_EQ(wait(store.expire_overdue(join())), 0) << "only for who holds the role";
  EXPECT_EQ(wait(store.expire_overdue(term)), 2);
  EXPECT_EQ(wait(store.expire_overdue(term)), 0);
  EXPECT_EQ(state_of(late[0]), "expired");
  EXPECT_THAT(request(late[1]).last_error, HasSubstr(R"("deadline_passed")"));
}

TEST_P(Queue, ExpiresWhatCameBackToo) {
  const Term term = planner();
  enqueue(2, due(3min));
  const Shard shard = finish(term, planned(term));
  ShardContents contents = wait(store.contents(shard.id));
  const RequestId id = contents.members.at(0);
  ASSERT_TRUE(settle(term, shard, contents, {{}, {returned(id, 1, 1h)}}));
  harness->pass(5min);
  wait(store.backlog());
  EXPECT_EQ(wait(store.expire_overdue(term)), 1);
  EXPECT_EQ(result_of(id)->attempt, 1);
  EXPECT_EQ(state_of(contents.members.at(1)), "in_flight") << "what is on its way may still be answered";
}

TEST_P(Queue, MaintenanceMayBeDoneByAnybodyAtAnyTime) {
  wait(store.maintain());
  enqueue(3);
  wait(store.maintain());
  wait(harness->store(1).maintain());
  EXPECT_EQ(wait(store.gauges()).queued, 3);
  EXPECT_EQ(wait(store.gauges()).queued_by_lane.at({"m", "/v1/chat/completions"}), 3) << "rolled up";
}

}  // namespace
}  // namespace batchd::conformance
