#include "provider/wire.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace batchd::testing {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::Pair;

/// 2024-07-19 17:13:57 UTC
constexpr std::int64_t july_19 = 1721409237;

Batch batch(std::string_view body) {
  auto parsed = parse_batch(body);
  EXPECT_TRUE(parsed) << body;
  return parsed.value_or(Batch{});
}

TEST(Wire, ReadsABatchAsSpecified) {
  const Batch b =
      batch(R"({"id":"batch_1","object":"batch","endpoint":"/v1/chat/completions","errors":null,"input_file_id":"file-1",
      "completion_window":"24h","status":"completed","output_file_id":"file-2","error_file_id":"file-3","created_at":1721409237,
      "request_counts":{"total":3,"completed":2,"failed":1},"metadata":{"batchd_shard":"7"},"usage":{"total_tokens":9}})");
  EXPECT_EQ(b.id, BatchId{"batch_1"});
  EXPECT_EQ(b.status, BatchStatus::completed);
  EXPECT_EQ(b.input_file_id, FileId{"file-1"});
  EXPECT_EQ(b.output_file_id, FileId{"file-2"});
  EXPECT_EQ(b.error_file_id, FileId{"file-3"});
  EXPECT_EQ(b.created_at, july_19);
  ASSERT_TRUE(b.counts);
  EXPECT_EQ(b.counts->total, 3);
  EXPECT_EQ(b.counts->completed, 2);
  EXPECT_EQ(b.counts->failed, 1);
  EXPECT_THAT(b.metadata, ElementsAre(Pair("batchd_shard", "7")));
  EXPECT_TRUE(b.errors.empty());
}

TEST(Wire, ReadsABatchOfWhichOnlyIdAndStatusAreKnown) {
  const Batch b = batch(R"({"id":"b","status":"in_progress"})");
  EXPECT_EQ(b.status, BatchStatus::in_progress);
  EXPECT_FALSE(b.input_file_id || b.output_file_id || b.error_file_id || b.created_at || b.counts);
}

TEST(Wire, ReadsStatesInAnyCase) {
  EXPECT_EQ(batch(R"({"id":"b","status":"Validating"})").status, BatchStatus::validating);
  EXPECT_EQ(batch(R"({"id":"b","status":"InProgress"})").status, BatchStatus::in_progress);
  EXPECT_EQ(batch(R"({"id":"b","status":"canceled"})").status, BatchStatus::cancelled);
}

TEST(Wire, KeepsABatchWhoseStateIsANewWord) {
  EXPECT_EQ(batch(R"({"id":"b","status":"hibernating"})").status, BatchStatus::unknown);
  EXPECT_EQ(batch(R"({"id":"b","status":null})").status, BatchStatus::unknown);
  EXPECT_EQ(batch(R"({"id":"b"})").status, BatchStatus::unknown);
}

TEST(Wire, TakesEmptyAndNullIdsForAbsent) {
  const Batch b = batch(R"({"id":"b","status":"validating","input_file_id":null,"output_file_id":"","error_file_id":""})");
  EXPECT_FALSE(b.input_file_id || b.output_file_id || b.error_file_id);
}

TEST(Wire, TakesCountsOnlyWhole) {
  EXPECT_FALSE(batch(R"({"id":"b","status":"failed","request_counts":{"total":null,"completed":null,"failed":null}})").counts);
  EXPECT_FALSE(batch(R"({"id":"b","status":"failed","request_counts":{"total":10,"completed":null,"failed":null}})").counts);
  EXPECT_FALSE(batch(R"({"id":"b","status":"failed","request_counts":null})").counts);
  EXPECT_TRUE(batch(R"({"id":"b","status":"failed","request_counts":{"total":0,"completed":0,"failed":0}})").counts);
}

