// The corpus of shapes that contradict the providers' documents and occur (examples/deviations.json), whole: each entry with what
// it must be taken for, in the corpus's own order. An entry more than there are expectations is a failure.
#include "core/output_line.hpp"
#include "provider/classify.hpp"
#include "provider/wire.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gmock/gmock.h>

#include <fstream>
#include <iterator>

namespace batchd::testing {
namespace {

namespace json = boost::json;
using ::testing::SizeIs;

json::array corpus(const char* part) {
  std::ifstream file("tests/unit/provider/examples/deviations.json");
  return json::parse(std::string{std::istreambuf_iterator<char>(file), {}}).at(part).as_array();
}

std::string text_of(const std::optional<FileId>& id) {
  return id ? id->value : "";
}

TEST(Deviations, OfBatches) {
  struct Expected {
    BatchStatus status;
    bool created, counted;
    const char *output, *error;
    const char* code = "";                  // of the only error
    std::optional<std::int64_t> line = {};  // likewise
    const char* input = "";
  };
  const Expected expected[] = {
      {BatchStatus::validating, true, false, "", "", "", {}, "file-00000000000000000000000000000001"},
      {BatchStatus::completed, true, true, "file-out", "file-empty"},
      {BatchStatus::failed, true, false, "file-out", "file-err", "empty_file"},
      {BatchStatus::failed, true, false, "", "", "invalid_json_line", 7},
      {BatchStatus::validating, true, true, "", ""},
      {BatchStatus::completed, true, true, "", "file-err"},
      {BatchStatus::failed, true, false, "", "", "token_limit_exceeded"},
      {BatchStatus::expired, true, true, "file-out", "file-err"},
      {BatchStatus::cancelled, true, false, "file-out", ""},
      {BatchStatus::in_progress, false, false, "", ""},
      {BatchStatus::completed, true, true, "", ""},
  };
  const json::array entries = corpus("batches");
  ASSERT_THAT(entries, SizeIs(std::size(expected)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    SCOPED_TRACE(json::serialize(entries[i].at("note")));
    const auto batch = parse_batch(json::serialize(entries[i].at("batch")));
    ASSERT_TRUE(batch);
    const Expected& e = expected[i];
    EXPECT_EQ(batch->status, e.status);
    EXPECT_EQ(batch->created_at.has_value(), e.created);
    EXPECT_EQ(batch->counts.has_value(), e.counted);
    EXPECT_EQ(text_of(batch->output_file_id), e.output);
    EXPECT_EQ(text_of(batch->error_file_id), e.error);
    EXPECT_EQ(text_of(batch->input_file_id), e.input);
    ASSERT_EQ(batch->errors.size(), *e.code == '\0' ? 0u : 1u);
    if (batch->errors.empty()) continue;
    EXPECT_EQ(batch->errors.front().code, e.code);
    EXPECT_EQ(batch->errors.front().line, e.line);
  }
}

TEST(Deviations, OfLists) {
  struct Expected {
    std::size_t batches;
    bool more;
  };
  const Expected expected[] = {{1, true}, {1, false}, {1, true}, {0, false}};  // without has_more the next page is asked for
  const json::array entries = corpus("lists");
  ASSERT_THAT(entries, SizeIs(std::size(expected)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    SCOPED_TRACE(json::serialize(entries[i].at("note")));
    const auto page = parse_batch_page(json::serialize(entries[i].at("body")));
    ASSERT_TRUE(page);
    EXPECT_THAT(page->batches, SizeIs(expected[i].batches));
    EXPECT_EQ(page->next.has_value(), expected[i].more);
  }
}

TEST(Deviations, OfHttpErrors) {
  struct Expected {
    Operation operation;
    ErrorKind kind;
    const char* code;
  };
  const Expected expected[] = {
      {Operation::retrieve_batch, ErrorKind::not_found, "404"},
      {Operation::cancel_batch, ErrorKind::conflict, "unexpectedEntityState"},
      {Operation::create_batch, ErrorKind::permanent, "invalidPayload"},
      {Operation::create_batch, ErrorKind::quota, "token_limit_exceeded"},
      {Operation::cancel_batch, ErrorKind::conflict, ""},
      {Operation::create_batch, ErrorKind::not_ready, ""},
  };
  const json::array entries = corpus("http_errors");
  ASSERT_THAT(entries, SizeIs(std::size(expected)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    SCOPED_TRACE(json::serialize(entries[i].at("note")));
    const int status = static_cast<int>(entries[i].at("status").as_int64());
    const ProviderError error = classify(expected[i].operation, status, {}, json::serialize(entries[i].at("body")), {});
    EXPECT_EQ(error.kind, expected[i].kind) << to_string(error.kind);
    EXPECT_EQ(error.code, expected[i].code);
    EXPECT_EQ(error.status, status);
  }
}

TEST(Deviations, OfOutputLines) {
  constexpr Verdict expected[] = {Verdict::success, Verdict::success, Verdict::permanent, Verdict::retry, Verdict::free_retry,
                                  Verdict::retry,   Verdict::retry,   Verdict::retry,     Verdict::retry};
  const json::array entries = corpus("output_lines");
  ASSERT_THAT(entries, SizeIs(std::size(expected)));
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const std::string as_found = json::serialize(entries[i]);
    EXPECT_EQ(read_output_line(as_found).fault, LineFault::foreign) << "an id that is not of our making";
    json::object line = entries[i].as_object();
    line["custom_id"] = std::to_string(i + 1) + "-1";
    const LineResult result = read_output_line(json::serialize(line));
    ASSERT_TRUE(result.reading) << as_found;
    EXPECT_EQ(result.reading->verdict, expected[i]) << as_found;
  }
}

}  // namespace
}  // namespace batchd::testing
