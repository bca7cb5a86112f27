#include "provider/openai_api.hpp"

#include "provider/printable.hpp"
#include "provider/wire.hpp"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include <charconv>
#include <stdexcept>
#include <utility>

namespace batchd {
namespace {

// Files move at the pace of the network; the idle time-out is what notices a dead one.
constexpr std::chrono::hours transfer_timeout{2};

Endpoint endpoint_of(const ProviderSettings& settings) {
  auto endpoint = parse_endpoint(settings.endpoint);
  if (!endpoint) throw std::runtime_error("provider '" + settings.name + "': endpoint " + endpoint.error().message);
  return *endpoint;
}

Account account_of(const ProviderSettings& settings) {
  auto dialect = find_dialect(settings.kind, settings.api_version);
  if (!dialect) throw std::runtime_error("provider '" + settings.name + "': " + dialect.error().message);
  auto base_path = resolve_base_path(*dialect, endpoint_of(settings));
  if (!base_path) throw std::runtime_error("provider '" + settings.name + "': " + base_path.error().message);
  std::string api_version = dialect->api_version_required ? settings.api_version : std::string();
  return {*dialect, *base_path, std::move(api_version), settings.organization, settings.project};
}

/// As the dialect allows; 0 where it has none.
std::chrono::seconds expiry_of(const ProviderSettings& settings, const Dialect& dialect) {
  const auto& fields = dialect.file_expiry;
  if (!fields) {
    if (settings.file_expiry.value_or(std::chrono::seconds{0}).count() == 0) return std::chrono::seconds{0};
    throw std::runtime_error("provider '" + settings.name + "': there is no file_expiry with api_version " +
                             settings.api_version + "; expected 2025-03-01-preview or a newer one, or 0s");
  }
  const auto asked = settings.file_expiry.value_or(std::chrono::seconds{fields->usual});
  if (asked.count() == 0) return asked;
  if (asked.count() < fields->least || asked.count() > fields->most) {
    const auto hours = [](std::int64_t seconds) { return std::to_string(seconds / 3600) + "h"; };
    throw std::runtime_error("provider '" + settings.name + "': file_expiry must be " + hours(fields->least) + " to " +
                             hours(fields->most) + " with kind " + settings.kind + ", or 0s");
  }
  return asked;
}

ProviderLimits limits_of(const ProviderSettings& settings, const Dialect& dialect, bool expires) {
  ProviderLimits limits;
  limits.max_requests = dialect.max_requests_per_file;
  limits.max_bytes = dialect.max_file_bytes;
  limits.max_embedding_inputs = dialect.max_embedding_inputs;
  limits.wait_for_processed = dialect.file_must_be_processed;
  limits.model_is_deployment = dialect.model_is_deployment;
  limits.max_files = expires ? dialect.max_files_with_expiry : dialect.max_files;
  if (settings.max_files > 0) limits.max_files = settings.max_files;
  limits.endpoints.assign(dialect.endpoints.begin(), dialect.endpoints.end());
  return limits;
}

HttpRequest get(std::string target) {
  HttpRequest request;
  request.target = std::move(target);
  return request;
}

HttpRequest post(std::string target) {
  HttpRequest request;
  request.method = "POST";
  request.target = std::move(target);
  return request;
}

std::optional<Tokens> token_header(const HttpHeaders& headers, std::string_view name) {
  const auto text = find_header(headers, name);
  if (!text) return std::nullopt;
  Tokens value = 0;
  const auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (ec != std::errc{} || end != text->data() + text->size() || value < 0) return std::nullopt;
  return value;
}

std::string_view request_id(const HttpHeaders& headers) {
  for (const std::string_view name : {"x-request-id", "apim-request-id", "x-ms-request-id"}) {
    if (const auto value = find_header(headers, name)) return *value;
  }
  return "";
}

/// The first call that a shard in this state waits for.
Operation operation_for(ShardState state) {
  switch (state) {
    case ShardState::planned:
      return Operation::upload;
    case ShardState::uploaded:
      return Operation::create_batch;
    case ShardState::finished:
      return Operation::download;
    case ShardState::merged:
      return Operation::delete_file;
    case ShardState::submitted:
    case ShardState::closed:
      break;
  }
  return Operation::list_batches;
}

}  // namespace

HttpProvider::HttpProvider(ProviderSettings settings, Metrics& metrics, Log& log)
    : settings_(std::move(settings)),
      account_(account_of(settings_)),
      file_expiry_(expiry_of(settings_, account_.dialect)),
      limits_(limits_of(settings_, account_.dialect, file_expiry_.count() > 0)),
      http_(endpoint_of(settings_), settings_.http),
      metrics_(metrics),
      log_(log) {
  if (!settings_.credential) throw std::runtime_error("provider '" + settings_.name + "': no credential");
}

Milliseconds HttpProvider::withheld_for(ShardState state) const {
  return settings_.guard ? settings_.guard->withheld_for(operation_for(state)) : Milliseconds{0};
}

Task<ProviderResult<HttpResponse>> HttpProvider::call(Operation operation, HttpRequest request, const ByteSink* sink) {
  if (settings_.guard) {
    const auto turn = co_await settings_.guard->turn(operation);
    if (turn.has_error()) co_return turn.error();
    // Never a call with an effect, nor a long one, to find out whether there is anybody.
    if (*turn == CallGuard::Turn::probe && operation != Operation::list_batches) {
      HttpRequest probe = get(batch_list_target(account_, std::nullopt));
      co_await authorized_call(Operation::list_batches, std::move(probe), nullptr);
      if (settings_.guard->withheld_for(operation) > Milliseconds{0}) co_return settings_.guard->refusal(operation);
    }
  }
  co_return co_await authorized_call(operation, std::move(request), sink);
}

Task<ProviderResult<HttpResponse>> HttpProvider::authorized_call(Operation operation, HttpRequest request, const ByteSink* sink) {
  const auto shown = co_await settings_.credential->authorization();
  if (!shown) co_return shown.error();
  auto answer = co_await call_as(*shown, operation, request, sink);
  if (answer || answer.error().status != 401) co_return answer;
  // A refused caller has had no effect, whatever the call: the token ran out on the way, or the key has just been rotated.
  const auto other = co_await settings_.credential->replacement(*shown);
  if (!other) co_return other.error();
  if (!other->has_value()) co_return answer;
  answer = co_await call_as(**other, operation, request, sink);
  co_return answer;
}

Task<ProviderResult<HttpResponse>> HttpProvider::call_as(const Authorization& shown, Operation operation,
                                                         const HttpRequest& request, const ByteSink* sink) {
  if (settings_.may_call && !settings_.may_call()) {
    co_return ProviderError{ErrorKind::not_sent, 0, "lease_expired", "not sent: the lease had run out", {}};
  }
  const std::string& key = shown.secret;
  HttpRequest sent = request;
  for (auto& header : auth_headers(account_, shown)) sent.headers.push_back(std::move(header));
  if (!sink) sent.headers.emplace_back("Accept", "application/json");  // Azure's v1 document requires it
  const auto started = std::chrono::steady_clock::now();
  HttpResult result;
  if (sink) {
    result = co_await http_.download(std::move(sent), *sink);
  } else {
    result = co_await http_.send(std::move(sent));
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  const int status = result ? result->status : 0;
  metrics_.provider_call(settings_.name, to_string(operation), status, took);
  log_.debug("provider_call", {{"provider", settings_.name},
                               {"operation", to_string(operation)},
                               {"status", status},
                               {"seconds", took.count()},
                               {"provider_request_id", result ? request_id(result->headers) : std::string_view()}});
  if (!result) {
    const bool not_sent = result.error().phase == HttpError::Phase::not_sent;
    ProviderError error;
    error.kind = not_sent ? ErrorKind::not_sent : ErrorKind::unknown;
    error.message = printable_message(result.error().message, key);
    if (result.error().tried) report(operation, {.answered = false, .reason = error.message});
    co_return error;
  }
  if (status / 100 == 2) {
    report(operation, {});
    co_return std::move(*result);
  }
  ProviderError error = classify(operation, status, result->headers, result->body, std::chrono::system_clock::now());
  error.code = printable_message(error.code, key);
  error.message = printable_message(error.message, key);
  report(operation, {.answered = status < 500 && status != 408,
                     .throttled = status == 429 && error.kind == ErrorKind::throttled,
                     .leave_it_alone = should_retry(result->headers) == false,
                     .retry_after = error.retry_after,
                     .reason = error.message});
  co_return error;
}

void HttpProvider::report(Operation operation, const CallEnd& end) {
  if (settings_.guard) settings_.guard->ended(operation, end);
}

ProviderError HttpProvider::unusable(Operation operation, const HttpResponse& response) const {
  return classify(operation, response.status, response.headers, response.body, std::chrono::system_clock::now());
}

template <class T>
ProviderResult<T> HttpProvider::read(Operation operation, ProviderResult<HttpResponse> answer,
                                     std::optional<T> (*parse)(std::string_view)) {
  if (!answer) return answer.error();
  auto value = parse(answer->body);
  if (!value) return unusable(operation, *answer);
  return std::move(*value);
}

Task<ProviderResult<RemoteFile>> HttpProvider::upload(const std::filesystem::path& path, const std::string& filename) {
  HttpRequest request = post(files_target(account_));
  FileUpload body;
  body.fields.emplace_back("purpose", "batch");
  if (file_expiry_.count() > 0) {
    body.fields.emplace_back(account_.dialect.file_expiry->anchor, "created_at");
    body.fields.emplace_back(account_.dialect.file_expiry->seconds, std::to_string(file_expiry_.count()));
  }
  body.path = path;
  body.filename = filename;
  body.content_type = account_.dialect.upload_content_type;
  request.body = std::move(body);
  request.timeout = transfer_timeout;
  co_return read(Operation::upload, co_await call(Operation::upload, std::move(request)), parse_file);
}

Task<ProviderResult<CreatedBatch>> HttpProvider::create_batch(const NewBatch& batch) {
  boost::json::object metadata;
  for (const auto& [key, value] : batch.metadata) metadata[key] = value;
  boost::json::object body;
  body["input_file_id"] = batch.input_file_id.value;
  body["endpoint"] = batch_endpoint(account_.dialect, batch.endpoint);
  body["completion_window"] = "24h";
  body["metadata"] = std::move(metadata);
  if (file_expiry_.count() > 0)
    body["output_expires_after"] = boost::json::object{{"anchor", "created_at"}, {"seconds", file_expiry_.count()}};
  HttpRequest request = post(batches_target(account_));
  request.headers.emplace_back("Content-Type", "application/json");
  request.body = boost::json::serialize(body);
  auto answer = co_await call(Operation::create_batch, std::move(request));
  if (!answer) co_return answer.error();
  auto created = parse_batch(answer->body);
  if (!created) co_return unusable(Operation::create_batch, *answer);
  QuotaHint hint;
  hint.enqueued = token_header(answer->headers, "deployment-enqueued-tokens");
  hint.maximum = token_header(answer->headers, "deployment-maximum-enqueued-tokens");
  co_return CreatedBatch{std::move(*created), hint};
}

Task<ProviderResult<Batch>> HttpProvider::retrieve_batch(const BatchId& id) {
  co_return read(Operation::retrieve_batch, co_await call(Operation::retrieve_batch, get(batch_target(account_, id))),
                 parse_batch);
}

Task<ProviderResult<BatchPage>> HttpProvider::list_batches(const std::optional<std::string>& after, const BatchFilter& only) {
  co_return read(Operation::list_batches, co_await call(Operation::list_batches, get(batch_list_target(account_, after, only))),
                 parse_batch_page);
}

Task<ProviderResult<Batch>> HttpProvider::cancel_batch(const BatchId& id) {
  co_return read(Operation::cancel_batch, co_await call(Operation::cancel_batch, post(batch_cancel_target(account_, id))),
                 parse_batch);
}

Task<ProviderResult<RemoteFile>> HttpProvider::retrieve_file(const FileId& id) {
  co_return read(Operation::retrieve_file, co_await call(Operation::retrieve_file, get(file_target(account_, id))), parse_file);
}

Task<ProviderResult<Bytes>> HttpProvider::download(const FileId& id, const ByteSink& sink) {
  HttpRequest request = get(file_content_target(account_, id));
  request.timeout = transfer_timeout;
  auto answer = co_await call(Operation::download, std::move(request), &sink);
  if (!answer) co_return answer.error();
  co_return static_cast<Bytes>(answer->body_bytes);
}

Task<ProviderResult<void>> HttpProvider::delete_file(const FileId& id) {
  HttpRequest request = get(file_target(account_, id));
  request.method = "DELETE";
  auto answer = co_await call(Operation::delete_file, std::move(request));
  if (!answer && answer.error().kind != ErrorKind::not_found) co_return answer.error();
  // The fence of an unknown submission rests on this answer, so a polite refusal must not pass for success.
  if (answer && says_not_deleted(answer->body)) co_return unusable(Operation::delete_file, *answer);
  co_return ProviderResult<void>();
}

Task<ProviderResult<FilePage>> HttpProvider::list_files(const std::optional<std::string>& after) {
  auto page =
      read(Operation::list_files, co_await call(Operation::list_files, get(file_list_target(account_, after))), parse_file_page);
  if (page && !account_.dialect.file_list_pages) page->next.reset();  // the one answer held everything
  co_return page;
}

}  // namespace batchd
