// The login services that a client of Azure may need first (PROTOCOL.md 14): Microsoft Entra's token endpoint and the identity
// endpoint of an Azure machine, on the simulator's own port. Tokens are worth something with --require-token only.
#pragma once

#include "dialect.hpp"
#include "ids.hpp"
#include "settings.hpp"

#include <map>
#include <optional>
#include <string>

namespace sim {

class Identity {
 public:
  Identity(const Settings& settings, IdMaker& ids) : settings_(settings), ids_(ids) {}

  /// `token` for POST /{tenant}/oauth2/v2.0/token, `imds` for GET /metadata/identity/oauth2/token.
  static std::optional<Operation> operation_of(const RequestHead& head);

  /// Client credentials: a secret, or a federated assertion.
  Reply log_in(const RequestHead& head, const std::string& body);
  /// Managed identity: numbers come as strings.
  Reply machine(const RequestHead& head);

  /// True for a token that was issued for this API and has neither run out nor been revoked.
  bool accepts(const std::string& token, TimePoint time) const;
  void revoke_all() { tokens_.clear(); }

 private:
  struct Issued {
    std::string audience;
    TimePoint ends;
  };

  std::string issue(const std::string& audience);
  Reply refused(int status, const char* error, int code, const std::string& description) const;
  std::optional<Reply> check_proof(const std::map<std::string, std::string>& form) const;

  const Settings& settings_;
  IdMaker& ids_;
  std::map<std::string, Issued> tokens_;
};

}  // namespace sim
