// A client for a server that says what a test tells it to.
#pragma once

#include "runtime/http_client.hpp"
#include "support/run_task.hpp"
#include "support/scripted_server.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace batchd::testing {

inline constexpr std::string_view ok_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";

/// True as soon as `condition` is; false when it is not within a generous while.
template <class Condition>
bool eventually(Condition condition) {
  for (const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
       std::chrono::steady_clock::now() < deadline;) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

class HttpClientTest : public ::testing::Test {
 protected:
  HttpClient& client_for(const ScriptedServer& server, HttpClientOptions options = {}, const std::string& scheme = "http",
                         const std::string& host = "localhost") {
    const auto endpoint = parse_endpoint(scheme + "://" + host + ":" + std::to_string(server.port()));
    client_.emplace(*endpoint, std::move(options));
    return *client_;
  }
  static HttpRequest request(std::string method, std::string body = "") {
    HttpRequest r;
    r.method = std::move(method);
    r.target = "/t";
    if (!body.empty()) r.body = std::move(body);
    return r;
  }
  HttpResult get(HttpClient& client) { return run_task(io_, client.send(request("GET"))); }
  HttpResult post(HttpClient& client) { return run_task(io_, client.send(request("POST", "{}"))); }
  HttpResult download(HttpClient& client, std::string& into) {
    const DownloadSink sink = [&into](std::string_view bytes) -> Task<void> {
      into += bytes;
      co_return;
    };
    return run_task(io_, client.download(request("GET"), sink));
  }

  asio::io_context io_;
  std::optional<HttpClient> client_;
};

}  // namespace batchd::testing
