// What becomes of a request: settled with a result, or sent round again.
#pragma once

#include "core/types.hpp"

#include <optional>
#include <string>

namespace batchd {

enum class Outcome { succeeded, failed, cancelled, expired };

std::string_view to_string(Outcome outcome);

struct Usage {
  Tokens input = 0;
  Tokens output = 0;
  Tokens cached = 0;  ///< of the input, served from the provider's cache
};

/// The row that `batchd.result` will show. `response` and `error` are JSON texts, "" for SQL NULL.
struct Settlement {
  RequestId request;
  Outcome outcome = Outcome::failed;
  std::optional<int> status_code;
  std::string response;  ///< the provider's `response.body`, byte for byte
  std::string error;     ///< `{"code":…,"message":…}` whenever the outcome is not succeeded
  std::optional<Usage> usage;
  std::string provider_request_id;  ///< "" when the provider gave none
  std::int64_t cost = 0;            ///< nanodollars, 0 where the model has no price
};

/// A request that goes back to the queue.
struct Return {
  RequestId request;
  int attempts = 0;       ///< attempts used up so far, this one included when it counted
  Milliseconds delay{0};  ///< from now until it may be planned again
  std::string error;      ///< JSON of the last error, "" when there was none
};

}  // namespace batchd
