#include "provider/entra.hpp"

#include "provider/dialect.hpp"
#include "provider/printable.hpp"

#include <stdexcept>
#include <utility>

namespace batchd {
namespace {

constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

HttpClientOptions patient(HttpClientOptions options, std::chrono::milliseconds connect) {
  options.connect_timeout = connect;
  options.call_timeout = std::chrono::seconds(10);
  options.idle_timeout = std::chrono::seconds(10);
  options.max_idle_connections = 0;  // an exchange an hour: nothing to keep
  options.max_body_bytes = 256 * 1024;
  return options;
}

std::string form(std::initializer_list<std::pair<std::string_view, std::string_view>> fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    out.append(name).append(1, '=').append(percent_encoded(value));
  }
  return out;
}

TokenFailure passing(std::string message) {
  TokenFailure failure;
  failure.message = std::move(message);
  return failure;
}

TokenResult judge(TokenService service, const HttpResult& answer, const std::string& where, std::string_view secret) {
  const auto now = std::chrono::system_clock::now();
  if (!answer) return passing(printable_message(where + ": " + answer.error().message, secret));
  if (answer->status == 200) {
    if (auto token = parse_token(answer->body, now)) return std::move(*token);
  }
  TokenFailure failure = token_failure(service, answer->status, answer->headers, answer->body, secret, now);
  failure.message = where + ": " + failure.message;
  return failure;
}

}  // namespace

EntraLogin::EntraLogin(LoginSettings settings, HttpClientOptions options)
    : settings_(std::move(settings)),
      host_("login at " + settings_.authority.authority()),
      http_(settings_.authority, patient(std::move(options), std::chrono::seconds(5))) {
  if (!settings_.proof.file.empty()) watch_.emplace(settings_.proof.file);
}

Task<TokenResult> EntraLogin::fetch() {
  Secret proof = settings_.proof.fixed;
  if (!settings_.proof.file.empty()) {
    try {
      proof = read_secret_file(settings_.proof.file);
    } catch (const std::runtime_error& error) {
      TokenFailure failure = passing(std::string("cannot read ") + error.what());  // rotated at this very moment, perhaps
      failure.called = false;
      co_return failure;
    }
  }
  HttpRequest request;
  request.method = "POST";
  request.target = settings_.authority.path + "/" + percent_encoded(settings_.tenant_id) + "/oauth2/v2.0/token";
  request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
  request.headers.emplace_back("Accept", "application/json");
  std::string body = form({{"client_id", settings_.client_id}, {"scope", settings_.scope}, {"grant_type", "client_credentials"}});
  if (settings_.proof.kind == LoginProof::Kind::secret) {
    body += "&" + form({{"client_secret", proof.reveal()}});
  } else {
    body += "&" + form({{"client_assertion_type", assertion_type}, {"client_assertion", proof.reveal()}});
  }
  request.body = std::move(body);
  const HttpResult answer = co_await http_.send(std::move(request));
  co_return judge(TokenService::login, answer, host_, proof.reveal());
}

Endpoint machine_identity_endpoint() {
  return {"http", "169.254.169.254", "80", ""};
}

MachineIdentity::MachineIdentity(MachineIdentitySettings settings, HttpClientOptions options)
    : http_(settings.endpoint, patient(std::move(options), std::chrono::seconds(2))) {
  target_ = settings.endpoint.path + "/metadata/identity/oauth2/token?";
  target_ += form({{"api-version", "2018-02-01"}, {"resource", settings.resource}});
  for (const auto& [name, id] : {std::pair{"client_id", &settings.client_id}, std::pair{"object_id", &settings.object_id},
                                 std::pair{"msi_res_id", &settings.msi_res_id}}) {
    if (!id->empty()) target_ += "&" + form({{name, *id}});
  }
}

Task<TokenResult> MachineIdentity::fetch() {
  HttpRequest request;
  request.target = target_;
  request.headers.emplace_back("Metadata", "true");
  const HttpResult answer = co_await http_.send(std::move(request));
  co_return judge(TokenService::machine, answer, "identity endpoint", "");
}

}  // namespace batchd
