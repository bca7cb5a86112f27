// Which files at a provider are nobody's: a table of what the name says and what the books say.
#include "core/orphan.hpp"

#include "core/remote_names.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace batchd {
namespace {

RemoteFile file(std::string id, std::string filename) {
  RemoteFile f;
  f.id = FileId{std::move(id)};
  f.filename = std::move(filename);
  return f;
}

FileOwner owner(std::optional<std::string> input, int attempt = 1, bool uploading = false) {
  FileOwner o;
  if (input) o.input_file = FileId{*input};
  o.attempt = attempt;
  o.uploading = uploading;
  return o;
}

class Orphans : public ::testing::Test {
 protected:
  Orphans() { books.trusted = true; }
  FileVerdict judge(const std::string& id, const std::string& filename, bool keep = false) {
    return judge_file(file(id, filename), "ab12", books, keep);
  }
  bool orphan(const std::string& id, const std::string& filename, bool keep = false) {
    return judge(id, filename, keep) == FileVerdict::orphan;
  }
  FileBooks books;
};

TEST_F(Orphans, AFileInWhosePlaceAnotherWasRecordedIsOne) {
  books.shards[ShardId{7}] = owner("mine");
  EXPECT_TRUE(orphan("lost", "batchd-ab12-7-1.jsonl"));
  EXPECT_TRUE(orphan("lost", "batchd-ab12-7-1.jsonl", true)) << "kept files are those that were recorded";
  EXPECT_FALSE(orphan("mine", "batchd-ab12-7-1.jsonl"));
}

TEST_F(Orphans, OneOfAShardThatHasNoneAndSendsNoneIsOne) {
  books.shards[ShardId{7}] = owner(std::nullopt);
  EXPECT_TRUE(orphan("lost", "batchd-ab12-7-1.jsonl"));
  EXPECT_EQ(judge("lost", "batchd-ab12-7-1.jsonl", true), FileVerdict::keep);
  books.shards[ShardId{7}].planned = true;
  EXPECT_EQ(judge("lost", "batchd-ab12-7-1.jsonl", true), FileVerdict::wait) << "another is going to be recorded";
}

TEST_F(Orphans, WhatIsBeingSentJustNowIsNone) {
  books.shards[ShardId{7}] = owner(std::nullopt, 2, true);
  EXPECT_EQ(judge("new", "batchd-ab12-7-2.jsonl"), FileVerdict::wait);
  EXPECT_EQ(judge("new", "batchd-cd34-7-2.jsonl"), FileVerdict::keep);
  EXPECT_TRUE(orphan("old", "batchd-ab12-7-1.jsonl")) << "of an attempt that is over";
}

TEST_F(Orphans, TheInputOfABatchThatMayExistIsNone) {
  books.shards[ShardId{7}] = owner("other", 2);
  books.needed.insert(FileId{"submitted"});
  EXPECT_FALSE(orphan("submitted", "batchd-ab12-7-1.jsonl"));
}

TEST_F(Orphans, OneOfAShardThatNobodyRemembersIsOneUnlessFilesAreKept) {
  EXPECT_TRUE(orphan("f", "batchd-ab12-3-1.jsonl"));
  EXPECT_FALSE(orphan("f", "batchd-ab12-3-1.jsonl", true));
}

TEST_F(Orphans, NothingIsJudgedByBooksThatMayLackSomething) {
  books.trusted = false;
  books.shards[ShardId{7}] = owner("mine");
  EXPECT_FALSE(orphan("lost", "batchd-ab12-7-1.jsonl"));
  EXPECT_FALSE(orphan("f", "batchd-ab12-3-1.jsonl"));
}

TEST_F(Orphans, WhatIsNotOursStays) {
  for (const char* name : {"batchd-cd34-7-1.jsonl", "batchd-ab123-7-1.jsonl", "batchd-ab12-7-1.json", "prompts.jsonl", "",
                           "batchd-ab12-7-1.jsonl.jsonl", "xbatchd-ab12-7-1.jsonl", "batchd-ab12-07-1.jsonl",
                           "batchd-ab12-7-01.jsonl", "batchd-ab12-7.jsonl", "batchd-ab12--7-1.jsonl", "BATCHD-ab12-7-1.jsonl"}) {
    EXPECT_FALSE(orphan("f", name)) << name;
  }
}

TEST(InputFileNames, RoundTripAndNothingElseIsRead) {
  const InputFileName name{"ab12", ShardId{INT64_MAX}, 31};
  EXPECT_EQ(parse_input_file_name(input_file_name(name.instance, name.shard, name.attempt)), name);
  for (const char* text :
       {"", "batchd-", "batchd--1-1.jsonl", "batchd-a", "batchd-a-", "batchd-a-1", "batchd-a-1-", "batchd-a-1-1",
        "batchd-a-1-1.jsonlx", "batchd-a-99999999999999999999-1.jsonl", "batchd-a-1-1.JSONL"}) {
    EXPECT_EQ(parse_input_file_name(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace batchd
