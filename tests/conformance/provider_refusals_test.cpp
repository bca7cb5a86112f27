// Refusals: what is told apart, and that nothing has happened (DESIGN.md P2). Every kind of error that the port documents, except
// `unknown` and `not_sent`, which have a file of their own.
#include "conformance/provider_conformance.hpp"

namespace batchd::conformance {
namespace {

PROVIDER_CONFORMANCE_SUITE(ProviderRefusals);

TEST_P(ProviderRefusals, AFileThatIsStillPendingMustBeWaitedForAsOnlyAzureHasThem) {
  AccountRules rules;
  rules.slow_files = true;
  start(rules);
  EXPECT_EQ(provider().limits().wait_for_processed, is_azure());
  const FileId file = uploaded();
  if (!is_azure()) {
    EXPECT_EQ(must(provider().retrieve_file(file)).status, "processed");
    EXPECT_TRUE(run(provider().create_batch(order(file))));
    return;
  }
  EXPECT_EQ(must(provider().retrieve_file(file)).status, "pending");
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::not_ready) << describe(last_error);
  EXPECT_TRUE(all_batches().empty());
}

TEST_P(ProviderRefusals, AFileThatCannotBeSeenYetMustBeWaitedFor) {
  AccountRules rules;
  rules.unseen_files = true;
  start(rules);
  const FileId file = uploaded();
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::not_ready) << describe(last_error);
  EXPECT_EQ(kind_of(provider().retrieve_file(file)), ErrorKind::not_found);
  EXPECT_TRUE(all_batches().empty());
}

TEST_P(ProviderRefusals, NoBatchIsMadeOfAFileThatIsDeleted) {
  start();
  const FileId file = uploaded();
  EXPECT_TRUE(run(provider().delete_file(file)));
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::not_ready) << "what the fence of a lost POST rests on";
  EXPECT_TRUE(all_batches().empty());
}

TEST_P(ProviderRefusals, AFullQuotaIsKnownWhenTheCreateIsRefused) {
  AccountRules rules;
  rules.room = AccountRules::Room::none;
  start(rules);
  EXPECT_EQ(kind_of(provider().create_batch(order(uploaded()))), ErrorKind::quota) << describe(last_error);
  EXPECT_TRUE(all_batches().empty());
}

TEST_P(ProviderRefusals, AFullQuotaIsReportedByTheBatchThatDiedOfIt) {
  AccountRules rules;
  rules.room = AccountRules::Room::none;
  rules.late_quota = true;
  start(rules);
  const Batch batch = wait_until_over(create(uploaded()));
  EXPECT_EQ(batch.status, BatchStatus::failed);
  ASSERT_EQ(batch.errors.size(), 1u);
  EXPECT_EQ(batch.errors[0].code, "token_limit_exceeded");
  EXPECT_FALSE(batch.output_file_id);
}

TEST_P(ProviderRefusals, TheQuotaHasRoomAgainWhenABatchIsOver) {
  AccountRules rules;
  rules.room = AccountRules::Room::one_file;
  rules.slow_batches = true;
  start(rules);
  const FileId file = uploaded();
  const CreatedBatch first = must(provider().create_batch(order(file)));
  EXPECT_EQ(first.quota.enqueued.has_value(), is_azure());
  if (first.quota.enqueued && first.quota.maximum) {
    EXPECT_GT(*first.quota.enqueued, 0);
    EXPECT_GT(*first.quota.maximum, *first.quota.enqueued);
  }
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::quota) << describe(last_error);
  must(provider().cancel_batch(first.batch.id));
  wait_until_over(first.batch.id);
  EXPECT_TRUE(run(provider().create_batch(order(file))));
}

TEST_P(ProviderRefusals, NoFileSlotIsLeftWhereFilesAreCounted) {
  AccountRules rules;
  rules.max_files = 1;
  start(rules);
  EXPECT_EQ(provider().limits().max_files > 0, is_azure());
  const FileId first = uploaded();
  const auto file = file_of(line("1-1"));
  if (!is_azure()) {
    EXPECT_TRUE(run(provider().upload(file, "batchd-i-2-1.jsonl")));
    return;
  }
  EXPECT_EQ(kind_of(provider().upload(file, "batchd-i-2-1.jsonl")), ErrorKind::file_slots) << describe(last_error);
  EXPECT_TRUE(run(provider().delete_file(first)));
  EXPECT_TRUE(run(provider().upload(file, "batchd-i-2-1.jsonl")));
}

TEST_P(ProviderRefusals, ABatchThatRunsIsCancelledAndNotOneThatIsOver) {
  AccountRules rules;
  rules.slow_batches = true;
  start(rules);
  const BatchId id = create(uploaded());
  const BatchStatus status = must(provider().cancel_batch(id)).status;
  EXPECT_TRUE(status == BatchStatus::cancelling || status == BatchStatus::cancelled) << to_string(status);
  EXPECT_EQ(wait_until_over(id).status, BatchStatus::cancelled);
  EXPECT_EQ(kind_of(provider().cancel_batch(id)), ErrorKind::conflict) << describe(last_error);
}

TEST_P(ProviderRefusals, ABatchThatIsCompletedCannotBeCancelled) {
  start();
  const BatchId id = create(uploaded());
  wait_until_over(id);
  EXPECT_EQ(kind_of(provider().cancel_batch(id)), ErrorKind::conflict) << describe(last_error);
  EXPECT_EQ(must(provider().retrieve_batch(id)).status, BatchStatus::completed);
}

TEST_P(ProviderRefusals, ARefusedNameOrFileOrBatchIsRefusedForGood) {
  start();
  EXPECT_EQ(kind_of(provider().upload(file_of(line("1-1")), "batchd-i-1-1.txt")), ErrorKind::permanent) << describe(last_error);
  EXPECT_EQ(kind_of(provider().upload(file_of(line("1-1", "hello", Ask::poisoned_upload)), "batchd-i-1-1.jsonl")),
            ErrorKind::permanent)
      << describe(last_error);
  EXPECT_TRUE(all_files().empty());
  const FileId file = upload(line("1-1") + line("2-1", "hello", Ask::poisoned_create));
  EXPECT_EQ(kind_of(provider().create_batch(order(file))), ErrorKind::permanent) << describe(last_error);
  EXPECT_TRUE(all_batches().empty());
}

}  // namespace
}  // namespace batchd::conformance
