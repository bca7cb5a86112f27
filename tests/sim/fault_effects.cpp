#include "fault_effects.hpp"

#include "error_style.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <ctime>
#include <fstream>
#include <iterator>

namespace sim {
namespace {

constexpr std::string_view in_prefix = "in ";

/// "in 30s" as the HTTP-date that is so far ahead by the service's clock; everything else verbatim.
std::string retry_after_of(const std::string& text) {
  if (!text.starts_with(in_prefix)) return text;
  return http_date(now() + parse_duration(text.substr(in_prefix.size())));
}

void add_headers(Reply& reply, const Fault& fault) {
  if (!fault.retry_after.empty()) reply.headers.emplace_back("Retry-After", retry_after_of(fault.retry_after));
  if (!fault.retry_after_ms.empty()) reply.headers.emplace_back("retry-after-ms", fault.retry_after_ms);
  for (const auto& [name, text] : fault.headers) reply.headers.emplace_back(name, text);
}

Reply failure(const Fault& fault, const Call& call, int status, const char* azure_code, const char* message,
              const char* openai_code = nullptr) {
  Reply reply = error_reply(
      call.dialect,
      {status, azure_code, message, {}, openai_code == nullptr ? std::nullopt : std::optional<std::string>(openai_code)});
  restyle(reply, fault.style);
  add_headers(reply, fault);
  return reply;
}

Reply broken(bool hang) {
  Reply reply;
  reply.delivery.reset = !hang;
  reply.delivery.hang = hang;
  return reply;
}

/// Whatever the fault's `status` and `body` say, or the bytes of its `body_file`.
Reply response(const Fault& fault, const Call& call) {
  if (!fault.body_file.empty()) {
    std::ifstream file(fault.body_file, std::ios::binary);
    Reply reply;
    reply.status = fault.status;
    reply.body.assign(std::istreambuf_iterator<char>(file), {});
    reply.content_type = "application/octet-stream";
    add_headers(reply, fault);
    return reply;
  }
  if (!fault.body) return failure(fault, call, fault.status, "internalFailure", "This answer was asked for.");
  Reply reply;
  reply.status = fault.status;
  reply.body = fault.body->is_string() ? std::string(fault.body->get_string()) : boost::json::serialize(*fault.body);
  if (fault.body->is_string()) reply.content_type = "text/plain";
  restyle(reply, fault.style);
  add_headers(reply, fault);
  return reply;
}

/// A list that claims to go on: without entries, or with those that it had.
void spoil_page(Reply& reply, bool emptied) {
  boost::system::error_code error;
  auto body = boost::json::parse(reply.body, error);
  if (error || !body.is_object()) return;
  auto& list = body.get_object();
  list["has_more"] = true;
  if (emptied) {
    list["data"] = boost::json::array();
    list["first_id"] = list["last_id"] = nullptr;
  }
  reply.body = boost::json::serialize(body);
}

void spoil_delivery(Delivery& delivery, const Fault& fault) {
  const auto& name = fault.name;
  if (name == "reset_after") delivery.reset = true;
  if (name == "hang_after") delivery.hang = true;
  if (name == "truncate") delivery.cut = true;
  if (name == "shorten") delivery.shorten = true;
  if (name == "stall") delivery.stall = true;
  delivery.at = fault.at;
  if (name == "slow") delivery.before = delivery.between = fault.delay.count() == 0 ? Milliseconds(50) : fault.delay;
}

}  // namespace

std::optional<Reply> reply_instead(const Fault& fault, const Call& call) {
  const auto& name = fault.name;
  if (name == "reset_before") return broken(false);
  if (name == "hang") return broken(true);
  if (name == "half_open") {
    Reply reply;
    reply.delivery.half_open = true;
    return reply;
  }
  if (name == "respond") return response(fault, call);
  if (name == "500_before")
    return failure(fault, call, 500, "internalFailure", "The server had an error processing your request.");
  if (name == "503")
    return failure(fault, call, 503, "serviceUnavailable", "The service is temporarily unable to process your request.");
  if (name == "429")
    return failure(fault, call, 429, "tooManyRequests", "Rate limit reached. Please retry later.", "rate_limit_exceeded");
  if (name == "401") return failure(fault, call, 401, "unauthorized", "Access denied due to an invalid key.", "invalid_api_key");
  if (name == "403") return failure(fault, call, 403, "forbidden", "Access denied due to Virtual Network/Firewall rules.");
  if (name == "404") return failure(fault, call, 404, "notFound", "The resource was not found.");
  if (name == "502_html") return html_page(502);
  return std::nullopt;
}

void spoil(Reply& reply, const Fault& fault, const Call& call) {
  const auto& name = fault.name;
  spoil_delivery(reply.delivery, fault);
  if (name == "empty" || name == "garbage") {
    reply.body = name == "empty" ? "" : "{\"object\": \"something\", \"id\":";
    reply.source = nullptr;
  }
  if (name == "empty_page" || name == "repeat_page") spoil_page(reply, name == "empty_page");
  if (name == "respond_after") reply = response(fault, call);
  if (name == "headers") add_headers(reply, fault);
  if (name == "500_after")
    reply = failure(fault, call, 500, "internalFailure", "The server had an error processing your request.");
  if (name == "408_after") reply = failure(fault, call, 408, "timeout", "The operation was timeout.");
  if (name == "502_html_after") reply = html_page(502);
}

}  // namespace sim
