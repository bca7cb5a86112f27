#include "batch_calls.hpp"

#include "filter.hpp"
#include "foreign.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <string_view>

namespace sim {
namespace {

ApiError bad(std::string message, const char* param) {
  return {400, "invalidPayload", std::move(message), param};
}

std::optional<ApiError> check_metadata(const boost::json::value& metadata) {
  if (metadata.is_null()) return std::nullopt;
  if (!metadata.is_object()) return bad("'metadata' must be an object of strings.", "metadata");
  if (metadata.get_object().size() > 16) return bad("'metadata' has more than 16 pairs.", "metadata");
  for (const auto& [key, value] : metadata.get_object()) {
    if (key.empty() || key.size() > 64) return bad("A key of 'metadata' is empty or longer than 64 characters.", "metadata");
    if (!value.is_string()) return bad("'metadata." + std::string(key) + "' must be a string.", "metadata");
    if (value.get_string().size() > 512)
      return bad("'metadata." + std::string(key) + "' is longer than 512 characters.", "metadata");
  }
  return std::nullopt;
}

std::optional<ApiError> check_expiry(const Call& call, const boost::json::value& expiry, const Settings& settings) {
  if (call.dialect == Dialect::azure && !call.dated_preview())
    return bad("Unknown member 'output_expires_after'.", "output_expires_after");
  const auto* const object = expiry.if_object();
  const auto* const anchor = object == nullptr ? nullptr : object->if_contains("anchor");
  const auto* const seconds = object == nullptr ? nullptr : object->if_contains("seconds");
  const std::int64_t least = least_expiry(call, settings);
  const bool fits = anchor != nullptr && *anchor == "created_at" && seconds != nullptr && seconds->is_int64() &&
                    seconds->get_int64() >= least && seconds->get_int64() <= 2'592'000 && object->size() == 2;
  if (fits) return std::nullopt;
  return bad("'output_expires_after' must be {anchor: \"created_at\", seconds: " + std::to_string(least) + " to 2592000}.",
             "output_expires_after");
}

}  // namespace

Reply BatchCalls::missing(const Context& context) const {
  return error_reply(context.call.dialect, {404, "notFound", "No batch found with id '" + context.call.id + "'.", "batch_id"});
}

std::optional<ApiError> BatchCalls::check(const Context& context, const boost::json::object& asked) const {
  for (const auto& [key, value] : asked) {
    constexpr std::array<std::string_view, 5> known = {"input_file_id", "endpoint", "completion_window", "metadata",
                                                       "output_expires_after"};
    const bool is_known = std::find(known.begin(), known.end(), key) != known.end();
    if (!is_known && world_.settings.strict) return bad("Unknown member '" + std::string(key) + "'.", "body");
  }
  for (const char* const name : {"input_file_id", "endpoint", "completion_window"}) {
    const auto* const value = asked.if_contains(name);
    if (value == nullptr) return bad(std::string("Missing required parameter: '") + name + "'.", name);
    if (!value->is_string()) return bad(std::string("'") + name + "' must be a string.", name);
  }
  if (const auto fault = endpoint_fault(context.call.dialect, std::string(asked.at("endpoint").get_string()),
                                        world_.settings.accepts("embeddings")))
    return bad(*fault, "endpoint");
  const auto& refusal = world_.settings.window_refusal;
  const bool at_once = refusal == "sync" || (refusal == "dialect" && context.call.dialect == Dialect::openai);
  if (at_once && asked.at("completion_window") != "24h") return bad("'completion_window' must be '24h'.", "completion_window");
  if (const auto* const expiry = asked.if_contains("output_expires_after")) {
    if (auto fault = check_expiry(context.call, *expiry, world_.settings)) return fault;
  }
  const auto* const metadata = asked.if_contains("metadata");
  return metadata == nullptr ? std::nullopt : check_metadata(*metadata);
}

/// What the client may meet by bad luck, too early or too late, rather than by mistake.
std::optional<ApiError> BatchCalls::check_input(const Context& context, const StoredFile* file, const std::string& id) const {
  if (file == nullptr) return bad("Cannot find file " + id + ", or this resource does not have access to it.", "file_id");
  if (file->purpose != "batch")
    return bad("File " + id + " has purpose '" + file->purpose + "', expected 'batch'.", "input_file_id");
  if (const auto state = file->state_at(now()); state != "processed") {
    return ApiError{400, "unexpectedEntityState",
                    "Input file '" + id + "' is in '" + state + "' state. Only files with status 'Processed' are accepted.",
                    "input_file_id"};
  }
  if (file->foreign) return ApiError{400, "invalidPayload", "The file has no content.", "input_file_id"};
  const auto& facts = *file->facts;
  if (any(facts.poisoned, Poison::create))
    return ApiError{400, "invalid_request", "The input file has a request that is not accepted by this model.", "input_file_id",
                    "invalid_request"};
  if (world_.settings.quota_mode == QuotaMode::late || !facts.errors.empty() || !world_.quota.known(facts.model))
    return std::nullopt;
  const auto limit = world_.quota.limit(facts.model);
  if (world_.quota.held(context.resource, facts.model) + facts.tokens <= limit) return std::nullopt;
  world_.quota.take(context.resource, facts.model, facts.tokens);  // refused, and counted as such
  return quota_refusal(facts.model, limit);
}

/// The wording is nowhere documented: --fast-refusal chooses where the code stands.
ApiError BatchCalls::quota_refusal(const std::string& model, std::uint64_t limit) const {
  const std::string code = "token_limit_exceeded";
  const auto& form = world_.settings.fast_refusal;
  const bool named = form == "both" || form == "message" || form == "429";
  ApiError error{400, "invalidPayload",
                 "Enqueued token limit reached for " + model + ". Limit: " + std::to_string(limit) +
                     " enqueued tokens. Please try again once some in_progress batches have been completed."};
  if (named) error.message = code + ": " + error.message;
  if (form == "429") error.status = 429;
  if (form == "code") error.azure_code = code;
  if (form == "inner") error.inner_code = code;
  if (form == "both" || form == "code" || form == "429") error.openai_code = code;
  return error;
}

Reply BatchCalls::create(const Context& context, const std::string& body) {
  const auto& call = context.call;
  boost::system::error_code parse_error;
  const auto parsed = boost::json::parse(body, parse_error);
  if (parse_error || !parsed.is_object()) return refuse(world_, call, bad("The body is not a JSON object.", "body"));
  const auto& asked = parsed.get_object();
  if (const auto fault = check(context, asked)) return refuse(world_, call, *fault);
  const std::string file_id(asked.at("input_file_id").get_string());
  const auto file = world_.files.find(context.resource, file_id);
  if (file != nullptr) note_touch(world_, call, file->foreign);
  if (const auto fault = check_input(context, file.get(), file_id)) return error_reply(call.dialect, *fault);

  const auto time = now();
  Batch wanted;
  wanted.resource = context.resource;
  wanted.dialect = call.dialect;
  wanted.endpoint = std::string(asked.at("endpoint").get_string());
  wanted.window_accepted = asked.at("completion_window") == "24h";
  wanted.metadata = asked.contains("metadata") ? asked.at("metadata") : boost::json::value(nullptr);
  wanted.listed_at = time + context.hide;
  wanted.fate = context.fate;
  if (const auto* const expiry = asked.if_contains("output_expires_after"); expiry != nullptr && expiry->is_object())
    wanted.results_expire = expiry->at("seconds").as_int64();
  const auto& batch = world_.batches.create(std::move(wanted), *file, time);
  const int status = world_.settings.create_status == 0 ? create_status(call) : world_.settings.create_status;
  Reply reply = json_reply(status, describe(batch, time));
  const auto& headers = world_.settings.enqueued_headers;
  if (call.azure() && headers != "absent") {
    const auto tokens = headers == "file" ? batch.tokens : world_.quota.held(context.resource, batch.model);
    reply.headers.emplace_back("deployment-enqueued-tokens", std::to_string(tokens));
    reply.headers.emplace_back("deployment-maximum-enqueued-tokens", std::to_string(world_.quota.limit(batch.model)));
  }
  return reply;
}

boost::json::object BatchCalls::shown(const Context& context, const Batch& batch) const {
  return context.older ? describe(as_before(batch), now()) : describe(batch, now());
}

Reply BatchCalls::get(const Context& context) {
  const auto* const batch = world_.batches.find(context.resource, context.call.id);
  if (batch == nullptr || batch->vanished == Vanished::not_found) return missing(context);
  if (batch->vanished == Vanished::no) return json_reply(200, shown(context, *batch));
  auto reply = missing(context);
  reply.status = 200;
  return reply;
}

/// Where a list after that batch begins; what becomes of one that is not there is unspecified, and --stale-after chooses.
std::optional<ApiError> BatchCalls::seek(const std::vector<Batch*>& batches, const std::string& after, std::size_t& begin) const {
  if (after.empty()) return std::nullopt;
  const auto found = std::find_if(batches.begin(), batches.end(), [&](const Batch* batch) { return batch->id == after; });
  const auto& stale = world_.settings.stale_after;
  const std::string message = "No batch '" + after + "' to list after.";
  begin = static_cast<std::size_t>(found - batches.begin()) + (found == batches.end() ? 0 : 1);
  if (found != batches.end() || stale == "empty") return std::nullopt;
  if (stale == "404") return ApiError{404, "notFound", message, "after"};
  if (stale == "400") return bad(message, "after");
  begin = 0;
  return std::nullopt;
}

Reply BatchCalls::list(const Context& context, const RequestHead& head) {
  const auto& call = context.call;
  if (world_.settings.strict) {
    const auto unknown = call.dated_preview() ? unknown_parameter(head, {"after", "limit", "$filter", "$orderby"})
                                              : unknown_parameter(head, {"after", "limit"});
    if (unknown) return refuse(world_, call, bad("Unknown query parameter '" + *unknown + "'.", "query"));
  }
  std::int64_t limit = 20;
  if (const auto asked = head.query.find("limit"); asked != head.query.end()) {
    const auto number = whole_number(asked->second, 1, 100);
    if (!number) return refuse(world_, call, bad("'limit' must be a whole number between 1 and 100.", "limit"));
    limit = *number;
  }
  if (world_.settings.page_size > 0) limit = std::min(limit, world_.settings.page_size);
  auto batches = world_.batches.list(context.resource, now());
  if (world_.settings.list_order == "oldest") std::reverse(batches.begin(), batches.end());
  if (call.dated_preview()) {
    BatchFilter filter;
    if (const auto fault = filter.read(head.parameter("$filter"), head.parameter("$orderby")))
      return refuse(world_, call, bad(*fault, "$filter"));
    filter.apply(batches);
  }
  std::size_t begin = 0;
  if (const auto fault = seek(batches, head.parameter("after"), begin)) return error_reply(call.dialect, *fault);
  const auto first = batches.begin() + static_cast<std::ptrdiff_t>(begin);
  const auto last = first + std::min<std::ptrdiff_t>(limit, batches.end() - first);
  boost::json::array data;
  for (auto at = first; at != last; ++at) data.push_back(shown(context, **at));
  return json_reply(
      200, boost::json::object{{"object", "list"},
                               {"data", std::move(data)},
                               {"first_id", first == last ? boost::json::value(nullptr) : boost::json::value((*first)->id)},
                               {"last_id", first == last ? boost::json::value(nullptr) : boost::json::value((*(last - 1))->id)},
                               {"has_more", last != batches.end()}});
}

Reply BatchCalls::cancel(const Context& context) {
  auto* const batch = world_.batches.find(context.resource, context.call.id);
  if (batch == nullptr || batch->vanished != Vanished::no) return missing(context);
  note_touch(world_, context.call, batch->foreign);
  if (batch->over()) {
    return error_reply(context.call.dialect, {409, world_.settings.cancel_conflict,
                                              "Cannot cancel a batch with status '" + std::string(name_of(batch->state)) + "'."});
  }
  world_.batches.cancel(*batch, now(), context.fate);
  return json_reply(200, describe(*batch, now()));
}

}  // namespace sim
