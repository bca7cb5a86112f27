#include "identity.hpp"

#include <boost/json/array.hpp>

#include <fstream>
#include <iterator>
#include <string_view>

namespace sim {
namespace {

constexpr std::string_view machine_path = "/metadata/identity/oauth2/token";
constexpr std::string_view login_end = "/oauth2/v2.0/token";
constexpr std::string_view default_scope = "/.default";
constexpr std::string_view assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

std::string value_of(const std::map<std::string, std::string>& form, const char* name) {
  const auto found = form.find(name);
  return found == form.end() ? std::string() : found->second;
}

/// The file as it is now: it is rotated while the simulator runs.
std::string first_line_of(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

}  // namespace

std::optional<Operation> Identity::operation_of(const RequestHead& head) {
  if (head.path == machine_path) return Operation::imds;
  const bool login = head.path.ends_with(login_end) && head.path.size() > login_end.size() + 1 &&
                     head.path.find('/', 1) == head.path.size() - login_end.size();
  return login ? std::optional(Operation::token) : std::nullopt;
}

std::string Identity::issue(const std::string& audience) {
  const std::string token = "sim-token-" + ids_.request_id();
  tokens_[token] = {audience, now() + settings_.token_life};
  return token;
}

bool Identity::accepts(const std::string& token, TimePoint time) const {
  const auto found = tokens_.find(token);
  return found != tokens_.end() && found->second.audience == settings_.token_audience && time < found->second.ends;
}

Reply Identity::refused(int status, const char* error, int code, const std::string& description) const {
  return json_reply(status, boost::json::object{{"error", error},
                                                {"error_description", "AADSTS" + std::to_string(code) + ": " + description},
                                                {"error_codes", boost::json::array{code}},
                                                {"timestamp", http_date(now())},
                                                {"trace_id", ids_.request_id()},
                                                {"correlation_id", ids_.request_id()}});
}

std::optional<Reply> Identity::check_proof(const std::map<std::string, std::string>& form) const {
  const bool by_secret = form.contains("client_secret"), by_assertion = form.contains("client_assertion");
  if (by_secret == by_assertion)
    return refused(400, "invalid_request", 7000216, "Exactly one of client_secret and client_assertion is needed.");
  if (by_secret && !settings_.client_secret.empty() && value_of(form, "client_secret") != settings_.client_secret)
    return refused(401, "invalid_client", 7000215, "Invalid client secret provided.");
  if (by_secret) return std::nullopt;
  if (value_of(form, "client_assertion_type") != assertion_type)
    return refused(400, "invalid_request", 900144, "The client_assertion_type is not supported.");
  const auto& file = settings_.assertion_file;
  if (!file.empty() && value_of(form, "client_assertion") != first_line_of(file))
    return refused(400, "invalid_request", 70021, "No matching federated identity record found for presented assertion.");
  return std::nullopt;
}

Reply Identity::log_in(const RequestHead& head, const std::string& body) {
  if (head.method != "POST") return refused(405, "invalid_request", 900561, "The endpoint only accepts POST requests.");
  const auto form = parse_form(body);
  if (!head.content_type.starts_with("application/x-www-form-urlencoded"))
    return refused(400, "invalid_request", 900144, "The body must be a form.");
  if (value_of(form, "client_id").empty()) return refused(400, "invalid_request", 900144, "The body lacks client_id.");
  if (value_of(form, "grant_type") != "client_credentials")
    return refused(400, "unsupported_grant_type", 70003, "The grant type must be client_credentials.");
  if (auto refusal = check_proof(form)) return std::move(*refusal);
  const std::string scope = value_of(form, "scope");
  if (!scope.ends_with(default_scope)) return refused(400, "invalid_scope", 70011, "The scope '" + scope + "' is not valid.");
  const auto life = std::chrono::duration_cast<std::chrono::seconds>(settings_.token_life).count();
  return json_reply(200, boost::json::object{{"token_type", "Bearer"},
                                             {"expires_in", life},
                                             {"ext_expires_in", life},
                                             {"access_token", issue(scope.substr(0, scope.size() - default_scope.size()))}});
}

Reply Identity::machine(const RequestHead& head) {
  const auto bad = [](const char* description) {
    return json_reply(400, boost::json::object{{"error", "invalid_request"}, {"error_description", description}});
  };
  if (head.method != "GET") return bad("Only GET is allowed.");
  if (head.metadata != "true") return bad("Required metadata header not specified.");
  if (head.parameter("api-version").empty()) return bad("The api-version is missing.");
  const std::string resource = head.parameter("resource");
  if (resource.empty()) return bad("The resource is missing.");
  const auto life = std::chrono::duration_cast<std::chrono::seconds>(settings_.token_life).count();
  const auto text = [](std::int64_t number) { return std::to_string(number); };
  return json_reply(200, boost::json::object{{"access_token", issue(resource)},
                                             {"refresh_token", ""},
                                             {"expires_in", text(life)},
                                             {"expires_on", text(unix_seconds(now()) + life)},
                                             {"not_before", text(unix_seconds(now()))},
                                             {"resource", resource},
                                             {"token_type", "Bearer"}});
}

}  // namespace sim
