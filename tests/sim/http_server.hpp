// HTTP/1.1 over TCP or TLS, one coroutine a connection, all on the loop's one thread. It owns the sockets and knows
// nothing of providers.
#pragma once

#include "http_message.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace boost::asio::ssl {
class context;
}

namespace sim {

class HttpServer {
 public:
  /// `tls` may be null for plain HTTP. Throws boost::system::system_error when the address cannot be bound.
  HttpServer(boost::asio::io_context& loop, Service& service, const std::string& address, std::uint16_t port,
             std::shared_ptr<boost::asio::ssl::context> tls);
  ~HttpServer();

  /// The port that was bound, also when 0 was asked for.
  std::uint16_t port() const;
  void start();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sim
