// What operators and their machines look at: /metrics, /livez, /readyz, /status and the page at /. Read only; everything
// shown comes from a StatusSource and the Metrics, never from a query of its own.
#pragma once

#include "admin/status.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "runtime/http_server.hpp"
#include "runtime/router.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <string>

namespace batchd {

/// The answers, apart from the server that sends them. `source` and `metrics` must outlive it.
class AdminRoutes {
 public:
  AdminRoutes(const StatusSource& source, const Metrics& metrics);
  Task<ServerResponse> handle(const ServerRequest& request) const { return router_.handle(request); }

 private:
  ServerResponse metrics() const;
  ServerResponse readyz() const;
  ServerResponse status(const ServerRequest& request) const;
  ServerResponse page() const;
  void add(std::string path, std::function<ServerResponse(const ServerRequest&)> answer);

  const StatusSource& source_;
  const Metrics& metrics_;
  Router router_;
};

class AdminServer {
 public:
  /// Binds at once; throws std::runtime_error with a sentence that names `listen` when it cannot.
  AdminServer(asio::any_io_executor loop, const std::string& listen, const StatusSource& source, const Metrics& metrics,
              Log& log);
  std::uint16_t port() const { return server_.port(); }
  /// Serves until its task is cancelled.
  Task<void> run() { return server_.run(); }

 private:
  AdminRoutes routes_;
  HttpServer server_;
};

}  // namespace batchd
