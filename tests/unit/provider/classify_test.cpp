#include "provider/classify.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using enum Operation;
using ::testing::HasSubstr;
using ::testing::Not;

const auto now = std::chrono::system_clock::from_time_t(784111777);

ProviderError error_of(Operation operation, int status, std::string_view body, const HttpHeaders& headers = {}) {
  return classify(operation, status, headers, body, now);
}

struct Case {
  const char* why;
  Operation operation;
  int status;
  const char* body;
  ErrorKind expected;
};

constexpr const char* plain_error = R"({"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}})";
constexpr const char* gateway_404 = R"({"error":{"code":"404","message":"Resource not found"}})";
constexpr const char* pending =
    R"({"error":{"code":"unexpectedEntityState","message":"The input file 'file-1' is in 'pending' state; only files with status 'Processed' are accepted."}})";
constexpr const char* invisible =
    R"({"error":{"message":"Cannot find file file-x, or project proj_x does not have access to it.","type":"invalid_request_error","param":"file_id","code":null}})";
constexpr const char* html = "<html><body>Bad gateway</body></html>";

const Case cases[] = {
    {"a request time-out may have arrived", create_batch, 408, plain_error, ErrorKind::unknown},
    {"a server error may have arrived", create_batch, 500, plain_error, ErrorKind::unknown},
    {"a gateway's page too", create_batch, 502, html, ErrorKind::unknown},
    {"and an empty one", create_batch, 503, "", ErrorKind::unknown},
    {"even when it mentions the quota", create_batch, 500, R"({"error":{"code":"token_limit_exceeded","message":"m"}})",
     ErrorKind::unknown},
    {"a success without an id", create_batch, 200, "{}", ErrorKind::unknown},
    {"a success without a body", create_batch, 201, "", ErrorKind::unknown},
    {"a success with a page for a body", create_batch, 200, html, ErrorKind::unknown},
    {"a success with an error about something missing", create_batch, 200, gateway_404, ErrorKind::unknown},
    {"a refusal in nobody's words is not well-formed", create_batch, 400, html, ErrorKind::unknown},
    {"an empty one neither", create_batch, 400, "", ErrorKind::unknown},

    {"quota by code", create_batch, 400, R"({"error":{"code":"token_limit_exceeded","message":"m"}})", ErrorKind::quota},
    {"quota by message", create_batch, 400, R"({"error":{"code":"invalidPayload","message":"token_limit_exceeded: ..."}})",
     ErrorKind::quota},
    {"quota by inner error", create_batch, 400,
     R"({"error":{"code":"x","message":"m","innererror":{"code":"Token_Limit_Exceeded"}}})", ErrorKind::quota},
    {"quota as a 429", create_batch, 429, R"({"error":{"code":"token_limit_exceeded","message":"m"}})", ErrorKind::quota},
    {"quota in OpenAI's words", create_batch, 400,
     R"({"error":{"code":null,"message":"Enqueued token limit reached for gpt-4o in organization org. Limit: 90,000 enqueued tokens."}})",
     ErrorKind::quota},

    {"file still pending", create_batch, 400, pending, ErrorKind::not_ready},
    {"file still pending, said with a conflict", create_batch, 409, pending, ErrorKind::not_ready},
    {"file not visible yet", create_batch, 400, invisible, ErrorKind::not_ready},
    {"file not visible yet, said with a 404", create_batch, 404, invisible, ErrorKind::not_ready},

    {"too many files", upload, 400, R"({"error":{"code":"quotaExceeded","message":"m"}})", ErrorKind::file_slots},
    {"too many files as a 403", upload, 403, R"({"error":{"code":"quotaExceeded","message":"m"}})", ErrorKind::file_slots},
    {"too many files as a 429", upload, 429, R"({"error":{"code":"quotaExceeded","message":"m"}})", ErrorKind::file_slots},
    {"too many files in words", upload, 400,
     R"({"error":{"code":"x","message":"The maximum number of files (500) is exceeded."}})", ErrorKind::file_slots},

    {"wrong key", list_batches, 401, R"({"error":{"code":"401","message":"Access denied"}})", ErrorKind::account},
    {"wrong key, no body", create_batch, 401, "", ErrorKind::account},
    {"firewall", create_batch, 403, html, ErrorKind::account},
    {"out of credit", create_batch, 429, R"({"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}})",
     ErrorKind::account},
    {"credit limit", create_batch, 400, R"({"error":{"code":"billing_hard_limit_reached","message":"m"}})", ErrorKind::account},
    {"no such model", create_batch, 404, R"({"error":{"code":"model_not_found","message":"m"}})", ErrorKind::account},
    {"no such deployment", create_batch, 400, R"({"error":{"code":"DeploymentNotFound","message":"m"}})", ErrorKind::account},
    {"no such deployment in words", create_batch, 400,
     R"({"error":{"code":"invalidPayload","message":"The deployment 'd' does not exist"}})", ErrorKind::account},
    {"a wrong api-version hides the collection", create_batch, 404, gateway_404, ErrorKind::account},
    {"also for uploads", upload, 404, gateway_404, ErrorKind::account},
    {"also for lists", list_files, 404, gateway_404, ErrorKind::account},
    {"a redirect means another endpoint", create_batch, 302, "", ErrorKind::account},
    {"a path that takes no POST", create_batch, 405, "", ErrorKind::account},

    {"no such batch", retrieve_batch, 404, plain_error, ErrorKind::not_found},
    {"no such batch at the gateway", retrieve_batch, 404, gateway_404, ErrorKind::not_found},
    {"no such file", retrieve_file, 404, plain_error, ErrorKind::not_found},
    {"no such content", download, 404, plain_error, ErrorKind::not_found},
    {"nothing to delete", delete_file, 404, "", ErrorKind::not_found},
    {"gone for good is not there either", delete_file, 410, plain_error, ErrorKind::not_found},
    {"a batch that is gone", retrieve_batch, 410, plain_error, ErrorKind::not_found},
    {"an answer that is gone", download, 410, "", ErrorKind::not_found},
    {"a proxy's 410 says nothing about a file", delete_file, 410, html, ErrorKind::unknown},
    {"an API that is gone", create_batch, 410, gateway_404, ErrorKind::account},
    {"a proxy's 404 says nothing about a file", delete_file, 404, html, ErrorKind::unknown},
    {"a batch past its retention", retrieve_batch, 200, R"({"error":{"message":"Batch batch_1 not found","code":null}})",
     ErrorKind::not_found},
    {"an internal error under a 200", retrieve_batch, 200, R"({"error":{"message":"internal failure"}})", ErrorKind::unknown},

    {"already over", cancel_batch, 409,
     R"({"error":{"message":"Cannot cancel a batch with status 'completed'.","type":"invalid_request_error","param":null,"code":null}})",
     ErrorKind::conflict},
    {"already over, in Azure's words", cancel_batch, 400, R"({"error":{"code":"unexpectedEntityState","message":"m"}})",
     ErrorKind::conflict},
    {"any conflict", delete_file, 409, plain_error, ErrorKind::conflict},

    {"throttled", create_batch, 429, R"({"error":{"code":"429","message":"Rate limit"}})", ErrorKind::throttled},
    {"throttled without a word", create_batch, 429, "", ErrorKind::throttled},
    {"capacity", create_batch, 403, R"({"error":{"code":"quotaExceeded","message":"capacity"}})", ErrorKind::account},
    {"capacity as a 400", create_batch, 400, R"({"error":{"code":"quotaExceeded","message":"capacity"}})", ErrorKind::throttled},

    {"a plain refusal", create_batch, 400, plain_error, ErrorKind::permanent},
    {"content", upload, 400, R"({"error":{"code":"jsonlValidationFailed","message":"m"}})", ErrorKind::permanent},
    {"too large", upload, 413, html, ErrorKind::permanent},
    {"too many headers", upload, 431, "", ErrorKind::permanent},
    {"unprocessable", create_batch, 422, plain_error, ErrorKind::permanent},
};

