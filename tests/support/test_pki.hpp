// Certificate authorities and certificates for tests, made on the spot by OpenSSL's library: nothing expires in the checkout.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

namespace batchd::testing {

struct Certificate {
  std::string pem;
  std::string key_pem;
};

/// The same private key under a passphrase.
std::string locked(const std::string& key_pem);

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name);

  const std::string& pem() const { return pem_; }
  /// For a DNS name, or an address written as `IP:127.0.0.1`; valid from yesterday for `days_left` days from now.
  Certificate issue(const std::string& subject_alternative_name, int days_left = 2) const;

 private:
  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
  std::string pem_;
};

}  // namespace batchd::testing
