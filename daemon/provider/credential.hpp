// The port to what an account shows with each call: an API key, or a bearer token that has to be fetched and runs out.
// Implementations never throw anything but a cancellation, and never put a secret into an error.
#pragma once

#include "core/error.hpp"
#include "runtime/task.hpp"

#include <optional>
#include <string>

namespace batchd {

struct Authorization {
  enum class Scheme {
    api_key,  ///< in the header that the dialect has for keys
    bearer,   ///< in `Authorization`, whatever the dialect
  };
  Scheme scheme = Scheme::api_key;
  std::string secret;
};

class Credential {
 public:
  virtual ~Credential() = default;

  /// What to show now. Takes as long as a call to the token service when there is no valid token.
  /// `not_sent`: none can be had for the moment. `account`: none will be had until someone acts.
  virtual Task<ProviderResult<Authorization>> authorization() = 0;

  /// The provider has answered 401 to `refused`. What to show instead; nothing when there is nothing else to show, so that
  /// the refusal stands. Errors as above. A token is fetched once for all who were refused with the same one.
  virtual Task<ProviderResult<std::optional<Authorization>>> replacement(const Authorization& refused) = 0;

  /// To be called about once a second by whoever runs for long: looks at files, renews ahead of time. True when what has
  /// failed is worth another try: another key, another secret, or a token after a time without.
  virtual Task<bool> tend() = 0;
};

}  // namespace batchd