TEST(Classify, MeansWhatTheTableSays) {
  for (const Case& c : cases) {
    EXPECT_EQ(to_string(error_of(c.operation, c.status, c.body).kind), to_string(c.expected))
        << c.why << ": " << to_string(c.operation) << " " << c.status << " " << c.body;
  }
}

TEST(Classify, OnlyACreateCanBeShortOfQuotaOrOfAReadyFile) {
  EXPECT_EQ(error_of(upload, 400, R"({"error":{"code":"token_limit_exceeded","message":"m"}})").kind, ErrorKind::permanent);
  EXPECT_EQ(error_of(retrieve_file, 404, invisible).kind, ErrorKind::not_found);
}

TEST(Classify, CarriesStatusCodeMessageAndWait) {
  const ProviderError error = error_of(
      create_batch, 429, R"({"error":{"code":"429","message":"Rate\n limit \u0007is  exceeded"}})", {{"Retry-After", "7"}});
  EXPECT_EQ(error.status, 429);
  EXPECT_EQ(error.code, "429");
  EXPECT_EQ(error.message, "Rate limit is exceeded");
  EXPECT_EQ(error.retry_after, 7s);
}

TEST(Classify, KeepsTheWaitOfAServerErrorToo) {
  EXPECT_EQ(error_of(list_batches, 503, html, {{"retry-after-ms", "1500"}}).retry_after, 1500ms);
}

