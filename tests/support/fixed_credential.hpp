// A credential that shows what the test says.
#pragma once

#include "provider/credential.hpp"

#include <string>
#include <utility>

namespace batchd::testing {

class FixedCredential final : public Credential {
 public:
  explicit FixedCredential(std::string k) : key(std::move(k)) {}
  Task<ProviderResult<Authorization>> authorization() override { co_return Authorization{Authorization::Scheme::api_key, key}; }
  Task<ProviderResult<std::optional<Authorization>>> replacement(const Authorization&) override {
    co_return std::optional<Authorization>();
  }
  Task<bool> tend() override { co_return false; }

  std::string key;
};

}  // namespace batchd::testing
