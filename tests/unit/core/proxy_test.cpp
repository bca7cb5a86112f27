#include "core/proxy.hpp"

#include <gmock/gmock.h>

namespace batchd::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Endpoint origin(const std::string& host, const std::string& port = "443") {
  return {"https", host, port, ""};
}

std::string problem_with(std::string_view url) {
  const auto proxy = parse_proxy(url);
  return proxy ? "" : proxy.error().message;
}

TEST(Proxy, IsTakenApart) {
  EXPECT_EQ(*parse_proxy("http://proxy.corp:3128"), (Proxy{"http", "proxy.corp", "3128", ""}));
  EXPECT_EQ(*parse_proxy("HTTPS://Proxy.Corp/"), (Proxy{"https", "proxy.corp", "443", ""}));
  EXPECT_EQ(*parse_proxy("proxy.corp:8080"), (Proxy{"http", "proxy.corp", "8080", ""})) << "as curl and Go take it";
  EXPECT_EQ(*parse_proxy("http://[fd00::1]:3128"), (Proxy{"http", "fd00::1", "3128", ""}));
}

TEST(Proxy, HasCredentialsThatAreDecodedAndNeverShown) {
  const auto proxy = parse_proxy("http://me%40corp:p%3Ass@w%2Frd@proxy.corp:3128");
  ASSERT_TRUE(proxy);
  EXPECT_EQ(proxy->credentials, "me@corp:p:ss@w/rd");
  EXPECT_EQ(proxy->shown(), "http://proxy.corp:3128");
  EXPECT_EQ(parse_proxy("http://me@proxy:1")->credentials, "me:");
  EXPECT_EQ(Proxy({"https", "fd00::1", "443", "a:b"}).shown(), "https://[fd00::1]:443");
}

TEST(Proxy, ThatCannotBeUsedIsRefusedWithoutRepeatingIt) {
  EXPECT_THAT(problem_with("socks5h://me:secret@p:1080"), HasSubstr("SOCKS"));
  EXPECT_THAT(problem_with("ftp://me:secret@p"), HasSubstr("scheme"));
  EXPECT_THAT(problem_with("http://me:se%cret@p:1"), HasSubstr("hexadecimal"));
  EXPECT_THAT(problem_with("http://p:1/secret"), HasSubstr("path"));
  for (const char* url :
       {"http://", "http://:3128", "http://p:0", "http://p:secret", "http://a b:1", "http://a:b:c", "http://[::1", "[[]]"})
    EXPECT_THAT(problem_with(url), HasSubstr("impossible")) << url;
  for (const char* url : {"socks5h://me:secret@p:1", "ftp://me:secret@p", "http://me:se%cret@p:1", "http://p:secret"})
    EXPECT_THAT(problem_with(url), Not(HasSubstr("secret"))) << url;
}

struct Exemption {
  const char* list;
  const char* host;
  const char* port;
  bool exempt;
};

class NoProxy : public ::testing::TestWithParam<Exemption> {};

TEST_P(NoProxy, DecidesAsItsListSays) {
  const Exemption& c = GetParam();
  EXPECT_EQ(is_exempt(c.list, origin(c.host, c.port)), c.exempt) << c.list << " and " << c.host << ":" << c.port;
}

INSTANTIATE_TEST_SUITE_P(
    Lists, NoProxy,
    ::testing::Values(Exemption{"", "a.com", "443", false}, Exemption{"*", "a.com", "443", true},
                      Exemption{"a.com", "a.com", "443", true}, Exemption{"A.Com", "a.com", "443", true},
                      Exemption{"a.com", "x.a.com", "443", true}, Exemption{"a.com", "xa.com", "443", false},
                      Exemption{"a.com", "a.com.evil", "443", false}, Exemption{".a.com", "x.y.a.com", "443", true},
                      Exemption{".a.com", "a.com", "443", true}, Exemption{"*.a.com", "x.a.com", "443", true},
                      Exemption{"*.a.com", "b.com", "443", false}, Exemption{"a.com:8443", "a.com", "443", false},
                      Exemption{"a.com:8443", "x.a.com", "8443", true},
                      Exemption{"b.com, c.com\td.com,a.com", "a.com", "443", true}, Exemption{",, ,", "a.com", "443", false},
                      Exemption{".", "a.com", "443", false}, Exemption{"10.1.2.3", "10.1.2.3", "443", true},
                      Exemption{"10.1.2.3", "10.1.2.30", "443", false}, Exemption{"2.3", "10.1.2.3", "443", false},
                      Exemption{"10.1.2.3:8443", "10.1.2.3", "443", false}, Exemption{"10.0.0.0/8", "10.255.0.1", "443", true},
                      Exemption{"10.0.0.0/8", "11.0.0.1", "443", false}, Exemption{"10.0.0.0/12", "10.15.0.1", "443", true},
                      Exemption{"10.0.0.0/12", "10.16.0.1", "443", false}, Exemption{"0.0.0.0/0", "8.8.8.8", "443", true},
                      Exemption{"10.0.0.0/33", "10.0.0.1", "443", false}, Exemption{"10.0.0.0/x", "10.0.0.1", "443", false},
                      Exemption{"10.0.0.0/4294967295", "11.0.0.1", "443", false},
                      Exemption{"10.0.0.0/8", "ten.example", "443", false}, Exemption{"fd00::/8", "fd12::1", "443", true},
                      Exemption{"fd00::/8", "fe80::1", "443", false}, Exemption{"[fd12::1]:443", "fd12::1", "443", true},
                      Exemption{"fd12:0::1", "fd12::1", "443", true}));

TEST(ProxyRules, NeverSendThisMachinesOwnThroughAProxy) {
  const ProxyRules rules{Proxy{"http", "p", "1", ""}, ""};
  for (const char* host : {"localhost", "127.0.0.1", "127.9.9.9", "::1", "169.254.169.254"})
    EXPECT_EQ(proxy_for(rules, origin(host)), std::nullopt) << host;
  EXPECT_EQ(proxy_for(rules, origin("my.openai.azure.com")), rules.proxy);
  EXPECT_EQ(proxy_for({rules.proxy, ".azure.com"}, origin("my.openai.azure.com")), std::nullopt);
  EXPECT_EQ(proxy_for({}, origin("my.openai.azure.com")), std::nullopt);
}

TEST(ProxyVariables, AreThoseOfOtherPrograms) {
  const auto named = [](std::map<std::string, std::string> environment) { return proxy_variables(environment).name; };
  EXPECT_EQ(named({}), "");
  EXPECT_EQ(named({{"HTTP_PROXY", "http://p"}}), "") << "that is for http: origins";
  EXPECT_EQ(named({{"ALL_PROXY", "a"}, {"HTTPS_PROXY", "b"}}), "HTTPS_PROXY");
  EXPECT_EQ(named({{"HTTPS_PROXY", "b"}, {"https_proxy", "c"}}), "https_proxy");
  EXPECT_EQ(named({{"https_proxy", ""}, {"ALL_PROXY", "a"}}), "ALL_PROXY");
  EXPECT_EQ(proxy_variables({{"NO_PROXY", "x"}}).no_proxy, "x");
}

}  // namespace
}  // namespace batchd::testing
