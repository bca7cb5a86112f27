// Batch and file objects and pages of them (provider/wire): whatever is read keeps to its bounds and can be stored; members that
// nobody knows, blanks and a byte order mark change nothing; an object says the same alone and as one of a page.
#include "core/recognition.hpp"
#include "harness.hpp"
#include "provider/wire.hpp"
#include "reference_text.hpp"

#include <algorithm>

namespace batchd::fuzz {
namespace {

constexpr std::int64_t end_of_9999 = 253'402'300'800;

std::string number(const std::optional<std::int64_t>& value) {
  return value ? std::to_string(*value) : "none";
}

template <class Id>
std::string name(const std::optional<Id>& id) {
  return id ? id->value : "none";
}

/// Everything that was read, as one text to compare.
std::string told(const Batch& batch) {
  std::string out = batch.id.value + '|' + std::string(to_string(batch.status)) + '|' + name(batch.input_file_id) + '|' +
                    name(batch.output_file_id) + '|' + name(batch.error_file_id) + '|' + number(batch.created_at);
  if (batch.counts) {
    for (const auto count : {batch.counts->total, batch.counts->completed, batch.counts->failed})
      out += '|' + std::to_string(count);
  }
  for (const BatchError& error : batch.errors) out += "|e:" + error.code + '/' + error.message + '/' + number(error.line);
  for (const auto& [key, value] : batch.metadata) out += "|m:" + key + '=' + value;
  return out;
}

std::string told(const RemoteFile& file) {
  return file.id.value + '|' + file.filename + '|' + file.purpose + '|' + file.status + '|' + number(file.bytes) + '|' +
         number(file.created_at);
}

void check_id(std::string_view id) {
  holds(!id.empty() && id.size() <= 512, "an id has a length that can be kept");
  holds(std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f; }), "and characters that can be asked for");
}

void check_within(const std::optional<std::int64_t>& value, std::int64_t least, std::int64_t most) {
  holds(!value || (*value >= least && *value <= most), "a number is within its bounds");
}

void check_object(const Batch& batch) {
  check_id(batch.id.value);
  for (const auto& file : {batch.input_file_id, batch.output_file_id, batch.error_file_id}) {
    if (file) check_id(file->value);
  }
  check_within(batch.created_at, 0, end_of_9999 - 1);
  if (batch.counts) {
    for (const auto count : {batch.counts->total, batch.counts->completed, batch.counts->failed})
      check_within(count, 0, INT64_MAX);
  }
  for (const BatchError& error : batch.errors) {
    check_within(error.line, 1, INT64_MAX);
    holds(shown_on_one_line(error.code) && shown_on_one_line(error.message), "an error can be shown");
  }
  for (const auto& [key, value] : batch.metadata) holds(storable(key) && storable(value), "metadata can be stored");
  if (const auto claim = claim_of(batch, "a1b2c3")) holds(claim->batch == batch.id, "a claim is about its batch");
  const std::string_view status = to_string(batch.status);
  holds(parse_batch_status(status) == batch.status, "a state reads what it writes");
}

void check_object(const RemoteFile& file) {
  check_id(file.id.value);
  holds(storable(file.filename) && storable(file.purpose) && storable(file.status), "a file's texts can be stored");
  check_within(file.bytes, 0, INT64_MAX);
  check_within(file.created_at, 0, end_of_9999 - 1);
}

/// The text with a member that nobody knows in front; itself when it is no object with members.
std::string with_a_stranger(std::string_view text) {
  const auto brace = text.find('{');
  std::string out(text);
  if (brace == std::string_view::npos) return out;
  const auto next = text.find_first_not_of(" \t\r\n", brace + 1);
  const bool empty = next == std::string_view::npos || text[next] == '}';
  return out.insert(brace + 1, std::string(R"("x_new": {"id": "other", "status": ["failed"]})") + (empty ? "" : ", "));
}

template <class Object, class Page>
void check_kind(std::string_view text, std::optional<Object> (*one)(std::string_view), Page (*page)(std::string_view),
                bool in_page) {
  const auto object = one(text);
  if (object) check_object(*object);
  const auto same = [&object](const std::optional<Object>& other) {
    return other.has_value() == object.has_value() && (!other || told(*other) == told(*object));
  };
  holds(same(one(" \n" + std::string(text) + "\r\n\t")) || text.starts_with("\xef\xbb\xbf"), "blanks around it change nothing");
  if (!text.starts_with("\xef\xbb\xbf"))
    holds(same(one("\xef\xbb\xbf" + std::string(text))), "a byte order mark changes nothing");
  if (!in_page) return;
  holds(same(one(with_a_stranger(text))), "a member that nobody knows changes nothing");
  if (object)
    holds(same(page(R"({"object":"list","data":[null,)" + std::string(text) + "]}")), "one of a page is read as it is alone");
}

std::optional<Batch> first_batch(std::string_view body) {
  const auto page = parse_batch_page(body);
  return page && !page->batches.empty() ? std::optional(page->batches.front()) : std::nullopt;
}

std::optional<RemoteFile> first_file(std::string_view body) {
  const auto page = parse_file_page(body);
  return page && !page->files.empty() ? std::optional(page->files.front()) : std::nullopt;
}

template <class Page, class Items>
void check_page(const std::optional<Page>& page, Items items) {
  if (!page) return;
  for (const auto& object : items(*page)) check_object(object);
  if (page->next) check_id(*page->next);
}

}  // namespace

void check(std::string_view input) {
  // Within the reader's own limit of nesting, with something to spare for what is put around it.
  const bool flat = std::count_if(input.begin(), input.end(), [](char c) { return c == '[' || c == '{'; }) < 200;
  const bool marked = input.starts_with("\xef\xbb\xbf");
  check_kind<Batch>(input, parse_batch, first_batch, flat && !marked);
  check_kind<RemoteFile>(input, parse_file, first_file, flat && !marked);
  check_page(parse_batch_page(input), [](const BatchPage& page) { return page.batches; });
  check_page(parse_file_page(input), [](const FilePage& page) { return page.files; });
  (void)says_not_deleted(input);
}

}  // namespace batchd::fuzz