TEST(Wire, ReadsErrorsInEveryShape) {
  const auto errors = [](const std::string& json) {
    return batch(R"({"id":"b","status":"failed","errors":)" + json + "}").errors;
  };
  EXPECT_EQ(errors("null").size(), 0u);
  EXPECT_EQ(errors(R"({"object":"list","data":[]})").size(), 0u);
  EXPECT_EQ(errors(R"({"object":"list","data":null})").size(), 0u);
  EXPECT_EQ(errors(R"({"object":"list"})").size(), 0u);
  EXPECT_EQ(errors(R"({"data":[{"code":"a","line":1},{"code":"b","line":"2"}]})").size(), 2u);
  EXPECT_EQ(errors(R"([{"code":"a"}])").size(), 1u);
  EXPECT_EQ(errors(R"({"code":"a","message":"m"})").size(), 1u);
  const auto single =
      errors(R"({"object":"list","data":{"code":"invalid_json_line","message":"bad json","param":null,"line":"7"}})");
  ASSERT_EQ(single.size(), 1u);
  EXPECT_EQ(single[0].code, "invalid_json_line");
  EXPECT_EQ(single[0].message, "bad json");
  EXPECT_EQ(single[0].line, 7);
  const auto odd = errors(R"({"data":[{"code":null,"message":null,"line":null},"just text",{"line":"x"},7]})");
  ASSERT_EQ(odd.size(), 3u);
  EXPECT_FALSE(odd[0].line);
  EXPECT_EQ(odd[1].message, "just text");
  EXPECT_FALSE(odd[2].line);
}

TEST(Wire, PassesOverMetadataThatIsNotText) {
  EXPECT_THAT(batch(R"({"id":"b","status":"failed","metadata":{"a":"1","b":2,"c":null}})").metadata, ElementsAre(Pair("a", "1")));
  EXPECT_TRUE(batch(R"({"id":"b","status":"failed","metadata":null})").metadata.empty());
  EXPECT_TRUE(batch(R"({"id":"b","status":"failed","metadata":[]})").metadata.empty());
}

TEST(Wire, TakesNothingForABatchThatHasNoId) {
  for (const auto* body : {"", "null", "[]", "{}", "\"text\"", R"({"id":""})", R"({"id":null,"status":"completed"})",
                           R"({"error":{"message":"No batch found"}})", "<html>busy</html>", R"({"id":"b","status":)"}) {
    EXPECT_FALSE(parse_batch(body)) << body;
  }
}

TEST(Wire, ReadsTimesInEveryForm) {
  EXPECT_EQ(parse_unix_time("1721409237"), july_19);
  EXPECT_EQ(parse_unix_time("1721409237.0"), july_19);
  EXPECT_EQ(parse_unix_time("2024-07-19T17:13:57.2491382+00:00"), july_19);
  EXPECT_EQ(parse_unix_time("2024-07-19T17:13:57Z"), july_19);
  EXPECT_EQ(parse_unix_time("2024-07-19 17:13:57"), july_19);
  EXPECT_EQ(parse_unix_time("2024-07-19T19:13:57+02:00"), july_19);
  EXPECT_EQ(parse_unix_time("2024-07-19T15:43:57.5-0130"), july_19);
  for (const auto* text :
       {"", "soon", "2024-07-19", "2024-02-30T00:00:00Z", "2024-07-19T17:13:57 CET", "nan", "1e300", "2024-07-19T17:13:5-"}) {
    EXPECT_FALSE(parse_unix_time(text)) << text;
  }
  const auto created = [](const std::string& json) {
    return batch(R"({"id":"b","status":"failed","created_at":)" + json + "}").created_at;
  };
  EXPECT_EQ(created("1721409237"), july_19);
  EXPECT_EQ(created("1721409237.25"), july_19);
  EXPECT_EQ(created("\"1721409237\""), july_19);
  EXPECT_EQ(created("\"2024-07-19T17:13:57.2491382+00:00\""), july_19);
  EXPECT_EQ(created("null"), std::nullopt);
  EXPECT_EQ(created("{}"), std::nullopt);
}

TEST(Wire, ReadsAPageAndItsCursor) {
  const auto page = parse_batch_page(
      R"({"object":"list","data":[{"id":"a","status":"failed"},{"id":"b","status":"failed"}],"first_id":"a","last_id":"L","has_more":true})");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->batches.size(), 2u);
  EXPECT_EQ(page->next, "L");
}

