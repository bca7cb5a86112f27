// A certificate for loopback made at start, so that TLS can be tried without any tool or file prepared before.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <string>

namespace sim {

/// Gives `context` a fresh key and certificate for localhost, 127.0.0.1 and ::1, and writes the certificate, which is its
/// own authority, to `path`. Throws std::runtime_error when that fails.
void use_self_signed(boost::asio::ssl::context& context, const std::string& path);

}  // namespace sim
