// What of the provider port is about HTTP itself: headers, statuses, bodies, silences, and the metrics of calls. Against
// batchd-sim, in each dialect.
#include "conformance/http_conformance.hpp"

#include <algorithm>

namespace batchd::conformance {
namespace {

using ::testing::HasSubstr;

HTTP_CONFORMANCE_SUITE(ProviderOverHttp);

TEST_P(ProviderOverHttp, HonoursEveryFormOfRetryAfter) {
  start();
  const FileId file = uploaded();
  const auto asked = [&](const std::string& members) {
    fault(R"({"operation":"create_batch","fault":"429")" + members + "}");
    EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::throttled);
    EXPECT_EQ(last_error.status, 429);
    return last_error.retry_after;
  };
  EXPECT_EQ(asked(""), std::nullopt);
  EXPECT_EQ(asked(R"(,"retry_after":"7")"), 7s);
  EXPECT_EQ(asked(R"(,"retry_after":"1.5")"), 1500ms);
  EXPECT_EQ(asked(R"(,"retry_after":"7","retry_after_ms":"250")"), 250ms);
  EXPECT_EQ(asked(R"(,"retry_after":"864000")"), 24h);
  EXPECT_EQ(asked(R"(,"retry_after":"Sun, 06 Nov 1994 08:49:37 GMT")"), 0s);
}

TEST_P(ProviderOverHttp, TakesRefusalsOfTheAccountForWhatTheyAre) {
  start();
  const FileId file = uploaded();
  for (const auto* name : {"401", "403"}) {
    fault(std::string(R"({"operation":"create_batch","fault":")") + name + "\"}");
    EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::account) << name;
  }
  EXPECT_TRUE(all_batches().empty());
}

TEST_P(ProviderOverHttp, CallsACreateUnknownWheneverItMayHaveHappened) {
  start();
  const FileId file = uploaded();
  struct Ambiguous {
    const char* fault;
    std::size_t made;
  };
  const Ambiguous table[] = {{"reset_before", 0}, {"500_before", 0}, {"502_html", 0},       {"503", 0},   {"reset_after", 1},
                             {"500_after", 1},    {"408_after", 1},  {"502_html_after", 1}, {"empty", 1}, {"garbage", 1}};
  std::size_t expected = 0;
  for (const Ambiguous& c : table) {
    fault(std::string(R"({"operation":"create_batch","fault":")") + c.fault + "\"}");
    EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::unknown) << c.fault << ": " << describe(last_error);
    expected += c.made;
    EXPECT_EQ(all_batches().size(), expected) << c.fault << ": one POST, never two";
  }
}

TEST_P(ProviderOverHttp, GivesUpOnACreateThatHangs) {
  http().idle_timeout = 300ms;
  start();
  const FileId file = uploaded();
  fault(R"({"operation":"create_batch","fault":"hang_after"})");
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::unknown);
  EXPECT_EQ(all_batches().size(), 1u);
}

TEST_P(ProviderOverHttp, ReportsADownloadThatWasCut) {
  start();
  const Batch batch = wait_until_over(must(provider().create_batch(order(uploaded(200)))).batch.id);
  for (const auto* name : {"truncate", "reset_after", "500_before"}) {
    fault(std::string(R"({"operation":"download","fault":")") + name + "\"}");
    std::string part;
    EXPECT_EQ(kind_of(provider().download(*batch.output_file_id, into(part))), ErrorKind::unknown) << name;
  }
  std::string whole;
  const Bytes size = must(provider().download(*batch.output_file_id, into(whole)));
  EXPECT_EQ(size, static_cast<Bytes>(whole.size()));
  EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 200);
}

TEST_P(ProviderOverHttp, FailsReadsWithoutInventingAnAnswer) {
  start();
  const BatchId id = must(provider().create_batch(order(uploaded()))).batch.id;
  for (const auto* name : {"empty", "garbage", "502_html", "503", "500_before"}) {
    fault(std::string(R"([{"operation":"list","fault":")") + name + R"("},{"operation":"retrieve","fault":")" + name + "\"}]");
    EXPECT_EQ(kind_of(provider().list_batches(std::nullopt)), ErrorKind::unknown) << name;
    EXPECT_EQ(kind_of(provider().retrieve_batch(id)), ErrorKind::unknown) << name;
  }
}

TEST_P(ProviderOverHttp, CountsEveryCallByOperationAndStatus) {
  start();
  const FileId file = uploaded();
  fault(R"({"operation":"create_batch","fault":"429"})");
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::throttled);
  const std::string text = http().metrics.expose();
  EXPECT_THAT(text, HasSubstr("operation=\"upload\""));
  EXPECT_THAT(text, HasSubstr("operation=\"create_batch\""));
  EXPECT_THAT(text, HasSubstr("code=\"429\""));
}

TEST_P(ProviderOverHttp, KnowsThatNothingWasSentWhenNobodyListens) {
  start();
  const FileId file = uploaded();
  harness->stop_listening();
  // The kept connection is noticed to be dead, and a fresh one is refused.
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::not_sent) << describe(last_error);
  EXPECT_EQ(last_error.status, 0);
}

}  // namespace
}  // namespace batchd::conformance
