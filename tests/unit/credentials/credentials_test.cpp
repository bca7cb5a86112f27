#include "credentials.hpp"

#include "support/run_task.hpp"
#include "support/temp_dir.hpp"

#include <gmock/gmock.h>

#include <filesystem>

namespace batchd::testing {
namespace {

class KeyFile : public ::testing::Test {
 protected:
  void start(bool from_file = true) {
    ProviderConfig provider;
    provider.name = "p";
    provider.secret = Secret("old-key");
    if (from_file) provider.api_key_file = dir_.write("key", "old-key\n").string();
    credential_ = make_credential(provider, clock_, metrics_, log_);
  }
  /// As a rotation does: written beside, then put in its place.
  void rotate(const std::string& text) {
    dir_.write("key.new", text);
    std::filesystem::rename(dir_.path() / "key.new", dir_.path() / "key");
  }
  std::string shown() { return run_task(io_, credential_->authorization())->secret; }
  std::string instead_of(const std::string& key) {
    const auto result = run_task(io_, credential_->replacement({Authorization::Scheme::api_key, key}));
    return result->has_value() ? (*result)->secret : "nothing else";
  }
  bool tend() { return run_task(io_, credential_->tend()); }

  TempDir dir_;
  asio::io_context io_{1};
  SteadyClock clock_;
  Metrics metrics_{"test"};
  Log log_{LogLevel::error, LogFormat::json};
  std::unique_ptr<Credential> credential_;
};

TEST_F(KeyFile, IsReadAgainWhenItHasChanged) {
  start();
  EXPECT_EQ(shown(), "old-key");
  EXPECT_FALSE(tend());
  rotate("new-key\n");
  EXPECT_EQ(shown(), "new-key");
  EXPECT_TRUE(tend()) << "told even though a call has met it first";
  EXPECT_FALSE(tend());
}

TEST_F(KeyFile, ThatIsMissingOrEmptyForAMomentLeavesTheLastKeyInForce) {
  start();
  std::filesystem::remove(dir_.path() / "key");
  EXPECT_EQ(shown(), "old-key");
  EXPECT_FALSE(tend());
  rotate("");
  EXPECT_EQ(shown(), "old-key");
  EXPECT_FALSE(tend());
  rotate("new-key");
  EXPECT_TRUE(tend());
  EXPECT_EQ(shown(), "new-key");
}

TEST_F(KeyFile, OffersAnotherKeyOnlyWhenItHoldsOne) {
  start();
  EXPECT_EQ(instead_of("old-key"), "nothing else");
  rotate("new-key");
  EXPECT_EQ(instead_of("old-key"), "new-key") << "rotated between the question and the refusal";
  EXPECT_EQ(instead_of("new-key"), "nothing else");
}

TEST_F(KeyFile, IsNotNeededForAKeyFromTheEnvironment) {
  start(false);
  EXPECT_EQ(shown(), "old-key");
  EXPECT_FALSE(tend());
  EXPECT_EQ(instead_of("old-key"), "nothing else");
}

TEST_F(KeyFile, HoldsABearerTokenWhereTheConfigurationSaysSo) {
  ProviderConfig provider;
  provider.name = "p";
  provider.secret = Secret("old-token");
  provider.bearer_token_file = dir_.write("key", "old-token\n").string();
  credential_ = make_credential(provider, clock_, metrics_, log_);
  EXPECT_EQ(run_task(io_, credential_->authorization())->scheme, Authorization::Scheme::bearer);
  rotate("new-token\n");
  EXPECT_EQ(instead_of("old-token"), "new-token");
}

TEST_F(KeyFile, AProviderWithEntraShowsTokensAndFetchesNoneBeforeItIsAsked) {
  ProviderConfig provider;
  provider.name = "p";
  provider.entra.method = "managed-identity";
  provider.entra.scope = "https://cognitiveservices.azure.com/.default";
  provider.entra.identity_endpoint = "http://127.0.0.1:1";
  credential_ = make_credential(provider, clock_, metrics_, log_);
  EXPECT_FALSE(tend());
  const auto none = run_task(io_, credential_->authorization());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::not_sent);
}

}  // namespace
}  // namespace batchd::testing