TEST(Classify, BelievesAServerThatKnowsWhetherAnotherTryIsWorthIt) {
  const HttpHeaders yes{{"x-should-retry", "true"}};
  const HttpHeaders no{{"X-Should-Retry", "false"}};
  EXPECT_EQ(error_of(create_batch, 400, plain_error, yes).kind, ErrorKind::throttled) << "it did not happen, and is worth a try";
  EXPECT_EQ(error_of(cancel_batch, 409, plain_error, yes).kind, ErrorKind::throttled);
  EXPECT_EQ(error_of(retrieve_file, 404, plain_error, yes).kind, ErrorKind::throttled);
  EXPECT_EQ(error_of(create_batch, 429, plain_error, no).kind, ErrorKind::account) << "someone has to act";
  for (const HttpHeaders& either : {yes, no}) {
    EXPECT_EQ(error_of(create_batch, 500, plain_error, either).kind, ErrorKind::unknown) << "it may have happened all the same";
    EXPECT_EQ(error_of(create_batch, 400, html, either).kind, ErrorKind::unknown);
    EXPECT_EQ(error_of(create_batch, 400, pending, either).kind, ErrorKind::not_ready);
    EXPECT_EQ(error_of(create_batch, 401, plain_error, either).kind, ErrorKind::account);
  }
  EXPECT_EQ(error_of(create_batch, 400, plain_error, {{"x-should-retry", "perhaps"}}).kind, ErrorKind::permanent);
}

TEST(Classify, SaysThatARedirectIsNotFollowedAndWhere) {
  const auto error = error_of(list_batches, 302, html, {{"Location", "https://login.example/in?token=secret"}});
  EXPECT_EQ(error.message,
            "HTTP 302, a redirect to https://login.example/in, which is not followed: credentials go to the endpoint only");
}

TEST(Classify, DescribesAnAnswerThatSaysNothing) {
  EXPECT_EQ(error_of(create_batch, 503, "").message, "HTTP 503 without a body");
  EXPECT_EQ(error_of(create_batch, 502, html).message, "HTTP 502: <html><body>Bad gateway</body></html>");
  EXPECT_EQ(error_of(create_batch, 200, "{}").message, "HTTP 200 without a usable body: {}");
  EXPECT_EQ(error_of(create_batch, 400, R"({"error":{"code":"invalidPayload"}})").message, "invalidPayload");
}

}  // namespace
}  // namespace batchd::testing
