#include "provider/token_cache.hpp"

#include "support/run_task.hpp"

#include <gmock/gmock.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>

#include <deque>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Stands still until the test moves it; waits are real, for rings only.
class ManualClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  Task<void> sleep_for(Milliseconds delay) override { return steady_.sleep_for(delay); }
  Task<void> sleep_for(Milliseconds delay, Wakeup& wakeup) override { return steady_.sleep_for(delay, wakeup); }
  void pass(Milliseconds time) { now_ += time; }

 private:
  SteadyClock steady_;
  TimePoint now_{1'000'000s};
};

/// Gives what the test has laid out; with nothing there, tokens of an hour: t1, t2, …
struct Source final : TokenSource {
  explicit Source(Clock& c) : clock(c) {}
  Task<TokenResult> fetch() override {
    ++fetches;
    if (slow) co_await clock.sleep_for(60s, finish);
    if (answers.empty()) {
      Token token{"t" + std::to_string(++tokens), life};
      co_return token;
    }
    TokenResult answer = std::move(answers.front());
    answers.pop_front();
    co_return answer;
  }
  bool proof_changed() override { return std::exchange(changed, false); }

  Clock& clock;
  std::deque<TokenResult> answers;
  Milliseconds life{1h};
  int tokens = 0;
  int fetches = 0;
  bool slow = false;
  Wakeup finish;
  bool changed = false;
};

TokenFailure failure(bool lasting, std::optional<Milliseconds> retry_after = {}) {
  TokenFailure out;
  out.lasting = lasting;
  out.status = lasting ? 401 : 503;
  out.code = lasting ? "AADSTS7000215" : "";
  out.message = lasting ? "invalid_client" : "HTTP 503";
  out.retry_after = retry_after;
  return out;
}

class TokenCacheTest : public ::testing::Test {
 protected:
  TokenCacheTest() {
    auto source = std::make_unique<Source>(clock_);
    source_ = source.get();
    cache_.emplace("p", std::move(source), clock_, metrics_, log_);
  }
  std::string shown() {
    const auto result = run_task(io_, cache_->authorization());
    if (result) {
      EXPECT_EQ(result->scheme, Authorization::Scheme::bearer);
      return result->secret;
    }
    error_ = result.error();
    return std::string(to_string(error_.kind));
  }
  std::string instead_of(const std::string& token) {
    const auto result = run_task(io_, cache_->replacement({Authorization::Scheme::bearer, token}));
    if (!result) return std::string(to_string(result.error().kind));
    return result->has_value() ? (*result)->secret : "nothing else";
  }
  bool tend() { return run_task(io_, cache_->tend()); }

  asio::io_context io_{1};
  ManualClock clock_;
  Metrics metrics_{"test"};
  Log log_{LogLevel::error, LogFormat::json};
  Source* source_ = nullptr;
  std::optional<TokenCache> cache_;
  ProviderError error_;
};

TEST_F(TokenCacheTest, OneTokenServesUntilItIsDueForRenewal) {
  EXPECT_FALSE(tend());
  EXPECT_EQ(source_->fetches, 0) << "nobody has asked for one yet";
  EXPECT_EQ(shown(), "t1");
  clock_.pass(54min);
  EXPECT_FALSE(tend());
  EXPECT_EQ(shown(), "t1");
  clock_.pass(1min);
  EXPECT_FALSE(tend());
  EXPECT_EQ(shown(), "t2") << "renewed five minutes ahead, by the loop that tends it";
  EXPECT_EQ(source_->fetches, 2);
}

TEST_F(TokenCacheTest, AShortTokenIsRenewedAtSeventyPercentOfItsLife) {
  source_->life = 10s;
  EXPECT_EQ(shown(), "t1");
  clock_.pass(6900ms);
  tend();
  EXPECT_EQ(shown(), "t1");
  clock_.pass(200ms);
  tend();
  EXPECT_EQ(shown(), "t2");
}

TEST_F(TokenCacheTest, WithoutALoopTheTokenIsFetchedWhenItHasRunOut) {
  EXPECT_EQ(shown(), "t1");
  clock_.pass(59min);
  EXPECT_EQ(shown(), "t1") << "a call is not held up by what can still wait";
  clock_.pass(1min);
  EXPECT_EQ(shown(), "t2");
}

TEST_F(TokenCacheTest, AllWhoAskAtOnceShareOneExchange) {
  source_->slow = true;
  std::vector<std::string> got;
  const auto ask = [this, &got]() -> Task<void> {
    const auto result = co_await cache_->authorization();
    got.push_back(result->secret);
    if (got.size() == 5) io_.stop();
  };
  for (int i = 0; i < 5; ++i) asio::co_spawn(io_, ask, asio::detached);
  asio::post(io_, [this] { source_->finish.notify(); });
  io_.run();
  EXPECT_THAT(got, ElementsAre("t1", "t1", "t1", "t1", "t1"));
  EXPECT_EQ(source_->fetches, 1);
}

