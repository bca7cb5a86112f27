// Batches, lists, files and error objects as providers might send them.
#include "provider/wire.hpp"
#include "core/json_scan.hpp"
#include "malformed/corpus.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace batchd::testing {
namespace {

void expect_printable(const std::string& text) {
  EXPECT_TRUE(valid_utf8(text)) << text;
  EXPECT_EQ(text.find('\0'), std::string::npos) << text;
  EXPECT_LE(text.size(), 512U) << text.substr(0, 100);
}

template <class Id>
void add_id(std::string& out, const char* name, const std::optional<Id>& id) {
  if (!id) return;
  expect_printable(id->value);
  out += std::string(",") + name + '=' + id->value;
}

void add_number(std::string& out, const char* name, const std::optional<std::int64_t>& number) {
  if (number) out += std::string(",") + name + '=' + std::to_string(*number);
}

std::string batch_verdict(const MalformedCase& tested) {
  SCOPED_TRACE(tested.name);
  const auto batch = parse_batch(tested.input());
  if (!batch) return "nothing";
  expect_printable(batch->id.value);
  std::string out(to_string(batch->status));
  add_id(out, "in", batch->input_file_id);
  add_id(out, "out", batch->output_file_id);
  add_id(out, "err", batch->error_file_id);
  add_number(out, "at", batch->created_at);
  if (const auto& n = batch->counts) {
    out += ",counts=" + std::to_string(n->total) + '/' + std::to_string(n->completed) + '/' + std::to_string(n->failed);
  }
  if (!batch->metadata.empty()) out += ",meta=" + std::to_string(batch->metadata.size());
  for (const auto& [key, value] : batch->metadata) expect_printable(key), expect_printable(value);
  if (!batch->errors.empty()) out += ",errors=" + std::to_string(batch->errors.size());
  for (const BatchError& error : batch->errors) {
    expect_printable(error.code);
    expect_printable(error.message);
    if (error.line) out += ':' + std::to_string(*error.line);
  }
  return out;
}

template <class Page>
std::string page_verdict(const std::optional<Page>& page, std::size_t entries) {
  if (!page) return "nothing";
  std::string out = "page:" + std::to_string(entries);
  if (page->next) out += ",next=" + *page->next;
  return out;
}

std::string list_verdict(const MalformedCase& tested) {
  const std::string body = tested.input();
  if (body.starts_with("files ")) {
    const auto page = parse_file_page(std::string_view(body).substr(6));
    return page_verdict(page, page ? page->files.size() : 0);
  }
  const auto page = parse_batch_page(body);
  return page_verdict(page, page ? page->batches.size() : 0);
}

std::string file_verdict(const MalformedCase& tested) {
  const auto file = parse_file(tested.input());
  if (!file) return "nothing";
  expect_printable(file->id.value);
  EXPECT_TRUE(valid_utf8(file->filename));
  std::string out = "file:" + file->status;
  add_number(out, "bytes", file->bytes);
  add_number(out, "at", file->created_at);
  return out;
}

TEST(Malformed, Batches) {
  expect_verdicts("batches", batch_verdict);
}

TEST(Malformed, Lists) {
  expect_verdicts("lists", list_verdict);
}

TEST(Malformed, Files) {
  expect_verdicts("files", file_verdict);
}

}  // namespace
}  // namespace batchd::testing
