#include "file_calls.hpp"

#include "foreign.hpp"
#include "upload_form.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <memory>
#include <vector>

namespace sim {
namespace {

constexpr std::uint64_t form_overhead = 64 * 1024;  ///< what boundaries and part heads may add to the largest file

}  // namespace

Task<Reply> FileCalls::upload(const Context& context, const RequestHead& head, BodyReader& body) {
  const auto& call = context.call;
  const auto& settings = world_.settings;
  const auto boundary = MultipartReader::boundary_of(head.content_type);
  if (!boundary) co_return refuse(world_, call, {400, "invalidPayload", "Expected a multipart/form-data body with a boundary."});
  if (head.content_length && *head.content_length > settings.max_upload + form_overhead) {
    co_return refuse(
        world_, call,
        {413, "invalidPayload", "The file is larger than the maximum of " + std::to_string(settings.max_upload) + " bytes."});
  }
  UploadForm form(call, *boundary, world_.counter, settings);
  std::vector<char> piece(128 * 1024);
  const std::span<char> into(piece);
  for (;;) {
    const auto got = co_await body.read(into);
    if (got == 0) break;
    if (!form.error()) form.feed({piece.data(), got});
  }
  form.finish();
  if (form.error()) co_return refuse(world_, call, *form.error());
  const auto most = form.expires_after() ? std::max(settings.max_files, settings.max_files_expiring) : settings.max_files;
  if (call.azure() && world_.files.count(context.resource, settings.count_outputs) >= most) {
    co_return error_reply(
        call.dialect,
        {400, "quotaExceeded", "The resource holds " + std::to_string(most) + " files, its maximum; delete some first."});
  }
  co_return keep(context, form, head);
}

Reply FileCalls::keep(const Context& context, UploadForm& form, const RequestHead& head) {
  const auto& settings = world_.settings;
  const auto time = now();
  auto file = std::make_shared<StoredFile>();
  file->id = world_.ids.file_id();
  file->resource = context.resource;
  file->filename = form.filename();
  file->purpose = "batch";
  file->content = form.take_file();
  file->facts = form.take_facts();
  if (any(file->facts->poisoned, Poison::upload))
    return error_reply(context.call.dialect,
                       {400, "jsonlValidationFailed", "The file has a line that is not accepted.", "file", "invalid_request"});
  file->bytes = file->content->size();
  file->created = time;
  file->running_at = time + context.file_pending.value_or(context.call.azure() ? settings.file_pending : Milliseconds(0));
  file->processed_at = file->running_at + (context.call.azure() ? settings.file_running : Milliseconds(0));
  if (!context.file_state.empty()) file->final_state = context.file_state;
  file->state_details = context.file_details;
  file->visible_at = time + std::max(context.hide, settings.file_invisible);
  if (form.expires_after()) file->expires_at = unix_seconds(time) + *form.expires_after();
  world_.ledger.file_uploaded(file->bytes);
  const int status = settings.upload_status == 0 ? upload_status(context.call) : settings.upload_status;
  Reply reply = json_reply(status, describe(*file, context.call.dialect));
  if (context.call.dialect == Dialect::azure) {
    const std::string scheme = settings.tls() ? "https://" : "http://";
    reply.headers.emplace_back("Location",
                               scheme + head.host + "/openai/files/" + file->id + "?api-version=" + context.call.api_version);
  }
  world_.files.add(std::move(file));
  return reply;
}

Reply FileCalls::list(const Context& context, const RequestHead& head) {
  const auto& call = context.call;
  if (world_.settings.strict) {
    if (const auto unknown = unknown_parameter(head, {"purpose", "limit", "after", "order"})) {
      return refuse(world_, call, {400, "invalidPayload", "Unknown query parameter '" + *unknown + "'.", *unknown});
    }
  }
  // The GA dated version knows `purpose` only, and like the real one passes over the others.
  const bool pages = call.dialect != Dialect::azure || call.dated_preview();
  const auto parameter = [&](const char* name) { return head.parameter(name); };
  std::int64_t limit = 10'000;
  if (pages && head.query.contains("limit")) {
    const auto asked = whole_number(parameter("limit"), 1, 10'000);
    if (!asked)
      return refuse(world_, call, {400, "invalidPayload", "'limit' must be a whole number between 1 and 10000.", "limit"});
    limit = *asked;
  }
  if (world_.settings.page_size > 0) limit = std::min(limit, world_.settings.page_size);
  const auto order = parameter("order");
  if (pages && !order.empty() && order != "asc" && order != "desc")
    return refuse(world_, call, {400, "invalidPayload", "'order' must be asc or desc.", "order"});
  auto files = world_.files.list(context.resource);
  if (!parameter("purpose").empty())
    std::erase_if(files, [&](const auto& file) { return file->purpose != parameter("purpose"); });
  if (pages && order == "asc") std::reverse(files.begin(), files.end());
  auto first = files.begin();
  if (pages && head.query.contains("after")) {
    first = std::find_if(files.begin(), files.end(), [&](const auto& file) { return file->id == parameter("after"); });
    if (first == files.end())
      return error_reply(call.dialect, {400, "invalidPayload", "No file '" + parameter("after") + "' to list after.", "after"});
    ++first;
  }
  const auto last = pages ? first + std::min<std::ptrdiff_t>(limit, files.end() - first) : files.end();
  boost::json::array data;
  for (auto at = first; at != last; ++at) data.push_back(describe(**at, call.dialect));
  boost::json::object out{{"object", "list"}, {"data", std::move(data)}};
  if (call.dialect != Dialect::azure) {
    out["first_id"] = first == last ? boost::json::value(nullptr) : boost::json::value((*first)->id);
    out["last_id"] = first == last ? boost::json::value(nullptr) : boost::json::value((*(last - 1))->id);
    out["has_more"] = last != files.end();
  }
  return json_reply(200, out);
}

Reply FileCalls::missing(const Context& context) const {
  return error_reply(context.call.dialect, {404, "notFound", "No such File object: " + context.call.id, "id"});
}

Reply FileCalls::get(const Context& context) {
  const auto file = world_.files.find(context.resource, context.call.id);
  return file == nullptr ? missing(context) : json_reply(200, describe(*file, context.call.dialect));
}

Reply FileCalls::content(const Context& context) {
  const auto file = world_.files.find(context.resource, context.call.id);
  if (file == nullptr) return missing(context);
  note_touch(world_, context.call, file->foreign);
  Reply reply;
  reply.content_type = "application/octet-stream";
  reply.source = content_of(*file);
  return reply;
}

Reply FileCalls::erase(const Context& context) {
  const auto file = world_.files.find(context.resource, context.call.id);
  if (!world_.files.erase(context.resource, context.call.id)) return missing(context);
  note_touch(world_, context.call, file->foreign);
  world_.ledger.file_deleted();
  if (world_.batches.needs_input(context.call.id)) world_.ledger.input_deleted_while_needed();
  return json_reply(200, boost::json::object{{"object", "file"}, {"id", context.call.id}, {"deleted", true}});
}

}  // namespace sim
