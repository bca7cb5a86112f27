// What the dialects do differently, each against batchd-sim, which knows its own rules of them (PROTOCOL.md 1 to 4, 8, 12).
#include "conformance/http_conformance.hpp"

namespace batchd::conformance {
namespace {

using ::testing::SizeIs;

class ProviderDialects : public HttpConformance {
 protected:
  bool is(std::string_view kind) { return account().kind == kind; }
  bool preview() { return account().api_version.ends_with("-preview"); }
  std::vector<Batch> wanted(const BatchFilter& only) { return must(provider().list_batches(std::nullopt, only)).batches; }
};
INSTANTIATE_TEST_SUITE_P(Dialects, ProviderDialects, ::testing::ValuesIn(http_cases()),
                         [](const auto& which) { return which.param.label; });

TEST_P(ProviderDialects, AnySuccessCodeIsASuccess) {
  http().start({"--fast", "--upload-status", "202", "--create-status", "202"});
  EXPECT_EQ(ran(line("1-1")).status, BatchStatus::completed);
}

TEST_P(ProviderDialects, FilesAreGivenAnExpiryWhereThatRaisesTheCeiling) {
  http().start({"--fast", "--max-files", "1", "--max-files-expiring", "2"});
  uploaded();
  const bool counted = is_azure();
  const bool expires = preview() || is("azure-v1");
  EXPECT_EQ(provider().limits().max_files, expires ? 10'000 : counted ? 500 : 0);
  const auto second = run(provider().upload(file_of(line("1-1")), "batchd-i-2-1.jsonl"));
  EXPECT_EQ(second.has_value(), expires || !counted);
  if (!second) {
    EXPECT_EQ(second.error().kind, ErrorKind::file_slots);
  }
}

TEST_P(ProviderDialects, TheHeadersOfEnqueuedTokensAreAHintAtMost) {
  for (const char* const form : {"all", "file", "absent"}) {
    harness = GetParam().make();
    http().start({"--fast", "--enqueued-headers", form});
    const CreatedBatch created = must(provider().create_batch(order(uploaded())));
    EXPECT_EQ(created.quota.enqueued.has_value(), is_azure() && std::string_view(form) != "absent") << form;
    EXPECT_EQ(wait_until_over(created.batch.id).status, BatchStatus::completed) << form;
  }
}

TEST_P(ProviderDialects, TheListIsNarrowedWhereTheVersionCanAndIsWholeElsewhere) {
  start();
  const Batch good = ran(line("1-1"));
  const Batch bad = ran(line("2-1", "no", Ask::poison));
  const std::size_t unfiltered = preview() ? 1 : 2;
  BatchFilter only;
  only.status = BatchStatus::failed;
  EXPECT_THAT(wanted(only), SizeIs(unfiltered));
  only.since = *good.created_at - 60;
  EXPECT_THAT(wanted(only), SizeIs(unfiltered));
  only.status.reset();
  EXPECT_THAT(wanted(only), SizeIs(2));
  only.since = *good.created_at + 3600;
  EXPECT_THAT(wanted(only), SizeIs(preview() ? 0 : 2));
  only = {BatchStatus::in_progress, std::nullopt};
  EXPECT_THAT(wanted(only), SizeIs(2)) << "nobody has documented how a filter spells it: all are asked for";
}

TEST_P(ProviderDialects, TheSinceOfAListIncludesThatSecond) {
  start();
  const Batch batch = ran(line("1-1"));
  BatchFilter only;
  only.since = *batch.created_at;
  EXPECT_THAT(wanted(only), SizeIs(1));
  EXPECT_TRUE(only.passes(batch));
}

TEST_P(ProviderDialects, EveryEndpointThatADialectOffersIsTaken) {
  start();
  for (const std::string& endpoint : provider().limits().endpoints) {
    NewBatch batch = order(uploaded());
    batch.endpoint = "/v1" + endpoint;
    EXPECT_TRUE(run(provider().create_batch(batch))) << endpoint;
  }
}

}  // namespace
}  // namespace batchd::conformance
