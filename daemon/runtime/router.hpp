// Finds the handler of a request by method and path, and answers 404 and 405 itself. Pure look-up, no I/O of its own.
#pragma once

#include "runtime/http_server.hpp"

#include <string>
#include <vector>

namespace batchd {

class Router {
 public:
  /// `path` is compared whole; one that ends in `/*` takes everything below it. The first match wins.
  /// A GET route also answers HEAD.
  void add(std::string method, std::string path, ServerHandler handler);

  /// A ServerHandler: `[&router](const ServerRequest& r) { return router.handle(r); }`. The router must outlive the task.
  Task<ServerResponse> handle(const ServerRequest& request) const;

 private:
  struct Route {
    std::string method;
    std::string path;
    ServerHandler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace batchd
