#include "runtime/http_client.hpp"

#include "runtime/http_exchange.hpp"

#include <algorithm>
#include <list>
#include <stdexcept>

namespace batchd {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

// Servers close kept connections after a minute or so. A POST that meets a closing one leaves its fate unknown, so it
// takes younger ones only; the others can be repeated.
constexpr seconds max_idle_for_post{15};
constexpr seconds max_idle{50};

bool repeatable(const std::string& method) {
  return method == "GET" || method == "DELETE";
}

bool breaks_line(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos;
}

/// Returns "" or what is wrong with it; never shows a value, which may be a credential.
std::string check_request(const HttpRequest& request) {
  if (request.target.empty() || request.target.front() != '/' || breaks_line(request.target) ||
      request.target.find(' ') != std::string::npos) {
    return "the request's target is not a path";
  }
  for (const auto& [name, value] : request.headers) {
    if (breaks_line(name) || breaks_line(value)) return "the value of header '" + name + "' holds a line break";
  }
  return "";
}

}  // namespace

void throw_exception_from_error(const HttpError& error, const boost::source_location& where) {
  throw boost::system::system_error(boost::asio::error::broken_pipe, error.message + " (" + where.to_string() + ")");
}

struct HttpClient::Impl {
  Impl(Endpoint endpoint, HttpClientOptions settings)
      : origin(std::move(endpoint)), options(std::move(settings)), tls(make_tls_context(options.tls)) {
    // A client certificate is for the origin, not for whoever stands on the way.
    if (options.proxy && options.proxy->scheme == "https") proxy_tls.emplace(make_tls_context({options.tls.ca_file, "", ""}));
  }

  Task<HttpResult> exchange(const HttpRequest& request, const DownloadSink* sink);
  Task<ConnectResult> connect();
  std::string header_for(const HttpRequest& request, const OutgoingBody& body) const;
  std::unique_ptr<HttpTransport> take_idle(bool for_post);
  void keep(std::unique_ptr<HttpTransport> transport);

  struct Idle {
    std::unique_ptr<HttpTransport> transport;
    steady_clock::time_point since;
  };
  Endpoint origin;
  HttpClientOptions options;
  asio::ssl::context tls;
  std::optional<asio::ssl::context> proxy_tls;
  std::list<Idle> idle;  // the youngest last
};

std::string HttpClient::Impl::header_for(const HttpRequest& request, const OutgoingBody& body) const {
  std::string out = request.method;
  out += ' ';
  out += request.target;
  out += " HTTP/1.1\r\n";
  const auto add = [&out](std::string_view name, std::string_view value) {
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  };
  add("Host", origin.authority());
  add("User-Agent", options.user_agent);
  for (const auto& [name, value] : request.headers) add(name, value);
  if (!body.content_type().empty()) add("Content-Type", body.content_type());
  if (!repeatable(request.method) || body.size() > 0) add("Content-Length", std::to_string(body.size()));
  out += "\r\n";
  return out;
}

std::unique_ptr<HttpTransport> HttpClient::Impl::take_idle(bool for_post) {
  const auto now = steady_clock::now();
  idle.remove_if([&](const Idle& entry) { return now - entry.since > max_idle || !entry.transport->quiet(); });
  if (idle.empty() || (for_post && now - idle.back().since > max_idle_for_post)) return nullptr;
  auto transport = std::move(idle.back().transport);
  idle.pop_back();
  return transport;
}

void HttpClient::Impl::keep(std::unique_ptr<HttpTransport> transport) {
  if (options.max_idle_connections == 0) return;
  if (idle.size() >= options.max_idle_connections) idle.pop_front();
  idle.push_back({std::move(transport), steady_clock::now()});
}

Task<ConnectResult> HttpClient::Impl::connect() {
  if (!options.proxy) co_return co_await connect_transport(origin, tls, nullptr, options.connect_timeout);
  ProxyRoute route{*options.proxy, options.proxy->credentials, proxy_tls ? &*proxy_tls : nullptr};
  try {
    if (options.proxy_credentials) route.credentials = options.proxy_credentials();
  } catch (const std::runtime_error& error) {
    co_return ConnectResult{nullptr, "no credentials for proxy " + route.proxy.shown() + ": " + error.what()};
  }
  co_return co_await connect_transport(origin, tls, &route, options.connect_timeout);
}

Task<HttpResult> HttpClient::Impl::exchange(const HttpRequest& request, const DownloadSink* sink) {
  const auto deadline = steady_clock::now() + request.timeout.value_or(options.call_timeout);
  std::string problem = check_request(request);
  OutgoingBody body;
  if (problem.empty()) problem = body.open(request);
  if (!problem.empty()) co_return HttpError{HttpError::Phase::not_sent, std::move(problem), false};
  const ExchangeLimits limits{options.idle_timeout, deadline, options.max_body_bytes};
  for (bool first = true;; first = false) {
    auto transport = first ? take_idle(!repeatable(request.method)) : nullptr;
    const bool reused = transport != nullptr;
    if (!reused) {
      ConnectResult connected = co_await connect();
      if (!connected.transport) co_return HttpError{HttpError::Phase::not_sent, std::move(connected.error)};
      transport = std::move(connected.transport);
    }
    HttpExchange exchange(*transport, limits, sink);
    ExchangeResult result = co_await exchange.run(header_for(request, body), body);
    if (result.response) {
      if (result.reusable) keep(std::move(transport));
      co_return std::move(*result.response);
    }
    const bool was_stale = reused && !result.answered && !result.timed_out;
    if (!was_stale || !repeatable(request.method)) co_return HttpError{HttpError::Phase::unknown, std::move(result.error)};
  }
}

HttpClient::HttpClient(Endpoint origin, HttpClientOptions options)
    : impl_(std::make_unique<Impl>(std::move(origin), std::move(options))) {}

HttpClient::~HttpClient() = default;

Task<HttpResult> HttpClient::send(HttpRequest request) {
  co_return co_await impl_->exchange(request, nullptr);
}

Task<HttpResult> HttpClient::download(HttpRequest request, DownloadSink sink) {
  co_return co_await impl_->exchange(request, &sink);
}

}  // namespace batchd
