#include "provider/token.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

const std::chrono::system_clock::time_point today{1'700'000'000s};

std::optional<Milliseconds> life_of(std::string_view body) {
  const auto token = parse_token(body, today);
  return token ? std::optional(token->life) : std::nullopt;
}

TokenFailure login_failure(int status, std::string_view body, const HttpHeaders& headers = {}) {
  return token_failure(TokenService::login, status, headers, body, "s3cret-value", today);
}

TokenFailure machine_failure(int status, std::string_view body = "") {
  return token_failure(TokenService::machine, status, {}, body, "", today);
}

TEST(Token, TimesAreNumbersOrTexts) {
  EXPECT_EQ(life_of(R"({"token_type":"Bearer","expires_in":3599,"access_token":"t"})"), 3599s);
  EXPECT_EQ(life_of(R"({"access_token":"t","refresh_token":"","expires_in":"3599","expires_on":"1506484173","not_before":"1"})"),
            3599s);
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_in":3599.0})"), 3599s);
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_on":"1700000060"})"), 60s);
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_on":1700000060})"), 60s);
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_on":1600000000})"), 0s) << "long over";
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_on":"-9223372036854775808"})"), 0s) << "no overflow";
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_on":"9223372036854775807"})"), 30 * 24h);
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_in":"soon"})"), 300s);
  EXPECT_EQ(life_of(R"({"access_token":"t"})"), 300s);
  EXPECT_EQ(life_of(R"({"access_token":"t","expires_in":1e300})"), 30 * 24h) << "whatever it says, the clock's arithmetic holds";
}

TEST(Token, WhatCannotStandInAHeaderIsNoToken) {
  for (const auto* body : {"", "null", "[]", "{}", "<html>", R"({"access_token":""})", R"({"access_token":7})",
                           R"({"access_token":"a\r\nX: y"})", R"({"access_token":"a b"})", R"({"access_token":"é"})"}) {
    EXPECT_FALSE(parse_token(body, today)) << body;
  }
}

TEST(Token, ALoginThatIsRefusedNamesTheCodeAndNeverTheSecret) {
  const auto bad_secret = login_failure(
      401,
      R"({"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret 's3cret-value' provided. Trace ID: 1 Correlation ID: 2\r\nmore","error_codes":[7000215]})");
  EXPECT_TRUE(bad_secret.lasting);
  EXPECT_EQ(bad_secret.code, "AADSTS7000215");
  EXPECT_EQ(bad_secret.message, "HTTP 401, invalid_client, AADSTS7000215: Invalid client secret '***' provided.");

  const auto no_codes = login_failure(400, R"({"error":"unauthorized_client"})");
  EXPECT_TRUE(no_codes.lasting);
  EXPECT_EQ(no_codes.code, "unauthorized_client");
  EXPECT_EQ(no_codes.message, "HTTP 400, unauthorized_client");

  EXPECT_EQ(login_failure(400, R"({"error":"invalid_scope","error_codes":[70011]})").message,
            "HTTP 400, invalid_scope, AADSTS70011");
  for (const int status : {302, 400, 401, 403, 404}) EXPECT_TRUE(login_failure(status, "<html>").lasting) << status;
}

TEST(Token, WhatPassesByItselfIsWorthAnotherTry) {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    EXPECT_FALSE(login_failure(status, "<html>").lasting) << status;
    EXPECT_FALSE(machine_failure(status).lasting) << status;
  }
  for (const int code : {70021, 700211, 700212, 700213, 700024}) {
    const auto body = R"({"error":"invalid_request","error_codes":[)" + std::to_string(code) + "]}";
    EXPECT_FALSE(login_failure(400, body).lasting) << code;
  }
  EXPECT_TRUE(
      login_failure(400, R"({"error":"invalid_request","error_description":"AADSTS70021: no","error_codes":[900144]})").lasting)
      << "the codes decide, never the description";
  EXPECT_FALSE(login_failure(400, R"({"error":"temporarily_unavailable"})").lasting);
  EXPECT_FALSE(login_failure(200, "half an ans").lasting);
  EXPECT_THAT(login_failure(200, "half an ans").message, HasSubstr("without a usable token"));
}

TEST(Token, AMachineThatIsBeingUpgradedIsWaitedForAndOneWithoutIdentityIsNot) {
  EXPECT_FALSE(machine_failure(404).lasting);
  EXPECT_FALSE(machine_failure(410).lasting);
  EXPECT_TRUE(machine_failure(403).lasting);
  const auto none = machine_failure(400, R"({"error":"invalid_request","error_description":"Identity not found"})");
  EXPECT_TRUE(none.lasting);
  EXPECT_EQ(none.message, "HTTP 400, invalid_request, Identity not found");
}

TEST(Token, AServiceThatSaysHowLongToWaitIsHeard) {
  EXPECT_EQ(login_failure(429, "", {{"Retry-After", "17"}}).retry_after, Milliseconds{17'000});
  EXPECT_EQ(login_failure(503, "").retry_after, std::nullopt);
}

}  // namespace
}  // namespace batchd::testing
