#include "core/backoff.hpp"
#include "core/members.hpp"
#include "core/packer.hpp"
#include "core/tokens.hpp"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace batchd {
namespace {

// Members ----------------------------------------------------------------------------------------------------------------
TEST(Members, RankAndAtAreInverseAcrossChunksAndRanges) {
  const Members members({{FlowId{1}, {{10, 12}, {20, 20}}}, {FlowId{2}, {{1, 2}}}, {FlowId{3}, {{15, 17}}}});
  EXPECT_EQ(members.size(), 9u);
  for (std::size_t i = 0; i < members.size(); ++i) EXPECT_EQ(members.rank(members.at(i)), i);
  EXPECT_EQ(members.at(0), RequestId{10});
  EXPECT_EQ(members.at(4), RequestId{1});
  EXPECT_EQ(members.flow_at(3), FlowId{1});
  EXPECT_EQ(members.flow_at(5), FlowId{2});
  EXPECT_EQ(members.flow_at(8), FlowId{3});
  for (const std::int64_t other : {0, 3, 9, 13, 14, 18, 19, 21}) EXPECT_EQ(members.rank(RequestId{other}), std::nullopt) << other;
  EXPECT_EQ(Members().rank(RequestId{1}), std::nullopt);
}

TEST(Members, ReadsMultirangesAsPostgresqlWritesThem) {
  EXPECT_EQ(parse_multirange("{[1,5),[9,10)}"), (std::vector<IdRange>{{1, 4}, {9, 9}}));
  EXPECT_EQ(parse_multirange("{}"), std::vector<IdRange>{});
  EXPECT_EQ(parse_multirange("{[0,-9223372036854775808)}"), std::nullopt) << "no overflow";
  for (const char* text : {"", "{", "[1,2)", "{[1,2]}", "{[1,)}", "{[2,1)}", "{[1,5)[6,7)}", "{[1,5),}", "{(1,5)}"}) {
    EXPECT_EQ(parse_multirange(text), std::nullopt) << text;
  }
}

TEST(Bitmap, SetsCountsAndComesBackFromItsBytes) {
  Bitmap bits(19);
  for (const std::size_t i : {0, 7, 8, 18}) bits.set(i);
  EXPECT_EQ(bits.count(), 4u);
  const Bitmap again(bits.bytes(), 19);
  for (std::size_t i = 0; i < 19; ++i) EXPECT_EQ(again.test(i), i == 0 || i == 7 || i == 8 || i == 18) << i;
  EXPECT_THROW(Bitmap("x", 19), std::invalid_argument);
}

// Packing ----------------------------------------------------------------------------------------------------------------
const Lane chat{"gpt", "/v1/chat/completions"};

Flow flow(std::int64_t id, std::int64_t requests, Milliseconds waiting = Milliseconds{0}, int priority = 0) {
  Flow f;
  f.id = FlowId{id};
  f.lane = chat;
  f.job = "job";
  f.priority = priority;
  f.requests = requests;
  f.bytes = requests * 1000;
  f.waiting = waiting;
  return f;
}

PackTarget target(std::string name = "d", Tokens limit = 1'000'000'000) {
  PackTarget t;
  t.load.name = std::move(name);
  t.load.model = "gpt";
  t.load.limit = t.load.room.limit = t.load.room.believed = limit;
  t.max_requests = 1000;
  t.max_bytes = 50'000'000;
  t.bytes_per_request = 100;
  return t;
}

const PackPolicy policy{};

TEST(Packer, WaitsUntilAShardIsFullOrTheOldestHasLingered) {
  EXPECT_FALSE(next_order({flow(1, 999)}, {target()}, policy));
  EXPECT_TRUE(next_order({flow(1, 1000)}, {target()}, policy));
  EXPECT_TRUE(next_order({flow(1, 1, policy.linger)}, {target()}, policy));
  PackPolicy eager = policy;
  eager.linger = Milliseconds{0};
  EXPECT_TRUE(next_order({flow(1, 1)}, {target()}, eager));
}

TEST(Packer, IsFullByBytesToo) {
  PackTarget small = target();
  small.max_bytes = 11'000;  // ten requests of 1000 bytes and 100 of line each
  EXPECT_FALSE(next_order({flow(1, 9)}, {small}, policy));
  EXPECT_TRUE(next_order({flow(1, 10)}, {small}, policy));
}

TEST(Packer, AFileTakesAtMostItsShareOfTheQuota) {
  const auto order = next_order({flow(1, 1000)}, {target("d", 40'000)}, policy);
  ASSERT_TRUE(order);
  EXPECT_LE(static_cast<double>(order->max_bytes) * order->tokens_per_byte, 10'000);
}

TEST(Packer, ManyFilesMakeAQuotaButASmallOneIsNotCutIntoDust) {
  const std::pair<Tokens, Tokens> expected[] = {
      {1'000'000'000, 41'666'666}, {480'000, 20'000}, {100'000, 20'000}, {80'000, 20'000}, {3'000, 750}, {3, 1}};
  for (const auto& [believed, tokens] : expected) EXPECT_EQ(file_tokens(believed, policy), tokens) << believed;
}

TEST(Packer, SizesFollowWhatIsBelievedNotWhatIsConfigured) {
  PackTarget learnt = target("d", 1'000'000'000);
  learnt.load.room.believed = 30'000;
  const auto order = next_order({flow(1, 1000)}, {learnt}, policy);
  ASSERT_TRUE(order);
  EXPECT_LE(static_cast<double>(order->max_bytes) * order->tokens_per_byte, 7'500);
}

TEST(Packer, KeepsAThirdOfTheQuotaReadyInFullFiles) {
  PackTarget some = target("d", 2'400'000);
  some.load.staged = policy.staged_files;
  some.load.staged_tokens = 400'000;
  EXPECT_TRUE(next_order({flow(1, 1000)}, {some}, policy)) << "four files of a twenty-fourth are less";
  some.load.staged = 8;
  some.load.staged_tokens = 800'000;
  EXPECT_FALSE(next_order({flow(1, 1000)}, {some}, policy));
  some.load.staged = policy.staged_files - 1;
  EXPECT_TRUE(next_order({flow(1, 1000)}, {some}, policy)) << "a few in any case";
}

TEST(Packer, ATrickleStaysInTheQueueWhileFilesWaitForRoom) {
  PackTarget some = target();
  some.load.staged = policy.staged_files;
  EXPECT_FALSE(next_order({flow(1, 10, policy.linger * 9)}, {some}, policy));
  --some.load.staged;
  EXPECT_TRUE(next_order({flow(1, 10, policy.linger)}, {some}, policy)) << "not held longer than linger otherwise";
}

TEST(Packer, OrdersFlowsByPriorityThenDeadlineThenWaiting) {
  Flow soon = flow(3, 500);
  soon.deadline_in = Milliseconds{1000};
  const auto order =
      next_order({flow(1, 500), flow(2, 500, Milliseconds{9}), soon, flow(4, 500, Milliseconds{0}, 5)}, {target()}, policy);
  ASSERT_TRUE(order);
  EXPECT_EQ(order->flows, (std::vector<FlowId>{FlowId{4}, FlowId{3}, FlowId{2}, FlowId{1}}));
}

TEST(Packer, TakesTheEmptiestDeploymentThatServesTheModel) {
  PackTarget other = target("other-model");
  other.load.model = "else";
  PackTarget half = target("half");
  half.load.reserved = 500'000'000;
  PackTarget quarter = target("quarter");
  quarter.load.staged_tokens = 250'000'000;
  EXPECT_EQ(next_order({flow(1, 1000)}, {other, half, quarter}, policy)->deployment, "quarter");
  EXPECT_FALSE(next_order({flow(1, 1000)}, {other}, policy));
}

TEST(Packer, LeavesADeploymentAloneThatDoesNotTakeTheEndpoint) {
  PackTarget only_chat = target("chat");
  only_chat.endpoints = {"/chat/completions"};
  PackTarget both = target("both");
  both.endpoints = {"/chat/completions", "/embeddings"};
  both.load.reserved = 500'000'000;
  Flow embeddings = flow(1, 1000);
  embeddings.lane.endpoint = "/v1/embeddings";
  EXPECT_FALSE(next_order({embeddings}, {only_chat}, policy));
  EXPECT_EQ(next_order({embeddings}, {only_chat, both}, policy)->deployment, "both") << "the emptier one does not take it";
  embeddings.lane.endpoint = "/embeddings";
  EXPECT_TRUE(next_order({embeddings}, {both}, policy)) << "with or without /v1";
}

TEST(Offers, TellWhatNobodyTakes) {
  const std::vector<Offer> offers{{"a", {"/chat/completions"}}, {"b", {}}};
  EXPECT_TRUE(is_offered(offers, {"a", "/v1/chat/completions"}));
  EXPECT_TRUE(is_offered(offers, {"a", "/chat/completions"}));
  EXPECT_FALSE(is_offered(offers, {"a", "/v1/embeddings"}));
  EXPECT_TRUE(is_offered(offers, {"b", "/v1/embeddings"})) << "no endpoints are any";
  EXPECT_FALSE(is_offered(offers, {"c", "/v1/chat/completions"}));
  EXPECT_FALSE(is_offered({}, {"a", "/v1/chat/completions"}));
}

TEST(Packer, LeavesPausedAndWellStockedDeploymentsAlone) {
  PackTarget paused = target();
  paused.load.paused = true;
  PackTarget stocked = target();
  stocked.load.staged = policy.staged_most;
  EXPECT_FALSE(next_order({flow(1, 1000)}, {paused, stocked}, policy));
}

TEST(Packer, OneLaneThatCannotGoDoesNotHoldUpAnother) {
  Flow stuck = flow(1, 5000, Milliseconds{0}, 9);
  stuck.lane.model = "nobody-serves-this";
  const auto order = next_order({stuck, flow(2, 1000)}, {target()}, policy);
  ASSERT_TRUE(order);
  EXPECT_EQ(order->flows, std::vector<FlowId>{FlowId{2}});
}

TEST(Packer, NeverMixesLanes) {
  Flow other = flow(2, 900);
  other.lane.endpoint = "/v1/embeddings";
  EXPECT_FALSE(next_order({flow(1, 900), other}, {target()}, policy));  // neither lane is full by itself
}

TEST(Packer, ReturnedRequestsCountAndEmptyFlowsDoNot) {
  Flow returned = flow(1, 0, policy.linger);
  EXPECT_FALSE(next_order({returned}, {target()}, policy));
  returned.returned = 1;
  EXPECT_TRUE(next_order({returned}, {target()}, policy));
}

// Backoff -----------------------------------------------------------------------------------------------------------------
TEST(Backoff, DoublesWithinItsBoundsAndKeepsAQuietFloor) {
  const BackoffPolicy backoff_policy{Milliseconds{1000}, Milliseconds{60'000}};
  for (int failures = 1; failures < 80; ++failures) {
    const std::int64_t whole = std::min<std::int64_t>(60'000, failures > 10 ? 60'000 : 1000LL << (failures - 1));
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
      const auto delay = backoff(backoff_policy, failures, seed).count();
      EXPECT_LE(delay, whole);
      EXPECT_GE(delay, whole / 2);
    }
  }
}

TEST(Backoff, SpreadsReplicasApart) {
  std::set<std::int64_t> delays;
  for (std::uint64_t seed = 0; seed < 100; ++seed) delays.insert(backoff({}, 3, seed).count());
  EXPECT_GT(delays.size(), 90u);
}

TEST(Backoff, ObeysALongerWishUpToADay) {
  using std::chrono::hours;
  EXPECT_EQ(backoff({}, 1, 0, Milliseconds{hours{2}}), hours{2});
  EXPECT_EQ(backoff({}, 1, 0, Milliseconds{hours{48}}), hours{24});
  EXPECT_GE(backoff({}, 1, 0, Milliseconds{1}), Milliseconds{5000});
}

// Tokens ------------------------------------------------------------------------------------------------------------------
TEST(Tokens, NeverFewerThanAQuarterOfTheBytes) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string text(random() % 500, ' ');
    for (char& c : text) c = static_cast<char>(random() % 256);
    EXPECT_GE(estimate_tokens(text), static_cast<Tokens>((text.size() + 3) / 4));
  }
  EXPECT_EQ(estimate_tokens(""), 0);
}

TEST(Tokens, AreOnTheHighSideForKnownCounts) {
  // Counts of o200k_base as OpenAI's tokenizer gives them.
  EXPECT_GE(estimate_tokens("hello world"), 2);
  EXPECT_GE(estimate_tokens("The quick brown fox jumps over the lazy dog."), 10);
  EXPECT_GE(estimate_tokens("1234567890"), 4);
  EXPECT_LE(estimate_tokens("The quick brown fox jumps over the lazy dog."), 20);
}

}  // namespace
}  // namespace batchd