TEST(Wire, FindsTheCursorWhenItIsNotGiven) {
  const auto next = [](std::string_view body) { return parse_batch_page(body)->next; };
  EXPECT_EQ(next(R"({"data":[{"id":"a"},{"id":"b"}],"has_more":true})"), "b");
  EXPECT_EQ(next(R"({"data":[{"id":"a"},{"id":"b"}],"has_more":true,"last_id":null})"), "b");
  EXPECT_EQ(next(R"({"data":[{"id":"a"},{"id":"b"}],"has_more":true,"last_id":""})"), "b");
  EXPECT_EQ(next(R"({"data":[{"id":"a","first_id":"x","last_id":"y"}],"has_more":true})"), "a") << "S0 shows it inside an item";
  EXPECT_EQ(next(R"({"value":[{"id":"a"}]})"), "a") << "no word about more: ask until a page is empty";
}

TEST(Wire, EndsTheWalkOnTheLastPage) {
  const auto next = [](std::string_view body) { return parse_batch_page(body)->next; };
  EXPECT_EQ(next(R"({"data":[{"id":"a"}],"has_more":false,"last_id":"a"})"), std::nullopt);
  EXPECT_EQ(next(R"({"object":"list","data":[],"has_more":false,"first_id":null,"last_id":null})"), std::nullopt);
  EXPECT_EQ(next(R"({"data":[],"has_more":false,"last_id":"a"})"), std::nullopt);
  EXPECT_EQ(next(R"({"data":[]})"), std::nullopt);
  EXPECT_EQ(next(R"({"data":null})"), std::nullopt);
}

TEST(Wire, DoesNotTakeAnEmptyPageForTheEndWhenItSaysThatThereIsMore) {
  EXPECT_EQ(parse_batch_page(R"({"data":[],"has_more":true,"last_id":"a"})")->next, "a");
  EXPECT_FALSE(parse_batch_page(R"({"data":[],"has_more":true,"last_id":null})")) << "nothing to go on from";
  EXPECT_FALSE(parse_batch_page(R"({"data":null,"has_more":true})"));
  EXPECT_FALSE(parse_batch_page(R"({"data":[{"no":"id"}],"has_more":true})"));
  EXPECT_FALSE(parse_file_page(R"({"data":[],"has_more":true})"));
}

TEST(Wire, PassesOverItemsThatAreNoBatches) {
  const auto page =
      parse_batch_page(R"({"value":[null,7,{"status":"failed"},{"id":"a","status":"Completed"}],"has_more":false})");
  ASSERT_TRUE(page);
  ASSERT_EQ(page->batches.size(), 1u);
  EXPECT_EQ(page->batches[0].status, BatchStatus::completed);
}

TEST(Wire, TakesNothingForAPageThatIsNone) {
  for (const auto* body : {"", "null", "[]", "{}", R"({"data":{}})", R"({"error":{"message":"m"}})", "<html>"}) {
    EXPECT_FALSE(parse_batch_page(body)) << body;
  }
}

TEST(Wire, ReadsFilesInEveryState) {
  const auto file = parse_file(
      R"({"status":"Pending","purpose":"batch","filename":"a.jsonl","id":"file-1","created_at":1721409237,"object":"file","bytes":12})");
  ASSERT_TRUE(file);
  EXPECT_EQ(file->id, FileId{"file-1"});
  EXPECT_EQ(file->status, "pending");
  EXPECT_EQ(file->filename, "a.jsonl");
  EXPECT_EQ(file->purpose, "batch");
  EXPECT_EQ(file->bytes, 12);
  EXPECT_EQ(file->created_at, july_19);
  const auto sparse = parse_file(R"({"id":"file-1","status":null,"bytes":null,"status_details":null})");
  ASSERT_TRUE(sparse);
  EXPECT_EQ(sparse->status, "");
  EXPECT_FALSE(sparse->bytes);
  EXPECT_FALSE(parse_file(R"({"filename":"a"})"));
}

