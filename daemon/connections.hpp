// What a configuration says about the network, as settings of an HTTP client: trust, proxy, certificate.
#pragma once

#include "config.hpp"
#include "runtime/http_client.hpp"

namespace batchd {

/// For calls of `provider` to `origin`: its endpoint, or where it gets its tokens.
HttpClientOptions http_options(const ProviderConfig& provider, const Endpoint& origin);

/// Its PEM files; make_tls_context() tells whether they can be used.
TlsFiles tls_files(const ProviderConfig& provider);

}  // namespace batchd
