// A conformance test of what only the real adapter does, with batchd-sim's own switches and control plane at hand.
#pragma once

#include "conformance/http_harness.hpp"
#include "conformance/provider_conformance.hpp"

namespace batchd::conformance {

class HttpConformance : public ProviderConformance {
 protected:
  HttpHarness& http() { return static_cast<HttpHarness&>(*harness); }
  const HttpAccount& account() { return http().account(); }
  void fault(const std::string& json) { http().fault(json); }
};

}  // namespace batchd::conformance

/// Runs a suite, declared by its name as an HttpConformance of its own, in each dialect.
#define HTTP_CONFORMANCE_SUITE(Suite)                                          \
  class Suite : public HttpConformance {};                                     \
  INSTANTIATE_TEST_SUITE_P(Dialects, Suite, ::testing::ValuesIn(http_cases()), \
                           [](const auto& which) { return which.param.label; })
