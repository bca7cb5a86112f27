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

}  // namespace

HttpProvider::HttpProvider(ProviderSettings settings, Metrics& metrics, Log& log)
    : settings_(std::move(settings)),
      account_(account_of(settings_)),
      limits_{account_.dialect.max_requests_per_file, account_.dialect.max_file_bytes, account_.dialect.file_must_be_processed,
              account_.dialect.model_is_deployment, account_.dialect.max_files},
      http_(endpoint_of(settings_), settings_.http),
      metrics_(metrics),
      log_(log) {
  if (!settings_.credential) throw std::runtime_error("provider '" + settings_.name + "': no credential");
}

Task<ProviderResult<HttpResponse>> HttpProvider::call(Operation operation, HttpRequest request, const ByteSink* sink) {
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
    co_return error;
  }
  if (status / 100 == 2) co_return std::move(*result);
  ProviderError error = classify(operation, status, result->headers, result->body, std::chrono::system_clock::now());
  error.code = printable_message(error.code, key);
  error.message = printable_message(error.message, key);
  co_return error;
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

Task<ProviderResult<BatchPage>> HttpProvider::list_batches(const std::optional<std::string>& after) {
  co_return read(Operation::list_batches, co_await call(Operation::list_batches, get(batch_list_target(account_, after))),
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
