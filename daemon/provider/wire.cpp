#include "provider/wire.hpp"

#include "core/json_scan.hpp"
#include "core/lowered.hpp"
#include "provider/printable.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace batchd {
namespace {

namespace json = boost::json;

// Providers' ids have some 40 bytes. What is longer, or has a byte that no URL shows as it is, is no id: it could neither be
// asked for nor kept in an index.
constexpr std::size_t longest_id = 512;
// Deeper than anything a provider nests, and far from what would exhaust the stack: one odd batch of somebody else must not
// make the whole list unreadable.
constexpr std::size_t max_depth = 256;

std::optional<json::value> parse_json(std::string_view body) {
  if (body.starts_with("\xef\xbb\xbf")) body.remove_prefix(3);
  boost::system::error_code ec;
  json::parse_options options;
  options.allow_invalid_utf8 = true;
  options.max_depth = max_depth;
  // A message that quotes half an emoji is a message still.
  json::value value = json::parse(mended_json(body), ec, {}, options);
  if (ec) return std::nullopt;
  return value;
}

const json::value* member(const json::object& object, std::string_view name) {
  const json::value* found = object.if_contains(name);
  return found && !found->is_null() ? found : nullptr;
}

/// A text, or a number written out: ids and codes come as both.
std::string text_of(const json::value* value) {
  if (!value) return "";
  if (const auto* text = value->if_string()) return storable_text(std::string(*text));
  if (const auto* number = value->if_int64()) return std::to_string(*number);
  if (const auto* number = value->if_uint64()) return std::to_string(*number);
  return "";
}

std::string text_at(const json::object& object, std::string_view name) {
  return text_of(member(object, name));
}

std::optional<std::int64_t> whole(double number) {
  if (!(std::abs(number) < 9.0e18)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

std::optional<std::int64_t> integer_of(const json::value* value) {
  if (!value) return std::nullopt;
  if (const auto* number = value->if_int64()) return *number;
  if (const auto* number = value->if_double()) return whole(*number);
  if (const auto* text = value->if_string()) {
    std::int64_t number = 0;
    const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (ec == std::errc{} && end == text->data() + text->size()) return number;
  }
  return std::nullopt;
}

/// A count of something, from 0 on.
std::optional<std::int64_t> count_of(const json::value* value) {
  const auto number = integer_of(value);
  return number && *number >= 0 ? number : std::nullopt;
}

/// 1970 to 9999: what lies outside is no time at all, and PostgreSQL would refuse it.
bool is_plausible_time(std::int64_t seconds) {
  return seconds >= 0 && seconds < 253'402'300'800;
}

std::optional<std::int64_t> time_at(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  const auto time = value && value->is_string() ? parse_unix_time(value->get_string()) : integer_of(value);
  return time && is_plausible_time(*time) ? time : std::nullopt;
}

/// "" for what is no id.
std::string readable_id(const json::value* value) {
  const auto* text = value ? value->if_string() : nullptr;
  std::string id = text ? std::string(*text) : text_of(value);
  const bool graphic = std::all_of(id.begin(), id.end(), [](char c) { return c > ' ' && c < 0x7f; });
  return graphic && id.size() <= longest_id ? id : std::string();
}

template <class Id>
std::optional<Id> id_at(const json::object& object, std::string_view name) {
  std::string text = readable_id(member(object, name));
  if (text.empty()) return std::nullopt;  // "" stands for absent (17.10)
  return Id{std::move(text)};
}

std::optional<RequestCounts> counts_of(const json::value* value) {
  const json::object* object = value ? value->if_object() : nullptr;
  if (!object) return std::nullopt;
  const auto total = count_of(member(*object, "total"));
  const auto completed = count_of(member(*object, "completed"));
  const auto failed = count_of(member(*object, "failed"));
  if (!total || !completed || !failed) return std::nullopt;
  return RequestCounts{*total, *completed, *failed};
}

void add_error(std::vector<BatchError>& errors, const json::value& value) {
  if (const auto* object = value.if_object()) {
    auto line = count_of(member(*object, "line"));
    if (line == 0) line.reset();  // lines are counted from 1 (10)
    errors.push_back({printable_message(text_at(*object, "code"), ""), printable_message(text_at(*object, "message"), ""), line});
  } else if (const auto* text = value.if_string()) {
    errors.push_back({"", printable_message(*text, ""), std::nullopt});
  }
}

/// null, {data: [..]}, {data: {..}}, a bare array or a bare error (17.3).
std::vector<BatchError> errors_of(const json::value* value) {
  std::vector<BatchError> errors;
  if (!value) return errors;
  const json::value* data = value;
  if (const auto* object = value->if_object()) {
    if (object->contains("data")) {
      data = member(*object, "data");
    } else if (!object->contains("code") && !object->contains("message")) {
      data = nullptr;
    }
  }
  if (!data) return errors;
  if (const auto* array = data->if_array()) {
    for (const json::value& item : *array) add_error(errors, item);
  } else {
    add_error(errors, *data);
  }
  return errors;
}

std::optional<Batch> batch_of(const json::value& value) {
  const json::object* object = value.if_object();
  if (!object) return std::nullopt;
  auto id = id_at<BatchId>(*object, "id");
  if (!id) return std::nullopt;
  Batch batch;
  batch.id = std::move(*id);
  batch.status = parse_batch_status(text_at(*object, "status"));
  batch.input_file_id = id_at<FileId>(*object, "input_file_id");
  batch.output_file_id = id_at<FileId>(*object, "output_file_id");
  batch.error_file_id = id_at<FileId>(*object, "error_file_id");
  batch.created_at = time_at(*object, "created_at");
  batch.counts = counts_of(member(*object, "request_counts"));
  batch.errors = errors_of(member(*object, "errors"));
  if (const json::value* metadata = member(*object, "metadata"); metadata && metadata->is_object()) {
    for (const auto& [key, entry] : metadata->get_object()) {
      if (entry.is_string()) batch.metadata.emplace(storable_text(key), text_of(&entry));
    }
  }
  return batch;
}

std::optional<RemoteFile> file_of(const json::value& value) {
  const json::object* object = value.if_object();
  if (!object) return std::nullopt;
  auto id = id_at<FileId>(*object, "id");
  if (!id) return std::nullopt;
  RemoteFile file;
  file.id = std::move(*id);
  file.filename = text_at(*object, "filename");
  file.purpose = text_at(*object, "purpose");
  file.status = lowered(text_at(*object, "status"));
  file.bytes = count_of(member(*object, "bytes"));
  file.created_at = time_at(*object, "created_at");
  return file;
}

/// The items of a List answer and the cursor of the next page (8): `last_id` or else the last item's own id, nothing when
/// the provider says that it was the last page or shows no item without a word about more. False for a page that says that more
/// is to come and gives nothing to go on from: taken for the end, it would pass a part of the list for the whole.
template <class Item, class Parse>
bool read_page(std::string_view body, Parse parse, std::vector<Item>& items, std::optional<std::string>& next) {
  const auto value = parse_json(body);
  const json::object* object = value ? value->if_object() : nullptr;
  if (!object) return false;
  const json::value* more = member(*object, "has_more");
  const bool says_more = more && more->is_bool() && more->get_bool();
  const bool says_last = more && more->is_bool() && !more->get_bool();
  const json::value* list = member(*object, "data");
  if (!list) list = member(*object, "value");
  if (!list) return !says_more && !object->contains("error") && (object->contains("data") || object->contains("value"));
  const json::array* array = list->if_array();
  if (!array) return false;
  for (const json::value& element : *array) {
    if (auto item = parse(element)) items.push_back(std::move(*item));
  }
  if (says_last || (items.empty() && !says_more)) return true;
  std::string last = readable_id(member(*object, "last_id"));
  if (last.empty() && items.empty()) return false;
  next = last.empty() ? items.back().id.value : std::move(last);
  return true;
}

}  // namespace

std::optional<Batch> parse_batch(std::string_view body) {
  const auto value = parse_json(body);
  return value ? batch_of(*value) : std::nullopt;
}

std::optional<RemoteFile> parse_file(std::string_view body) {
  const auto value = parse_json(body);
  return value ? file_of(*value) : std::nullopt;
}

std::optional<BatchPage> parse_batch_page(std::string_view body) {
  BatchPage page;
  if (!read_page(body, batch_of, page.batches, page.next)) return std::nullopt;
  return page;
}

std::optional<FilePage> parse_file_page(std::string_view body) {
  FilePage page;
  if (!read_page(body, file_of, page.files, page.next)) return std::nullopt;
  return page;
}

bool says_not_deleted(std::string_view body) {
  const auto value = parse_json(body);
  const json::object* object = value ? value->if_object() : nullptr;
  const json::value* deleted = object ? member(*object, "deleted") : nullptr;
  return deleted && deleted->is_bool() && !deleted->get_bool();
}

ErrorBody parse_error_body(std::string_view body) {
  ErrorBody out;
  const auto value = parse_json(body);
  const json::object* object = value ? value->if_object() : nullptr;
  const json::value* error = object ? member(*object, "error") : nullptr;
  if (!error) return out;
  if (const auto* text = error->if_string()) {  // {"error": "text"} and OAuth's {"error": .., "error_description": ..}
    out.readable = true;
    out.code = std::string(*text);
    out.message = text_at(*object, "error_description");
    if (out.message.empty()) out.message = text_at(*object, "message");
    if (out.message.empty()) out.message = out.code;
    return out;
  }
  const json::object* fields = error->if_object();
  if (!fields) return out;
  out.readable = true;
  out.code = text_at(*fields, "code");
  out.type = text_at(*fields, "type");
  out.param = text_at(*fields, "param");
  out.message = text_at(*fields, "message");
  for (const json::object* outer = fields; outer;) {
    const json::value* inner = member(*outer, "innererror");
    if (!inner) inner = member(*outer, "inner_error");
    outer = inner ? inner->if_object() : nullptr;
    if (!outer) break;
    if (std::string code = text_at(*outer, "code"); !code.empty()) out.inner_code = std::move(code);
  }
  return out;
}

}  // namespace batchd
