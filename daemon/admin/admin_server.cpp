#include "admin/admin_server.hpp"

#include <memory>
#include <utility>

namespace batchd {
namespace {

// The page brings everything it needs; whatever else tries to come in stays out.
constexpr const char* page_policy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

ServerResponse answer(int status, std::string body, std::string content_type = "text/plain; charset=utf-8") {
  return {.status = status,
          .body = std::move(body),
          .content_type = std::move(content_type),
          .headers = {{"Cache-Control", "no-store"}, {"X-Content-Type-Options", "nosniff"}}};
}

Task<ServerResponse> at_once(ServerResponse response) {
  co_return response;
}

HttpServerOptions options(Log& log) {
  HttpServerOptions out;
  out.max_body_bytes = 0;  // nothing here reads one
  out.on_error = [&log](const ServerRequest& request, const std::string& what) {
    log.error("admin.failed", {{"path", request.path}, {"error", what}});
  };
  return out;
}

}  // namespace

AdminRoutes::AdminRoutes(const StatusSource& source, const Metrics& metrics) : source_(source), metrics_(metrics) {
  add("/metrics", [this](const ServerRequest&) { return this->metrics(); });
  add("/livez", [](const ServerRequest&) { return answer(200, "ok\n"); });  // the main loop answers: that is all it says
  add("/readyz", [this](const ServerRequest&) { return readyz(); });
  add("/status", [this](const ServerRequest& request) { return status(request); });
  add("/", [this](const ServerRequest&) { return page(); });
}

void AdminRoutes::add(std::string path, std::function<ServerResponse(const ServerRequest&)> respond) {
  router_.add("GET", std::move(path),
              [respond = std::move(respond)](const ServerRequest& request) { return at_once(respond(request)); });
}

ServerResponse AdminRoutes::metrics() const {
  return answer(200, metrics_.expose(), "text/plain; version=0.0.4; charset=utf-8");
}

ServerResponse AdminRoutes::readyz() const {
  const Readiness readiness = judge(source_.health());
  return readiness.ready ? answer(200, "ok\n") : answer(503, readiness.reason + "\n");
}

ServerResponse AdminRoutes::status(const ServerRequest& request) const {
  const StatusSnapshot snapshot = source_.snapshot();
  const Readiness readiness = judge(source_.health());
  if (request.query == "format=html") return answer(200, render_page_body(snapshot, readiness), "text/html; charset=utf-8");
  return answer(200, render_json(snapshot, readiness), "application/json");
}

ServerResponse AdminRoutes::page() const {
  ServerResponse out = answer(200, render_page(source_.snapshot(), judge(source_.health())), "text/html; charset=utf-8");
  out.headers.emplace_back("Content-Security-Policy", page_policy);
  out.headers.emplace_back("Referrer-Policy", "no-referrer");
  return out;
}

AdminServer::AdminServer(asio::any_io_executor loop, const std::string& listen, const StatusSource& source,
                         const Metrics& metrics, Log& log)
    : routes_(source, metrics),
      server_(
          std::move(loop), listen, [this](const ServerRequest& request) { return routes_.handle(request); }, options(log)) {}

}  // namespace batchd
