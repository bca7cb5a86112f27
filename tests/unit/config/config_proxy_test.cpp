#include "config_fixture.hpp"

namespace batchd {
namespace {

using testing::HasSubstr;
using testing::Not;

class ConfigProxyTest : public ConfigTest {
 protected:
  LoadedConfig load_with(const std::string& lines, Environment environment = {}) {
    return load(replaced(working, "kind = \"azure\"", "kind = \"azure\"\n" + lines), std::move(environment));
  }
  static std::string way(const LoadedConfig& loaded) {
    const auto proxy = endpoint_proxy(loaded.config.providers.at(0));
    return proxy ? proxy->shown() : "straight";
  }
};

TEST_F(ConfigProxyTest, ComesFromTheEnvironmentAsOtherProgramsTakeIt) {
  EXPECT_EQ(way(load_with("")), "straight");
  EXPECT_EQ(way(load_with("", {{"HTTPS_PROXY", "http://env:3128"}})), "http://env:3128");
  EXPECT_EQ(way(load_with("", {{"HTTPS_PROXY", "http://env:3128"}, {"NO_PROXY", ".azure.com"}})), "straight");
}

TEST_F(ConfigProxyTest, TheProvidersOwnIsStrongerThanTheEnvironment) {
  const Environment environment{{"HTTPS_PROXY", "http://env:3128"}, {"NO_PROXY", "*"}};
  EXPECT_EQ(way(load_with("proxy = \"http://own:8080\"", environment)), "http://own:8080");
  EXPECT_EQ(way(load_with("proxy = \"none\"", {{"HTTPS_PROXY", "http://env:3128"}})), "straight");
}

TEST_F(ConfigProxyTest, ABadOneIsNamedWithoutItsPassword) {
  const auto own = load_with("proxy = \"socks5://me:secret@p:1\"");
  EXPECT_EQ(only_problem(own).key, "provider[eastus].proxy");
  EXPECT_THAT(all(own), HasSubstr("SOCKS"));
  EXPECT_THAT(all(own), Not(HasSubstr("secret")));
  const auto environment = load_with("", {{"ALL_PROXY", "socks5://me:secret@p:1"}});
  EXPECT_THAT(only_problem(environment).found, HasSubstr("ALL_PROXY"));
  EXPECT_THAT(all(environment), Not(HasSubstr("secret")));
  EXPECT_TRUE(load_with("", {{"ALL_PROXY", "socks5://p:1"}, {"NO_PROXY", "azure.com"}}).ok()) << "nothing would take it";
}

TEST_F(ConfigProxyTest, OnThisMachineIsNotUsedAndSaysSo) {
  const auto loaded = load(replaced(working, "https://my.openai.azure.com/", "http://127.0.0.1:1\"\nproxy = \"http://p:1"));
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(way(loaded), "straight");
  EXPECT_THAT(loaded.warnings, testing::Contains(HasSubstr("provider[eastus].proxy is not used")));
}

TEST_F(ConfigProxyTest, CredentialsStandInAFileOrInTheUrlButNotInBoth) {
  const std::string file = "proxy_credentials_file = \"" + write("proxy", "me:secret\n").string() + "\"";
  EXPECT_TRUE(load_with("proxy = \"http://p:1\"\n" + file).ok());
  EXPECT_THAT(only_problem(load_with("proxy = \"http://me:x@p:1\"\n" + file)).expected, HasSubstr("one of the two"));
  const std::string bad = "proxy = \"http://p:1\"\nproxy_credentials_file = \"" + write("bad", "secret\n").string() + "\"";
  EXPECT_THAT(only_problem(load_with(bad)).expected, HasSubstr("user:password"));
  EXPECT_THAT(all(load_with(bad)), Not(HasSubstr("secret")));
  EXPECT_THAT(only_problem(load_with("proxy = \"http://p:1\"\nproxy_credentials_file = \"/nowhere\"")).found,
              HasSubstr("No such"));
}

TEST_F(ConfigProxyTest, AClientCertificateHasItsKeyBesideIt) {
  const std::string cert = "client_cert_file = \"" + write("c.pem", "x").string() + "\"\n";
  EXPECT_EQ(only_problem(load_with(cert)).key, "provider[eastus].client_key_file");
  EXPECT_EQ(only_problem(load_with("client_key_file = \"" + write("k.pem", "x").string() + "\"\n")).key,
            "provider[eastus].client_cert_file");
  EXPECT_THAT(only_problem(load_with(cert + "client_key_file = \"/nowhere.pem\"")).found, HasSubstr("No such file"));
}

}  // namespace
}  // namespace batchd