TEST_F(TokenCacheTest, WhoWaitsForAnExchangeThatIsStoppedBeginsItsOwn) {
  source_->slow = true;
  asio::cancellation_signal stop;
  bool stopped = false;
  asio::co_spawn(io_, cache_->authorization(),
                 asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr thrown, ProviderResult<Authorization>) {
                   stopped = thrown != nullptr;
                 }));
  std::string second;
  const auto ask = [this, &second]() -> Task<void> {
    const auto result = co_await cache_->authorization();
    second = result->secret;
    io_.stop();
  };
  asio::co_spawn(io_, ask, asio::detached);
  asio::post(io_, [&] {
    source_->slow = false;
    stop.emit(asio::cancellation_type::terminal);
  });
  io_.run();
  EXPECT_TRUE(stopped);
  EXPECT_EQ(second, "t1");
}

TEST_F(TokenCacheTest, WhileTheServiceFailsTheOldTokenIsUsedToItsEnd) {
  EXPECT_EQ(shown(), "t1");
  clock_.pass(56min);
  for (int i = 0; i < 100; ++i) source_->answers.emplace_back(failure(true));
  EXPECT_FALSE(tend());
  EXPECT_EQ(source_->fetches, 2);
  EXPECT_EQ(shown(), "t1");
  clock_.pass(3min);
  tend();
  EXPECT_EQ(shown(), "t1");
  clock_.pass(1min);
  EXPECT_EQ(shown(), "account");
  EXPECT_EQ(error_.code, "AADSTS7000215");
  EXPECT_EQ(error_.message, "no Entra token: invalid_client");
}

TEST_F(TokenCacheTest, TriesAreSpacedOutHoweverManyAsk) {
  for (int i = 0; i < 100; ++i) source_->answers.emplace_back(failure(false));
  std::vector<int> tried_at;
  for (int second = 0; second <= 40; ++second) {
    const int before = source_->fetches;
    EXPECT_EQ(shown(), "not_sent");
    EXPECT_EQ(shown(), "not_sent");
    EXPECT_GT(error_.retry_after, Milliseconds{0});
    if (source_->fetches > before) tried_at.push_back(second);
    clock_.pass(1s);
  }
  EXPECT_THAT(tried_at, ElementsAre(0, 2, 6, 14, 30));
  source_->answers.clear();
  clock_.pass(60s);
  EXPECT_EQ(shown(), "t1");
}

TEST_F(TokenCacheTest, AServicesOwnWishForPatienceIsHonoured) {
  source_->answers.emplace_back(failure(false, Milliseconds{90'000}));
  EXPECT_EQ(shown(), "not_sent");
  EXPECT_EQ(error_.retry_after, Milliseconds{90'000});
  clock_.pass(89s);
  EXPECT_EQ(shown(), "not_sent");
  EXPECT_EQ(source_->fetches, 1);
  clock_.pass(1s);
  EXPECT_EQ(shown(), "t1");
}

TEST_F(TokenCacheTest, WhatShouldHavePassedAndHasNotBecomesAnAccountsFailure) {
  for (int i = 0; i < 100; ++i) source_->answers.emplace_back(failure(false));
  EXPECT_EQ(shown(), "not_sent");
  clock_.pass(2min);
  EXPECT_EQ(shown(), "not_sent") << "an upgrade of the identity endpoint, a new federated credential";
  clock_.pass(4min);
  EXPECT_EQ(shown(), "account");
}

TEST_F(TokenCacheTest, ARefusedTokenIsReplacedOnceForAllWhoShowedIt) {
  EXPECT_EQ(shown(), "t1");
  EXPECT_EQ(instead_of("t1"), "t2");
  EXPECT_EQ(instead_of("t1"), "t2") << "another call that was refused with the same one";
  EXPECT_EQ(source_->fetches, 2);
  EXPECT_EQ(shown(), "t2");
}

TEST_F(TokenCacheTest, TheSameTokenAgainIsNothingElse) {
  source_->answers.emplace_back(Token{"same", 1h});
  source_->answers.emplace_back(Token{"same", 1h});
  EXPECT_EQ(shown(), "same");
  EXPECT_EQ(instead_of("same"), "nothing else");
}

TEST_F(TokenCacheTest, ARefusedTokenIsNotShownAgainEvenIfNoOtherCanBeHad) {
  EXPECT_EQ(shown(), "t1");
  source_->answers.emplace_back(failure(false));
  EXPECT_EQ(instead_of("t1"), "not_sent");
  EXPECT_EQ(shown(), "not_sent");
}

TEST_F(TokenCacheTest, AChangedProofIsTriedAtOnce) {
  source_->answers.emplace_back(failure(true, Milliseconds{3'600'000}));
  EXPECT_EQ(shown(), "account");
  EXPECT_EQ(shown(), "account");
  EXPECT_EQ(source_->fetches, 1);
  source_->changed = true;
  EXPECT_TRUE(tend()) << "what was refused is worth another try";
  EXPECT_EQ(shown(), "t1");
  EXPECT_FALSE(tend());
}

TEST_F(TokenCacheTest, ATokenAfterATimeWithoutIsTold) {
  source_->answers.emplace_back(failure(true));
  EXPECT_EQ(shown(), "account");
  EXPECT_FALSE(tend());
  clock_.pass(2s);
  EXPECT_TRUE(tend()) << "the loop itself tries again, so that a lane need not wait for its own probe";
  EXPECT_EQ(shown(), "t1");
}

TEST_F(TokenCacheTest, ATokenThatIsOverWhenItComesIsAnError) {
  source_->life = 0s;
  EXPECT_EQ(shown(), "not_sent");
  EXPECT_THAT(error_.message, HasSubstr("had run out"));
}

}  // namespace
}  // namespace batchd::testing
