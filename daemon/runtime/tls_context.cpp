#include "runtime/tls_context.hpp"

#include <boost/asio/ssl/error.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>

#include <stdexcept>

namespace batchd {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

void show_certificate(ssl::context& context, const TlsFiles& files) {
  error_code ec;
  context.use_certificate_chain_file(files.client_cert_file, ec);
  if (ec) {
    throw std::runtime_error("client_cert_file '" + files.client_cert_file +
                             "' holds no readable PEM certificate: " + ec.message());
  }
  // Without this OpenSSL asks for a passphrase on the terminal.
  context.set_password_callback([](std::size_t, ssl::context::password_purpose) { return std::string(); });
  context.use_private_key_file(files.client_key_file, ssl::context::pem, ec);
  if (ec.category() == boost::asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == X509_R_KEY_VALUES_MISMATCH) {
    throw std::runtime_error("client_key_file '" + files.client_key_file + "' does not belong to the certificate in '" +
                             files.client_cert_file + "'");
  }
  if (ec) {
    throw std::runtime_error("client_key_file '" + files.client_key_file +
                             "' holds no readable PEM key without a passphrase: " + ec.message());
  }
}

}  // namespace

ssl::context make_tls_context(const TlsFiles& files) {
  ssl::context context(ssl::context::tls_client);
  SSL_CTX_set_min_proto_version(context.native_handle(), TLS1_2_VERSION);
  context.set_verify_mode(ssl::verify_peer);
  context.set_default_verify_paths();
  if (!files.ca_file.empty()) {
    error_code ec;
    context.load_verify_file(files.ca_file, ec);
    if (ec) throw std::runtime_error("ca_file '" + files.ca_file + "' holds no readable PEM certificates: " + ec.message());
  }
  if (!files.client_cert_file.empty()) show_certificate(context, files);
  return context;
}

}  // namespace batchd
