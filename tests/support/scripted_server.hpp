// A server whose every word is written by the test: it accepts connections one after another on a thread of its own and
// hands each, plain or TLS, to the test's script. What clients do in the face of bad servers is tested against it.
#pragma once

#include "support/test_pki.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace batchd::testing {

/// One accepted connection. Every method blocks; a failed read returns what there was, a failed write returns false.
class Peer {
 public:
  virtual ~Peer() = default;
  /// Reads a header and, by its Content-Length, a body. "" when the client hung up first.
  std::string read_request();
  /// Up to `size` bytes; "" at the end of the stream.
  virtual std::string read(std::size_t size) = 0;
  virtual bool write(std::string_view bytes) = 0;
  /// Ends TLS properly before the connection is closed.
  virtual void close_notify() = 0;
  /// Makes the close a reset.
  virtual void reset_on_close() = 0;
  virtual std::string server_name() const = 0;  ///< as asked for by SNI

 private:
  std::string pending_;
};

class ScriptedServer {
 public:
  /// `connection` counts from 0.
  using Script = std::function<void(Peer&, int connection)>;
  /// `newest_tls`: the newest version that it speaks, such as TLS1_1_VERSION; 0: any.
  explicit ScriptedServer(Script script, std::optional<Certificate> certificate = std::nullopt, int newest_tls = 0);
  /// Stops accepting, breaks what is open, and waits for the script to notice.
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::uint16_t port() const;
  int connections() const;  ///< accepted so far, TLS handshakes that failed included

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace batchd::testing
