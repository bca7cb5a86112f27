// What can be looked up at a provider: lists and their pages, batches and files by their ids, and what is gone.
#include "conformance/provider_conformance.hpp"

#include <algorithm>
#include <set>

namespace batchd::conformance {
namespace {

PROVIDER_CONFORMANCE_SUITE(ProviderLists);

TEST_P(ProviderLists, ShowTheBatchAndItsFile) {
  start();
  const FileId file = uploaded();
  const BatchId id = create(file);
  const auto batches = all_batches();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].id, id);
  EXPECT_EQ(batches[0].input_file_id, file);
  EXPECT_EQ(batches[0].metadata.at("batchd_instance"), "i");
  const auto files = all_files();
  const auto found = std::find_if(files.begin(), files.end(), [&](const RemoteFile& f) { return f.id == file; });
  ASSERT_NE(found, files.end());
  EXPECT_EQ(found->filename, "batchd-i-1-1.jsonl");
  EXPECT_EQ(found->purpose, "batch");
}

TEST_P(ProviderLists, AreWalkedPageByPage) {
  AccountRules rules;
  rules.page_size = 7;
  start(rules);
  const FileId file = uploaded(1);
  std::set<std::string> made;
  for (int i = 0; i < 23; ++i) made.insert(create(file).value);
  EXPECT_EQ(must(provider().list_batches(std::nullopt)).batches.size(), 7u);
  std::set<std::string> listed;
  const auto batches = all_batches();
  for (const Batch& batch : batches) listed.insert(batch.id.value);
  EXPECT_EQ(batches.size(), 23u);
  EXPECT_EQ(listed, made);
}

TEST_P(ProviderLists, AreWalkedPageByPageWhenTheyAreLong) {
  start();
  const FileId file = uploaded(1);
  for (int i = 0; i < 230; ++i) create(file);
  const auto batches = all_batches();
  std::set<std::string> listed;
  for (const Batch& batch : batches) listed.insert(batch.id.value);
  EXPECT_EQ(batches.size(), 230u);
  EXPECT_EQ(listed.size(), 230u);
}

TEST_P(ProviderLists, HoldManyFiles) {
  AccountRules rules;
  rules.page_size = 7;
  start(rules);
  std::set<std::string> made;
  for (int i = 1; i <= 20; ++i) made.insert(upload(line("1-1"), "batchd-i-" + std::to_string(i) + "-1.jsonl").value);
  std::set<std::string> listed;
  for (const RemoteFile& file : all_files()) listed.insert(file.id.value);
  EXPECT_EQ(listed, made);
}

TEST_P(ProviderLists, HoldWhatOthersMade) {
  AccountRules rules;
  rules.foreign_batches = 3;
  start(rules);
  const BatchId ours = create(uploaded());
  const auto batches = all_batches();
  EXPECT_EQ(batches.size(), 4u);
  for (const Batch& batch : batches) {
    const auto instance = batch.metadata.find("batchd_instance");
    EXPECT_EQ(instance != batch.metadata.end() && instance->second == "i", batch.id == ours) << batch.id;
  }
}

TEST_P(ProviderLists, MayLagBehindWhatCanBeRetrieved) {
  AccountRules rules;
  rules.unlisted_batches = true;
  start(rules);
  const BatchId id = create(uploaded());
  EXPECT_TRUE(all_batches().empty());
  EXPECT_EQ(must(provider().retrieve_batch(id)).id, id);
}

TEST_P(ProviderLists, AreNotReadAsEmptyWhenAPageIsEmptyAndSaysThatThereIsMore) {
  start();
  create(uploaded());
  harness->trouble(Verb::list_batches, Trouble::empty_page);
  EXPECT_EQ(kind_of(provider().list_batches(std::nullopt)), ErrorKind::unknown) << describe(last_error);
  EXPECT_EQ(all_batches().size(), 1u);
}

TEST_P(ProviderLists, FindNoBatchOfAnotherName) {
  start();
  EXPECT_EQ(kind_of(provider().retrieve_batch({"batch_0"})), ErrorKind::not_found);
  EXPECT_EQ(kind_of(provider().cancel_batch({"batch_0"})), ErrorKind::not_found);
  EXPECT_EQ(kind_of(provider().retrieve_batch({"file-0"})), ErrorKind::not_found);
}

TEST_P(ProviderLists, DropAFileThatIsDeletedAndCallItDeletedWhenItIsGoneAlready) {
  start();
  const FileId file = uploaded();
  EXPECT_TRUE(run(provider().delete_file(file)));
  EXPECT_TRUE(run(provider().delete_file(file)));
  EXPECT_TRUE(all_files().empty());
  EXPECT_EQ(kind_of(provider().retrieve_file(file)), ErrorKind::not_found);
  std::string output;
  EXPECT_EQ(kind_of(provider().download(file, into(output))), ErrorKind::not_found);
  EXPECT_EQ(output, "");
}

TEST_P(ProviderLists, KeepABatchWhoseFilesAreDeleted) {
  start();
  const FileId file = uploaded();
  const BatchId id = create(file);
  const Batch batch = wait_until_over(id);
  EXPECT_TRUE(run(provider().delete_file(file)));
  EXPECT_TRUE(run(provider().delete_file(*batch.output_file_id)));
  std::string output;
  EXPECT_EQ(kind_of(provider().download(*batch.output_file_id, into(output))), ErrorKind::not_found);
  EXPECT_EQ(must(provider().retrieve_batch(id)).status, BatchStatus::completed);
}

}  // namespace
}  // namespace batchd::conformance
