// What a configuration says about credentials, as credentials: keys that are read again when their files change, and Entra
// tokens. A file that is missing or unusable for a moment leaves the last good key in force.
#pragma once

#include "config.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "provider/credential.hpp"
#include "provider/file_mark.hpp"
#include "runtime/clock.hpp"

#include <memory>
#include <optional>
#include <string>

namespace batchd {

/// An API key, from its file or from the environment, or a bearer token from its file.
class KeyCredential final : public Credential {
 public:
  KeyCredential(const ProviderConfig& provider, Log& log);

  Task<ProviderResult<Authorization>> authorization() override;
  /// Another key only when the file holds one by now.
  Task<ProviderResult<std::optional<Authorization>>> replacement(const Authorization& refused) override;
  Task<bool> tend() override;

 private:
  void look();

  std::string provider_;
  std::string file_;
  std::optional<FileWatch> watch_;  // none: the key came from the environment and stays
  Authorization::Scheme scheme_;
  Secret key_;
  bool changed_ = false;     // since tend() was last called
  bool unreadable_ = false;  // the file has changed and could not be read since
  Log& log_;
};

/// The credential of one provider; everything given must outlive it. Throws std::runtime_error with a sentence when it cannot
/// be used.
std::unique_ptr<Credential> make_credential(const ProviderConfig& provider, Clock& clock, Metrics& metrics, Log& log);

}  // namespace batchd
