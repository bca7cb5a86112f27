// Keeps the providers' credentials fresh, and tells the lanes when there is another one: what was paused or waits because an
// account was refused is tried again at once. One loop of the application; it knows no secret.
#pragma once

#include "provider/credential.hpp"
#include "stages/stage.hpp"

#include <map>
#include <memory>
#include <set>
#include <string>

namespace batchd {

class CredentialWatch {
 public:
  using Credentials = std::map<std::string, std::unique_ptr<Credential>>;  // by provider

  /// A start counts as a change: that is how a key from the environment changes.
  CredentialWatch(StageContext& context, const Credentials& credentials);

  /// The loop; ends only by cancellation.
  Task<void> run();

 private:
  Task<void> try_again(std::string provider);

  StageContext& context_;
  const Credentials& credentials_;
  std::set<std::string> changed_;  // of which the database does not know yet
};

}  // namespace batchd
