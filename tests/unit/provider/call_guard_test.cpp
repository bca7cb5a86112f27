#include "provider/openai_api.hpp"

#include "support/fixed_credential.hpp"
#include "support/run_task.hpp"
#include "support/scripted_server.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <mutex>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using Turn = CallGuard::Turn;

/// Stands still until the test moves it; a wait moves it too.
class SteppedClock final : public Clock {
 public:
  TimePoint now() const override { return now_; }
  Task<void> sleep_for(Milliseconds delay) override {
    pass(delay);
    co_return;
  }
  Task<void> sleep_for(Milliseconds delay, Wakeup&) override { return sleep_for(delay); }
  void pass(Milliseconds time) { now_ += time; }

 private:
  TimePoint now_{1'000'000s};
};

const CallPolicy policy{{10s, 60s}, {{Operation::upload, {30, 1s, 30}}}};

class CallGuardTest : public ::testing::Test {
 protected:
  ProviderResult<Turn> turn(Operation operation) { return run_task(io_, guard_.turn(operation)); }
  void fails(Operation operation = Operation::download) { guard_.ended(operation, {.answered = false, .reason = "HTTP 503"}); }
  void throttles(Operation operation, Milliseconds asked) {
    guard_.ended(operation, {.throttled = true, .retry_after = asked, .reason = "slow down"});
  }
  /// How many of a thousand callers are let through.
  int let_through(Operation operation) {
    int count = 0;
    for (int i = 0; i < 1000; ++i) count += turn(operation).has_value() ? 1 : 0;
    return count;
  }
  bool shown() { return metrics_.expose().find("batchd_provider_calls_withheld{provider=\"p\"} 1") != std::string::npos; }

  asio::io_context io_;
  SteppedClock clock_;
  Metrics metrics_{"test"};
  std::vector<std::string> events_;
  Log log_{LogLevel::info, [this](LogLevel, std::string_view event, auto, std::string_view) { events_.emplace_back(event); }};
  CallGuard guard_{"p", policy, clock_, metrics_, log_};
};

TEST_F(CallGuardTest, DuringAnOutageAThousandCallersMakeOneProbeAtATime) {
  for (int i = 0; i < 5; ++i) fails();
  EXPECT_TRUE(shown());
  EXPECT_EQ(let_through(Operation::download), 0);
  const auto refused = turn(Operation::download).error();
  EXPECT_EQ(refused.kind, ErrorKind::not_sent);
  EXPECT_EQ(refused.code, calls_withheld);
  EXPECT_THAT(refused.message, HasSubstr("HTTP 503"));
  for (int probes = 0; probes < 5; ++probes) {
    clock_.pass(guard_.withheld_for(Operation::download));
    EXPECT_EQ(let_through(Operation::download), 1);
    fails();
  }
  clock_.pass(guard_.withheld_for(Operation::download));
  EXPECT_EQ(*turn(Operation::download), Turn::probe);
  guard_.ended(Operation::list_batches, {});
  EXPECT_FALSE(shown());
  EXPECT_EQ(let_through(Operation::download), 1000);
  EXPECT_EQ(events_.front(), "provider.unavailable");
  EXPECT_EQ(events_.back(), "provider.answers");
}

TEST_F(CallGuardTest, AThousandThrottledCallersWaitAsLongAsWasAsked) {
  throttles(Operation::create_batch, 45s);
  EXPECT_EQ(let_through(Operation::create_batch), 0);
  EXPECT_EQ(let_through(Operation::download), 1000) << "other calls go on";
  EXPECT_EQ(guard_.withheld_for(Operation::create_batch), 45s);
  EXPECT_FALSE(shown()) << "it does answer";
  clock_.pass(45s);
  EXPECT_EQ(let_through(Operation::create_batch), 1);
  throttles(Operation::create_batch, 30s);
  clock_.pass(30s);
  EXPECT_EQ(*turn(Operation::create_batch), Turn::call);
  guard_.ended(Operation::create_batch, {});
  EXPECT_EQ(let_through(Operation::create_batch), 1000);
}

TEST_F(CallGuardTest, AFailureThatAsksToBeLeftAloneIsEnough) {
  guard_.ended(Operation::download, {.answered = false, .leave_it_alone = true, .reason = "HTTP 500"});
  EXPECT_EQ(let_through(Operation::list_batches), 0);
}

TEST_F(CallGuardTest, KeepsTheProvidersPace) {
  const auto begun = clock_.now();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(turn(Operation::upload));
  EXPECT_GE(clock_.now() - begun, 32s) << "30 a second, 30 of them at once";
  EXPECT_LE(clock_.now() - begun, 34s) << "and no slower";
  const auto unlimited = clock_.now();
  EXPECT_EQ(let_through(Operation::download), 1000);
  EXPECT_EQ(clock_.now(), unlimited);
}

/// The port behind its guard, and a server.
class GuardedProviderTest : public CallGuardTest {
 protected:
  GuardedProviderTest() {
    ProviderSettings settings;
    settings.name = "p";
    settings.kind = "azure-v1";
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server_.port());
    settings.credential = &credential_;
    settings.guard = &guard_;
    settings.http.max_idle_connections = 0;
    provider_.emplace(std::move(settings), metrics_, log_);
  }
  std::vector<std::string> taken() {
    const std::lock_guard lock(mutex_);
    return std::exchange(seen_, {});
  }
  ProviderError create() {
    return run_task(io_, provider_->create_batch(NewBatch{FileId{"f"}, "/v1/chat/completions", {}})).error();
  }

  std::mutex mutex_;
  std::vector<std::string> seen_;
  std::atomic<bool> down_{true};
  FixedCredential credential_{"key"};
  ScriptedServer server_{[this](Peer& peer, int) {
    const std::string request = peer.read_request();
    {
      const std::lock_guard lock(mutex_);
      seen_.push_back(request.substr(0, request.find_first_of("?\r")));
    }
    peer.write(down_ ? "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n"
                     : "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"data\":[]}");
  }};
  std::optional<HttpProvider> provider_;
};

TEST_F(GuardedProviderTest, NeverFindsOutWithACallThatHasAnEffect) {
  for (int i = 0; i < 5; ++i) create();
  taken();
  clock_.pass(provider_->withheld_for(ShardState::uploaded));
  EXPECT_EQ(create().code, calls_withheld);
  EXPECT_THAT(taken(), ElementsAre(AllOf(HasSubstr("GET "), HasSubstr("/batches"))));
  EXPECT_GT(provider_->withheld_for(ShardState::uploaded), 0ms);
  EXPECT_EQ(create().code, calls_withheld);
  EXPECT_THAT(taken(), ElementsAre());
  down_ = false;
  clock_.pass(provider_->withheld_for(ShardState::uploaded));
  create();
  EXPECT_THAT(taken(), ElementsAre(HasSubstr("GET "), HasSubstr("POST ")));
}

TEST_F(GuardedProviderTest, AFileThatCannotBeReadIsNotTheProvidersFault) {
  for (int i = 0; i < 10; ++i) {
    const auto uploaded = run_task(io_, provider_->upload("/nowhere.jsonl", "x.jsonl"));
    EXPECT_EQ(uploaded.error().kind, ErrorKind::not_sent);
  }
  EXPECT_EQ(provider_->withheld_for(ShardState::planned), 0ms);
}

}  // namespace
}  // namespace batchd::testing
