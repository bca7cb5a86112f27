#include "support/scripted_server.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <sys/socket.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace batchd::testing {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

template <class Stream>
class StreamPeer : public Peer {
 public:
  StreamPeer(Stream& stream, tcp::socket& socket) : stream_(stream), socket_(socket) {}
  std::string read(std::size_t size) override {
    std::string bytes(size, '\0');
    error_code ec;
    bytes.resize(stream_.read_some(asio::buffer(bytes), ec));
    return bytes;
  }
  bool write(std::string_view bytes) override {
    error_code ec;
    asio::write(stream_, asio::buffer(bytes), ec);
    return !ec;
  }
  void close_notify() override {
    error_code ignored;
    if constexpr (!std::is_same_v<Stream, tcp::socket>) stream_.shutdown(ignored);
  }
  void reset_on_close() override {
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
  }
  std::string server_name() const override {
    if constexpr (!std::is_same_v<Stream, tcp::socket>) {
      const char* name = SSL_get_servername(stream_.native_handle(), TLSEXT_NAMETYPE_host_name);
      return name ? name : "";
    }
    return "";
  }

 private:
  Stream& stream_;
  tcp::socket& socket_;
};

}  // namespace

std::string Peer::read_request() {
  std::size_t header_end = std::string::npos;
  while ((header_end = pending_.find("\r\n\r\n")) == std::string::npos) {
    const std::string more = read(64 * 1024);
    if (more.empty()) return "";
    pending_ += more;
  }
  std::size_t length = 0;
  if (const auto at = pending_.find("Content-Length: "); at < header_end) length = std::stoul(pending_.substr(at + 16, 20));
  const std::size_t whole = header_end + 4 + length;
  while (pending_.size() < whole) {
    const std::string more = read(64 * 1024);
    if (more.empty()) break;
    pending_ += more;
  }
  std::string request = pending_.substr(0, whole);
  pending_.erase(0, request.size());
  return request;
}

struct ScriptedServer::Impl {
  Impl(Script s, std::optional<Certificate> certificate, int newest_tls)
      : script(std::move(s)), acceptor(io, {asio::ip::address_v4::loopback(), 0}) {
    if (certificate) {
      tls.emplace(asio::ssl::context::tls_server);
      tls->use_certificate_chain(asio::buffer(certificate->pem));
      tls->use_private_key(asio::buffer(certificate->key_pem), asio::ssl::context::pem);
      if (newest_tls != 0) {  // an old server: this machine's OpenSSL would not be one by itself
        SSL_CTX_set_cipher_list(tls->native_handle(), "DEFAULT:@SECLEVEL=0");
        SSL_CTX_set_min_proto_version(tls->native_handle(), TLS1_VERSION);
        SSL_CTX_set_max_proto_version(tls->native_handle(), newest_tls);
      }
    }
    worker = std::thread([this] { serve(); });
  }

  void serve() {
    for (;;) {
      tcp::socket socket(io);
      error_code ec;
      acceptor.accept(socket, ec);
      if (stopping || ec) return;
      {
        const std::lock_guard lock(mutex);
        open = socket.native_handle();
      }
      handle(socket, accepted++);
      const std::lock_guard lock(mutex);
      open = -1;
      socket.close(ec);
    }
  }

  void handle(tcp::socket& socket, int connection) {
    if (!tls) {
      StreamPeer<tcp::socket> peer(socket, socket);
      script(peer, connection);
      return;
    }
    asio::ssl::stream<tcp::socket&> stream(socket, *tls);
    error_code ec;
    stream.handshake(asio::ssl::stream_base::server, ec);
    if (ec) return;
    StreamPeer<asio::ssl::stream<tcp::socket&>> peer(stream, socket);
    script(peer, connection);
  }

  void stop() {
    stopping = true;
    {
      const std::lock_guard lock(mutex);
      if (open >= 0) ::shutdown(open, SHUT_RDWR);
    }
    error_code ignored;
    tcp::socket wake(io);
    wake.connect(acceptor.local_endpoint(), ignored);
    worker.join();
  }

  Script script;
  asio::io_context io;
  tcp::acceptor acceptor;
  std::optional<asio::ssl::context> tls;
  std::atomic<int> accepted{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  int open = -1;
  std::thread worker;
};

ScriptedServer::ScriptedServer(Script script, std::optional<Certificate> certificate, int newest_tls)
    : impl_(std::make_unique<Impl>(std::move(script), std::move(certificate), newest_tls)) {}

ScriptedServer::~ScriptedServer() {
  impl_->stop();
}

std::uint16_t ScriptedServer::port() const {
  return impl_->acceptor.local_endpoint().port();
}

int ScriptedServer::connections() const {
  return impl_->accepted;
}

}  // namespace batchd::testing