TEST(Wire, ReadsAPageOfFilesWithoutCursors) {
  const auto page = parse_file_page(R"({"object":"list","data":[{"id":"f1"},{"id":"f2"}]})");
  ASSERT_TRUE(page);
  EXPECT_EQ(page->files.size(), 2u);
  EXPECT_EQ(page->next, "f2");
}

TEST(Wire, ReadsErrorBodiesOfEveryProvider) {
  const ErrorBody openai =
      parse_error_body(R"({"error":{"message":"m","type":"invalid_request_error","param":"file_id","code":null},"detail":"x"})");
  EXPECT_TRUE(openai.readable);
  EXPECT_EQ(openai.message, "m");
  EXPECT_EQ(openai.type, "invalid_request_error");
  EXPECT_EQ(openai.param, "file_id");
  EXPECT_EQ(openai.code, "");
  const ErrorBody dated = parse_error_body(
      R"({"error":{"code":"unexpectedEntityState","message":"m","target":"t","innererror":{"code":"x","innererror":{"code":"deep"}}}})");
  EXPECT_EQ(dated.code, "unexpectedEntityState");
  EXPECT_EQ(dated.inner_code, "deep");
  const ErrorBody v1 =
      parse_error_body(R"({"error":{"code":"invalidPayload","message":"m","type":"error","inner_error":{"code":"i"}}})");
  EXPECT_EQ(v1.inner_code, "i");
  EXPECT_EQ(parse_error_body(R"({"error":{"code":"404","message":"Resource not found"}})").code, "404");
  EXPECT_EQ(parse_error_body(R"({"error":{"code":429,"message":"m"}})").code, "429");
  EXPECT_EQ(parse_error_body(R"({"error":"invalid_client","error_description":"d"})").message, "d");
  for (const auto* body : {"", "<html>", "{}", "[]", R"({"error":null})", R"({"error":[]})", R"({"message":"m"})"}) {
    EXPECT_FALSE(parse_error_body(body).readable) << body;
  }
}

TEST(Wire, KnowsADeleteThatDeletedNothing) {
  EXPECT_TRUE(says_not_deleted(R"({"object":"file","id":"f","deleted":false})"));
  for (const auto* body : {R"({"object":"file","id":"f","deleted":true})", "", "{}", "<html>", R"({"deleted":null})"}) {
    EXPECT_FALSE(says_not_deleted(body)) << body;
  }
}

TEST(Wire, MakesErrorTextsFitToBeStoredAndShown) {
  const Batch b = batch(
      "{\"id\":\"b\",\"status\":\"failed\",\"errors\":{\"data\":[{\"code\":\"c\",\"message\":\"two\\nlines\\u0000 \xFF\"}]}}");
  ASSERT_EQ(b.errors.size(), 1u);
  EXPECT_EQ(b.errors[0].message, "two lines ?");
}

TEST(Wire, SurvivesDeepNestingAndBrokenUtf8) {
  EXPECT_FALSE(parse_batch(std::string(100'000, '[')));
  EXPECT_TRUE(parse_batch("{\"id\":\"b\",\"status\":\"failed\",\"x\":\"\xFF\xFE\"}"));
}

// The providers' own examples ---------------------------------------------------------------------------------------------

/// Seen from the root of the checkout, where ctest runs the tests.
const std::filesystem::path examples = "tests/unit/provider/examples";

json::value read_json(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return json::parse(std::string(std::istreambuf_iterator<char>(in), {}));
}

TEST(WireExamples, EveryOfficialExampleIsReadable) {
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(examples)) {
    if (!entry.path().filename().string().starts_with("azure-")) continue;
    ++seen;
    const json::value example = read_json(entry.path());
    for (const auto& [status, answer] : example.at("responses").as_object()) {
      const std::string body = json::serialize(answer.at("body"));
      const bool file = answer.at("body").at("object").as_string() == "file";
      EXPECT_TRUE(file ? parse_file(body).has_value() : parse_batch(body).has_value()) << entry.path();
    }
  }
  EXPECT_GT(seen, 0);
}

}  // namespace
}  // namespace batchd::testing
