// Decides what an answer without success means for the call that got it (DESIGN.md P2, PROTOCOL.md 4, 9, 11, 13).
// Pure. This is the only place that looks at status codes and error texts; stages see an ErrorKind.
#pragma once

#include "core/error.hpp"
#include "runtime/http.hpp"

#include <chrono>
#include <optional>
#include <string_view>

namespace batchd {

/// The calls by the names that metrics and logs use.
enum class Operation {
  upload,
  create_batch,
  retrieve_batch,
  list_batches,
  cancel_batch,
  retrieve_file,
  download,
  delete_file,
  list_files
};
std::string_view to_string(Operation operation);

/// What the server itself says about another try (`x-should-retry`, 13); nothing when it says nothing.
std::optional<bool> should_retry(const HttpHeaders& headers);

/// `status` is anything but a usable 2xx; a 2xx given here is one whose body could not be used.
ProviderError classify(Operation operation, int status, const HttpHeaders& headers, std::string_view body,
                       std::chrono::system_clock::time_point now);

}  // namespace batchd
