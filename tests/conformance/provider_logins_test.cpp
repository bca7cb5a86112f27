// How accounts show who they are, in each dialect and with each way to log in (PROTOCOL.md 14).
#include "conformance/http_conformance.hpp"

#include <fstream>

namespace batchd::conformance {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ProviderLogins : public HttpConformance {
 protected:
  /// So many logins have been answered so far, by either service.
  std::int64_t logins() {
    const std::string ledger = http().control("/sim/ledger");
    std::int64_t count = 0;
    for (const char* const name : {"\"token\":", "\"imds\":"}) {
      if (const auto at = ledger.find(name); at != std::string::npos)
        count += std::stol(ledger.substr(at + std::string(name).size()));
    }
    return count;
  }
  void rotate(const std::string& secret) {
    // A file of its own in the old one's place, as secrets are rotated.
    const auto fresh = http().secret_file().string() + ".new";
    std::ofstream(fresh) << secret << '\n';
    std::filesystem::rename(fresh, http().secret_file());
  }
};
INSTANTIATE_TEST_SUITE_P(Accounts, ProviderLogins, ::testing::ValuesIn(account_cases()),
                         [](const auto& which) { return which.param.label; });

TEST_P(ProviderLogins, EveryVerbGoesThroughWithWhatTheAccountShows) {
  start();
  const FileId file = uploaded();
  const Batch batch = wait_until_over(create(file));
  EXPECT_EQ(batch.status, BatchStatus::completed);
  EXPECT_EQ(must(provider().retrieve_file(file)).id, file);
  EXPECT_NE(content(*batch.output_file_id), "");
  EXPECT_EQ(all_batches().size(), 1u);
  EXPECT_GE(all_files().size(), 2u);
  EXPECT_EQ(kind_of(provider().cancel_batch(batch.id)), ErrorKind::conflict);
  EXPECT_TRUE(run(provider().delete_file(file)));
}

TEST_P(ProviderLogins, AKeyIsReadAgainWhenItsFileIsAnotherOne) {
  if (!account().has_secret_file()) return;
  http().start({"--fast", "--api-key", "right-key-123"});
  EXPECT_EQ(kind_of(provider().list_batches(std::nullopt)), ErrorKind::account);
  EXPECT_THAT(last_error.message, Not(HasSubstr("test-secret")));
  rotate("right-key-123");
  EXPECT_TRUE(run(provider().list_batches(std::nullopt))) << "without a restart";
}

TEST_P(ProviderLogins, ATokenIsFetchedOnceAndUsedForEveryCall) {
  if (account().has_secret_file()) return;
  start();
  create(uploaded());
  all_batches();
  all_files();
  EXPECT_EQ(logins(), 1);
}

TEST_P(ProviderLogins, ATokenThatIsNoLongerGoodIsReplacedOnceAndTheCallMadeAgain) {
  if (account().has_secret_file()) return;
  start();
  create(uploaded());
  http().control("/sim/tokens/revoke");
  EXPECT_TRUE(run(provider().list_batches(std::nullopt)));
  EXPECT_EQ(logins(), 2);
}

TEST_P(ProviderLogins, AnAssertionOrASecretIsReadAtEachExchange) {
  if (account().login != Login::workload_identity) return;
  start();
  all_batches();
  rotate("another-assertion");  // the simulator reads the same file: only what stands there now logs in
  http().control("/sim/tokens/revoke");
  EXPECT_TRUE(run(provider().list_batches(std::nullopt)));
}

TEST_P(ProviderLogins, ATokenForAnotherAudienceIsAnAccountFault) {
  if (account().has_secret_file()) return;
  http().start({"--fast", "--token-audience", "https://ai.azure.com"});
  EXPECT_EQ(kind_of(provider().list_batches(std::nullopt)), ErrorKind::account) << describe(last_error);
}

}  // namespace
}  // namespace batchd::conformance
