// What TLS connections of one client are made with: which authorities are trusted and, where the other side asks for one, which
// certificate is shown. Never older than TLS 1.2, and peers are always verified.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <string>

namespace batchd {

/// PEM files, "" for none; a client certificate and its key come together.
struct TlsFiles {
  std::string ca_file;           ///< trusted besides the system's authorities
  std::string client_cert_file;  ///< its chain behind it
  std::string client_key_file;   ///< without a passphrase: nobody is there to type one
};

/// Throws std::runtime_error with a sentence that names the file that cannot be used.
boost::asio::ssl::context make_tls_context(const TlsFiles& files);

}  // namespace batchd
