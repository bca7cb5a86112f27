#include "error_style.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace sim {
namespace {

using boost::json::object;

/// The code that matters stands inside; outside is one that says little.
void bury(object& error, const char* member) {
  const boost::json::value code = error.contains("code") ? error["code"] : boost::json::value(nullptr);
  error["code"] = "invalidPayload";
  error["target"] = "request";
  error["details"] = boost::json::array();
  error[member] = object{{"code", "wrapped"}, {"innererror", object{{"code", code}}}};
}

void restyle(object& whole, object& error, int status, std::string_view style) {
  if (style == "innererror") bury(error, "innererror");
  if (style == "inner_error") bury(error, "inner_error");
  if (style == "numeric") error["code"] = std::to_string(status);
  if (style == "detail") whole["detail"] = error["message"];
  if (style == "message") error = object{{"message", error["message"]}};
  if (style == "text") {
    const boost::json::value message = error["message"];
    whole["error"] = message;  // `error` is gone from here on
  }
}

}  // namespace

const std::vector<std::string>& error_styles() {
  static const std::vector<std::string> styles = {"plain",   "innererror", "inner_error", "numeric", "detail",
                                                  "message", "text",       "html",        "empty"};
  return styles;
}

Reply html_page(int status) {
  Reply reply;
  reply.status = status;
  reply.content_type = "text/html";
  reply.body =
      "<html><head><title>Bad Gateway</title></head><body><center><h1>The upstream did not answer</h1></center></body></html>\n";
  return reply;
}

void restyle(Reply& reply, std::string_view style) {
  if (reply.status < 400 || style.empty() || style == "plain") return;
  if (style == "html" || style == "empty") {
    const auto page = html_page(reply.status);
    reply.content_type = style == "html" ? page.content_type : "text/plain";
    reply.body = style == "html" ? page.body : "";
    return;
  }
  boost::system::error_code unparsable;
  auto body = boost::json::parse(reply.body, unparsable);
  auto* const whole = unparsable ? nullptr : body.if_object();
  auto* const error = whole == nullptr ? nullptr : whole->if_contains("error");
  if (error == nullptr || !error->is_object()) return;
  restyle(*whole, error->get_object(), reply.status, style);
  reply.body = boost::json::serialize(body);
}

}  // namespace sim
