#include "dialect.hpp"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace sim {
namespace {

using namespace std::string_view_literals;

constexpr std::array<std::pair<std::string_view, Operation>, 11> operations = {{
    {"upload", Operation::upload},
    {"files", Operation::list_files},
    {"file", Operation::get_file},
    {"download", Operation::download},
    {"delete", Operation::delete_file},
    {"create_batch", Operation::create_batch},
    {"list", Operation::list_batches},
    {"retrieve", Operation::get_batch},
    {"cancel", Operation::cancel_batch},
    {"token", Operation::token},
    {"imds", Operation::imds},
}};

constexpr std::array dated_versions = {
    "2024-07-01-preview"sv, "2024-08-01-preview"sv, "2024-09-01-preview"sv, "2024-10-01-preview"sv, "2024-10-21"sv,
    "2024-12-01-preview"sv, "2025-01-01-preview"sv, "2025-02-01-preview"sv, "2025-03-01-preview"sv, "2025-04-01-preview"sv};

std::vector<std::string_view> segments_of(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    out.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(out.back().size());
  }
  return out;
}

void match_files(const std::vector<std::string_view>& parts, std::string_view method, Call& call) {
  const bool get = method == "GET", collection = parts.size() == 1, item = parts.size() == 2;
  const bool content = parts.size() == 3 && parts[2] == "content";
  if (parts.size() > 1) call.id = parts[1];
  if (collection) call.operation = get ? Operation::list_files : Operation::upload;
  if (item) call.operation = get ? Operation::get_file : Operation::delete_file;
  if (content) call.operation = Operation::download;
  call.wrong_method = !get && method != (collection ? "POST" : item ? "DELETE" : "GET");
}

void match_batches(const std::vector<std::string_view>& parts, std::string_view method, Call& call) {
  const bool get = method == "GET", collection = parts.size() == 1, item = parts.size() == 2;
  const bool cancel = parts.size() == 3 && parts[2] == "cancel";
  if (parts.size() > 1) call.id = parts[1];
  if (collection) call.operation = get ? Operation::list_batches : Operation::create_batch;
  if (item) call.operation = Operation::get_batch;
  if (cancel) call.operation = Operation::cancel_batch;
  call.wrong_method = cancel ? method != "POST" : !get && !(collection && method == "POST");
}

boost::json::value or_null(const std::optional<std::string>& text) {
  return text ? boost::json::value(*text) : boost::json::value(nullptr);
}

}  // namespace

std::string_view name_of(Operation operation) {
  for (const auto& [name, candidate] : operations) {
    if (candidate == operation) return name;
  }
  return "other";
}

std::optional<Operation> operation_named(std::string_view name) {
  for (const auto& [candidate, operation] : operations) {
    if (candidate == name) return operation;
  }
  return std::nullopt;
}

std::optional<Call> route(const RequestHead& head, std::string_view base_path) {
  Call call;
  std::string_view path = head.path;
  const bool below = !base_path.empty() && path.starts_with(base_path);
  if (below) path.remove_prefix(base_path.size());
  if (path.starts_with("/openai/v1/")) {
    call.dialect = Dialect::azure_v1;
    path.remove_prefix("/openai/v1"sv.size());
  } else if (path.starts_with("/openai/")) {
    call.dialect = Dialect::azure;
    path.remove_prefix("/openai"sv.size());
  } else if (path.starts_with("/v1/")) {
    path.remove_prefix("/v1"sv.size());
  } else {
    return std::nullopt;
  }
  const auto parts = segments_of(path);
  if (parts.size() > 3 || std::find(parts.begin(), parts.end(), ""sv) != parts.end()) return call;
  if (parts[0] == "files") match_files(parts, head.method, call);
  if (parts[0] == "batches") match_batches(parts, head.method, call);
  const auto version = head.query.find("api-version");
  if (call.azure() && version != head.query.end()) call.api_version = version->second;
  return call;
}

bool version_known(const Call& call) {
  if (call.dialect == Dialect::openai) return true;
  if (call.dialect == Dialect::azure_v1)
    return call.api_version.empty() || call.api_version == "v1" || call.api_version == "preview";
  return std::find(dated_versions.begin(), dated_versions.end(), call.api_version) != dated_versions.end();
}

std::optional<std::string> key_of(const Call& call, const RequestHead& head) {
  if (call.azure() && !head.api_key.empty()) return head.api_key;
  constexpr auto bearer = "Bearer "sv;
  if (head.authorization.size() > bearer.size() && head.authorization.starts_with(bearer))
    return head.authorization.substr(bearer.size());
  return std::nullopt;
}

Reply json_reply(int status, const boost::json::value& body) {
  Reply reply;
  reply.status = status;
  reply.body = boost::json::serialize(body);
  return reply;
}

Reply error_reply(Dialect dialect, const ApiError& error) {
  boost::json::object inner;
  if (dialect == Dialect::openai) {
    inner["message"] = error.message;
    inner["type"] = error.status >= 500 ? "server_error" : error.status == 429 ? "rate_limit_error" : "invalid_request_error";
    inner["param"] = or_null(error.param);
    inner["code"] = or_null(error.openai_code);
  } else {
    inner["code"] = error.azure_code;
    inner["message"] = error.message;
    if (dialect == Dialect::azure_v1) {
      inner["param"] = or_null(error.param);
      inner["type"] = "error";
    }
  }
  if (error.inner_code)
    inner[dialect == Dialect::azure_v1 ? "inner_error" : "innererror"] = boost::json::object{{"code", *error.inner_code}};
  return json_reply(error.status, boost::json::object{{"error", std::move(inner)}});
}

ApiError resource_not_found() {
  return {404, "404", "Resource not found"};
}

int upload_status(const Call& call) {
  return call.dialect == Dialect::azure ? 201 : 200;
}

int create_status(const Call& call) {
  return call.dialect == Dialect::azure_v1 || call.dated_preview() ? 201 : 200;
}

std::uint32_t most_requests(Dialect dialect) {
  return dialect == Dialect::openai ? 50'000 : 100'000;
}

std::string bare_endpoint(const std::string& endpoint) {
  return endpoint.starts_with("/v1/") ? endpoint.substr(3) : endpoint;
}

std::optional<std::string> endpoint_fault(Dialect dialect, const std::string& endpoint, bool embeddings_on_azure) {
  constexpr std::array azure_v1 = {"/chat/completions"sv, "/v1/chat/completions"sv, "/v1/responses"sv, "/responses"sv};
  constexpr std::array openai = {"/v1/chat/completions"sv, "/v1/responses"sv,          "/v1/embeddings"sv,   "/v1/completions"sv,
                                 "/v1/moderations"sv,      "/v1/images/generations"sv, "/v1/images/edits"sv, "/v1/videos"sv};
  const auto has = [&](const auto& list) { return std::find(list.begin(), list.end(), endpoint) != list.end(); };
  const bool known = dialect == Dialect::azure    ? endpoint == "/chat/completions"
                     : dialect == Dialect::openai ? has(openai)
                                                  : has(azure_v1);
  if (known || (embeddings_on_azure && bare_endpoint(endpoint) == "/embeddings")) return std::nullopt;
  return "The endpoint '" + endpoint + "' is not supported for batches here.";
}

std::string line_url(Dialect dialect, const std::string& endpoint) {
  return dialect == Dialect::azure ? bare_endpoint(endpoint) : "/v1" + bare_endpoint(endpoint);
}

}  // namespace sim
