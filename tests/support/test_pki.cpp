#include "support/test_pki.hpp"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <stdexcept>

namespace batchd::testing {
namespace {

constexpr long day = 24 * 60 * 60;

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

std::shared_ptr<EVP_PKEY> make_key() {
  return {EVP_EC_gen("P-256"), EVP_PKEY_free};
}

template <class Write>
std::string to_pem(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  require(write(out.get()) == 1, "cannot write PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
  require(extension != nullptr, "bad extension");
  X509_add_ext(certificate, extension.get(), -1);
}

std::shared_ptr<X509> make_certificate(const std::string& name, EVP_PKEY* key, long serial, int days_left) {
  std::shared_ptr<X509> certificate(X509_new(), X509_free);
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -10 * day);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days_left * day);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

}  // namespace

std::string locked(const std::string& key_pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())), BIO_free);
  const std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  std::string passphrase = "open sesame";
  return to_pem([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key.get(), EVP_aes_256_cbc(), passphrase.data(),
                                         static_cast<int>(passphrase.size()), nullptr, nullptr);
  });
}

TestAuthority::TestAuthority(const std::string& name)
    : key_(make_key()), certificate_(make_certificate(name, key_.get(), 1, 30)) {
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
  add_extension(certificate_.get(), certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate_.get(), certificate_.get(), NID_subject_key_identifier, "hash");
  require(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0, "cannot sign");
  pem_ = to_pem([this](BIO* out) { return PEM_write_bio_X509(out, certificate_.get()); });
}

Certificate TestAuthority::issue(const std::string& subject_alternative_name, int days_left) const {
  const auto key = make_key();
  const auto certificate = make_certificate("batchd test", key.get(), 2, days_left);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  const bool address = subject_alternative_name.starts_with("IP:");
  add_extension(certificate.get(), certificate_.get(), NID_subject_alt_name,
                address ? subject_alternative_name : "DNS:" + subject_alternative_name);
  require(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0, "cannot sign");
  Certificate issued;
  issued.pem = to_pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
  issued.key_pem =
      to_pem([&](BIO* out) { return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  return issued;
}

}  // namespace batchd::testing
