#include "conformance/provider_harness.hpp"

namespace batchd::conformance {
namespace {

constexpr const char* verbs[] = {"upload",        "create_batch", "retrieve_batch", "list_batches", "cancel_batch",
                                 "retrieve_file", "download",     "delete_file",    "list_files"};
constexpr const char* troubles[] = {"lost_before", "lost_after", "busy_before", "busy_after", "throttled",
                                    "unpaid",      "denied",     "cut",         "shortened",  "empty_page"};

}  // namespace

std::ostream& operator<<(std::ostream& out, Verb verb) {
  return out << verbs[static_cast<int>(verb)];
}

std::ostream& operator<<(std::ostream& out, Trouble trouble) {
  return out << troubles[static_cast<int>(trouble)];
}

void PrintTo(const ProviderCase& which, std::ostream* out) {
  *out << which.label;
}

std::vector<ProviderCase> provider_cases() {
  std::vector<ProviderCase> all = http_cases();
  for (const ProviderCase& one : cloud_cases()) all.push_back(one);
  return all;
}

}  // namespace batchd::conformance
