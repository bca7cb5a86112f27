#include "core/endpoint.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;

std::string problem_with(std::string_view url) {
  const auto endpoint = parse_endpoint(url);
  return endpoint ? "" : endpoint.error().message;
}

TEST(Endpoint, IsTakenApart) {
  EXPECT_EQ(*parse_endpoint("https://My.openai.azure.com"), (Endpoint{"https", "my.openai.azure.com", "443", ""}));
  EXPECT_EQ(*parse_endpoint("HTTPS://h:8443/a/b//"), (Endpoint{"https", "h", "8443", "/a/b"}));
  EXPECT_EQ(*parse_endpoint("http://[::1]:80/"), (Endpoint{"http", "::1", "80", ""}));
}

TEST(Endpoint, NamesItselfAsAHostHeaderDoes) {
  EXPECT_EQ(parse_endpoint("https://h")->authority(), "h");
  EXPECT_EQ(parse_endpoint("https://h:443")->authority(), "h");
  EXPECT_EQ(parse_endpoint("https://h:80")->authority(), "h:80");
  EXPECT_EQ(parse_endpoint("http://[::1]:8080")->authority(), "[::1]:8080");
}

TEST(Endpoint, MayBePlainOnLoopbackOnly) {
  for (const auto* url : {"http://localhost:1", "http://127.0.0.1", "http://127.8.9.1:2", "http://[::1]:3"}) {
    EXPECT_EQ(problem_with(url), "") << url;
  }
  for (const auto* url : {"http://example.com", "http://127.0.0.1.example.com", "http://127.0.0.999", "http://127...",
                          "http://127.0.01.1", "http://10.0.0.1", "http://127.evil", "http://[::2]"}) {
    EXPECT_THAT(problem_with(url), HasSubstr("loopback only")) << url;
  }
}

TEST(Endpoint, SaysWhatIsWrong) {
  EXPECT_THAT(problem_with("my.openai.azure.com"), HasSubstr("has no scheme"));
  EXPECT_THAT(problem_with("ftp://h"), HasSubstr("neither https nor http"));
  EXPECT_THAT(problem_with("https://"), HasSubstr("has no host"));
  EXPECT_THAT(problem_with("https://h:0"), HasSubstr("impossible port"));
  EXPECT_THAT(problem_with("https://h:x"), HasSubstr("impossible port"));
  EXPECT_THAT(problem_with("https://h:70000"), HasSubstr("impossible port"));
  EXPECT_THAT(problem_with("https://[::1"), HasSubstr("unclosed"));
  EXPECT_THAT(problem_with("https://h?api-version=1"), HasSubstr("query"));
  EXPECT_THAT(problem_with("https://h/a b"), HasSubstr("blank"));
  EXPECT_THAT(problem_with(std::string_view("https://h/a\0b", 13)), HasSubstr("unprintable"));
  EXPECT_THAT(problem_with("https://h/\xC3\xA9"), HasSubstr("unprintable"));
  EXPECT_THAT(problem_with("https://[::1]junk:80"), HasSubstr("between ']' and its port"));
  EXPECT_THAT(problem_with("https://h\r\nX: y"), HasSubstr("impossible host"));
}

TEST(Endpoint, NeverRepeatsAPasswordInItsComplaint) {
  EXPECT_THAT(problem_with("https://user:hunter2@h"), HasSubstr("user name"));
  EXPECT_THAT(problem_with("https://user:hunter2@h"), ::testing::Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace batchd::testing
