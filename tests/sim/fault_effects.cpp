#include "fault_effects.hpp"

namespace sim {
namespace {

Reply failure(const Fault& fault, const Call& call, int status, const char* azure_code, const char* message,
              const char* openai_code = nullptr) {
  Reply reply = error_reply(
      call.dialect,
      {status, azure_code, message, {}, openai_code == nullptr ? std::nullopt : std::optional<std::string>(openai_code)});
  if (!fault.retry_after.empty()) reply.headers.emplace_back("Retry-After", fault.retry_after);
  if (!fault.retry_after_ms.empty()) reply.headers.emplace_back("retry-after-ms", fault.retry_after_ms);
  return reply;
}

Reply html(int status) {
  Reply reply;
  reply.status = status;
  reply.content_type = "text/html";
  reply.body =
      "<html><head><title>Bad Gateway</title></head><body><center><h1>The upstream did not answer</h1></center></body></html>\n";
  return reply;
}

Reply broken(bool hang) {
  Reply reply;
  reply.delivery.reset = !hang;
  reply.delivery.hang = hang;
  return reply;
}

}  // namespace

std::optional<Reply> reply_instead(const Fault& fault, const Call& call) {
  const auto& name = fault.name;
  if (name == "reset_before") return broken(false);
  if (name == "hang") return broken(true);
  if (name == "500_before")
    return failure(fault, call, 500, "internalFailure", "The server had an error processing your request.");
  if (name == "503")
    return failure(fault, call, 503, "serviceUnavailable", "The service is temporarily unable to process your request.");
  if (name == "429")
    return failure(fault, call, 429, "tooManyRequests", "Rate limit reached. Please retry later.", "rate_limit_exceeded");
  if (name == "401") return failure(fault, call, 401, "unauthorized", "Access denied due to an invalid key.", "invalid_api_key");
  if (name == "403") return failure(fault, call, 403, "forbidden", "Access denied due to Virtual Network/Firewall rules.");
  if (name == "404") return failure(fault, call, 404, "notFound", "The resource was not found.");
  if (name == "502_html") return html(502);
  return std::nullopt;
}

void spoil(Reply& reply, const Fault& fault, const Call& call) {
  const auto& name = fault.name;
  if (name == "reset_after") reply.delivery.reset = true;
  if (name == "hang_after") reply.delivery.hang = true;
  if (name == "truncate") reply.delivery.cut = true;
  if (name == "shorten") reply.delivery.shorten = true;
  if (name == "slow") {
    const auto delay = fault.delay.count() == 0 ? Milliseconds(50) : fault.delay;
    reply.delivery.before = reply.delivery.between = delay;
  }
  if (name == "empty" || name == "garbage") {
    reply.body = name == "empty" ? "" : "{\"object\": \"something\", \"id\":";
    reply.source = nullptr;
  }
  if (name == "500_after")
    reply = failure(fault, call, 500, "internalFailure", "The server had an error processing your request.");
  if (name == "408_after") reply = failure(fault, call, 408, "timeout", "The operation was timeout.");
  if (name == "502_html_after") reply = html(502);
}

}  // namespace sim
