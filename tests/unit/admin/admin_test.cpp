#include "admin/admin_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

namespace batchd {
namespace {

using testing::HasSubstr;
using testing::Not;

class FixedStatus final : public StatusSource {
 public:
  StatusSnapshot snapshot() const override { return status; }
  Health health() const override { return health_now; }

  StatusSnapshot status;
  Health health_now{.stopping = false, .schema_problem = "", .database_age = Milliseconds(10)};
};

StatusSnapshot busy() {
  StatusSnapshot s;
  s.version = "1.2.3";
  s.instance = "a1b2";
  s.replica = "host:42";
  s.age = Milliseconds(900);
  s.accepted = 1'234'567;
  s.queued = 1'000'000;
  s.in_flight = 34'567;
  s.settled = {{"succeeded", 199'000}, {"failed", 1'000}};
  s.shards = {{"submitted", 3}};
  s.oldest_queued = Milliseconds(90'000);
  s.deployments = {{"mini-batch", "eastus", "gpt-4o-mini", 250, 1'000, 900, 2, 3, ""}};
  s.jobs = {{"nightly", 10, 20, 65, 5, 0, 0, 1'000, 2'000}};
  return s;
}

class AdminTest : public testing::Test {
 protected:
  ServerResponse ask(const std::string& method, const std::string& path, const std::string& query = "") {
    asio::io_context loop;
    ServerRequest request;
    request.method = method;
    request.path = path;
    request.query = query;
    ServerResponse out;
    asio::co_spawn(loop, routes_.handle(request), [&](std::exception_ptr failure, ServerResponse response) {
      if (failure) std::rethrow_exception(failure);
      out = std::move(response);
    });
    loop.run();
    return out;
  }

  FixedStatus source_;
  Metrics metrics_{"1.2.3"};
  AdminRoutes routes_{source_, metrics_};
};

TEST(Readiness, NeedsSchemaAndAFreshDatabaseAndNobodyWhoAskedToStop) {
  const Health fine{.stopping = false, .schema_problem = "", .database_age = Milliseconds(4'999)};
  EXPECT_TRUE(judge(fine).ready);
  EXPECT_FALSE(judge(Health{}).ready);

  Health stopping = fine;
  stopping.stopping = true;
  EXPECT_EQ(judge(stopping).reason, "stopping");

  Health old = fine;
  old.database_age = Milliseconds(5'000);
  EXPECT_THAT(judge(old).reason, HasSubstr("5 s ago"));

  Health schema = fine;
  schema.schema_problem = "the schema is older than this program needs";
  EXPECT_EQ(judge(schema).reason, "the schema is older than this program needs");
}

TEST_F(AdminTest, LivenessAsksNobody) {
  source_.health_now = Health{};
  EXPECT_EQ(ask("GET", "/livez").status, 200);
}

TEST_F(AdminTest, ReadinessAnswers503WithTheReason) {
  EXPECT_EQ(ask("GET", "/readyz").status, 200);
  source_.health_now.stopping = true;
  const auto response = ask("GET", "/readyz");
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "stopping\n");
}

TEST_F(AdminTest, MetricsAreInTheTextFormat) {
  const auto response = ask("GET", "/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.content_type, HasSubstr("version=0.0.4"));
  EXPECT_THAT(response.body, HasSubstr("batchd_build_info{version=\"1.2.3\"} 1"));
}

TEST_F(AdminTest, StatusIsJsonWithEveryNumber) {
  source_.status = busy();
  source_.status.unroutable = {{"gpt-x", 7}};
  const auto response = ask("GET", "/status");
  EXPECT_EQ(response.content_type, "application/json");
  const auto json = boost::json::parse(response.body).as_object();
  EXPECT_EQ(json.at("ready").as_bool(), true);
  EXPECT_EQ(json.at("version").as_string(), "1.2.3");
  const auto& requests = json.at("requests").as_object();
  EXPECT_EQ(requests.at("accepted").as_int64(), 1'234'567);
  EXPECT_EQ(requests.at("settled").as_int64(), 200'000);
  EXPECT_EQ(requests.at("cancelled").as_int64(), 0);
  EXPECT_EQ(json.at("oldest_queued_seconds").as_double(), 90.0);
  EXPECT_EQ(json.at("shards").at("submitted").as_int64(), 3);
  EXPECT_EQ(json.at("deployments").at(0).at("tokens_reserved").as_int64(), 250);
  EXPECT_TRUE(json.at("deployments").at(0).at("paused").is_null());
  EXPECT_EQ(json.at("jobs").at(0).at("accepted").as_int64(), 100);
  EXPECT_EQ(json.at("unroutable").at(0).at("model").as_string(), "gpt-x");
}

TEST_F(AdminTest, BeforeAnythingWasReadTheAgeIsNull) {
  EXPECT_TRUE(boost::json::parse(ask("GET", "/status").body).at("age_seconds").is_null());
  EXPECT_THAT(ask("GET", "/").body, HasSubstr("Nothing has been read from the database yet"));
}

TEST_F(AdminTest, ThePageHoldsTheNumbersWithoutAnyScript) {
  source_.status = busy();
  const auto response = ask("GET", "/");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.content_type, HasSubstr("text/html"));
  EXPECT_THAT(response.body, HasSubstr("200,000 of 1,234,567 settled (16 %)"));
  EXPECT_THAT(response.body, HasSubstr("nightly"));
  EXPECT_THAT(response.body, HasSubstr("width:25.000000%"));
  EXPECT_THAT(response.body, HasSubstr("host:42"));
}

TEST_F(AdminTest, ThePageRefreshesItselfFromItsOwnChangingPart) {
  source_.status = busy();
  const auto part = ask("GET", "/status", "format=html");
  EXPECT_THAT(part.content_type, HasSubstr("text/html"));
  EXPECT_THAT(part.body, Not(HasSubstr("<html")));
  EXPECT_THAT(ask("GET", "/").body, HasSubstr(part.body));
}

TEST_F(AdminTest, ThePageLoadsNothingFromElsewhere) {
  source_.status = busy();
  const auto response = ask("GET", "/");
  for (const char* outside : {"http://", "https://", "src=", "@import", "url("})
    EXPECT_THAT(response.body, Not(HasSubstr(outside)));
  EXPECT_THAT(std::string(find_header(response.headers, "content-security-policy").value_or("")),
              HasSubstr("default-src 'none'"));
}

TEST_F(AdminTest, NamesChosenByProducersAreEscaped) {
  source_.status = busy();
  source_.status.jobs[0].job = "<script>alert('x')</script>";
  source_.status.deployments[0].name = "a\"b&c";
  source_.status.unroutable = {{"<img onerror=x>", 1}};
  const std::string body = ask("GET", "/").body;
  EXPECT_THAT(body, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(body, Not(HasSubstr("<img")));
  EXPECT_THAT(body, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
  EXPECT_THAT(body, HasSubstr("a&quot;b&amp;c"));
}

TEST_F(AdminTest, APauseAndAnOpenSubmissionAreSaidInWords) {
  source_.status = busy();
  source_.status.deployments[0].paused = "account";
  source_.status.submissions_unknown = 2;
  const std::string body = ask("GET", "/").body;
  EXPECT_THAT(body, HasSubstr("is paused: account"));
  EXPECT_THAT(body, HasSubstr("2 submissions had no answer"));
}

TEST_F(AdminTest, AnythingElseIsNotFoundAndNothingCanBeChanged) {
  EXPECT_EQ(ask("GET", "/nothing").status, 404);
  EXPECT_EQ(ask("GET", "/status/").status, 404);
  EXPECT_EQ(ask("POST", "/status").status, 405);
  EXPECT_EQ(ask("HEAD", "/livez").status, 200);
}

}  // namespace
}  // namespace batchd
