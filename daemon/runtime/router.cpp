#include "runtime/router.hpp"

#include <utility>

namespace batchd {
namespace {

bool path_matches(const std::string& pattern, const std::string& path) {
  if (!pattern.ends_with("/*")) return pattern == path;
  return path.starts_with(std::string_view(pattern).substr(0, pattern.size() - 1));
}

bool method_matches(const std::string& wanted, const std::string& method) {
  return wanted == method || (wanted == "GET" && method == "HEAD");
}

}  // namespace

void Router::add(std::string method, std::string path, ServerHandler handler) {
  routes_.push_back({std::move(method), std::move(path), std::move(handler)});
}

Task<ServerResponse> Router::handle(const ServerRequest& request) const {
  std::string allowed;
  for (const Route& route : routes_) {
    if (!path_matches(route.path, request.path)) continue;
    if (method_matches(route.method, request.method)) co_return co_await route.handler(request);
    allowed += (allowed.empty() ? "" : ", ") + route.method;
    if (route.method == "GET") allowed += ", HEAD";
  }
  ServerResponse response;
  if (allowed.empty()) {
    response.status = 404;
    response.body = "not found\n";
  } else {
    response.status = 405;
    response.body = "method not allowed; try " + allowed + "\n";
    response.headers.emplace_back("Allow", allowed);
  }
  co_return response;
}

}  // namespace batchd
