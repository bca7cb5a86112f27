// The simulator's whole state, in the order in which its parts build on each other. One thread owns it.
#pragma once

#include "batch_store.hpp"
#include "faults.hpp"
#include "file_store.hpp"
#include "identity.hpp"
#include "ids.hpp"
#include "ledger.hpp"
#include "quota.hpp"
#include "rate_limit.hpp"
#include "settings.hpp"
#include "tokens.hpp"

#include <optional>
#include <string>

namespace sim {

struct World {
  explicit World(const Settings& chosen, const TokenCounter& tokens) : settings(chosen), counter(tokens) {}

  const Settings& settings;
  const TokenCounter& counter;
  IdMaker ids;
  Ledger ledger{settings};
  Quota quota{settings};
  FileStore files;
  BatchStore batches{settings, files, quota, ledger, ids};
  FaultBook faults{settings.seed};
  Shapes shapes;
  RateLimiter rates;
  Identity identity{settings, ids};
};

/// An API call that passed the gateway: what is asked for, of which resource, and how its effect is to be delayed.
struct Context {
  Call call;
  std::string resource;
  Milliseconds hide{};                         ///< the new file or batch stays out of sight for this long
  Fate fate{};                                 ///< of the new or cancelled batch
  std::optional<Milliseconds> file_pending{};  ///< instead of --file-pending
  std::string file_state{};                    ///< instead of processed
  std::string file_details{};
  bool older = false;  ///< batches are shown as they were one state ago
};

/// A refusal that blames the client for breaking a rule: entered in the ledger.
inline Reply refuse(World& world, const Call& call, const ApiError& error) {
  world.ledger.violation(std::string(name_of(call.operation)) + ": " + error.message);
  return error_reply(call.dialect, error);
}

/// The shortest expiry in seconds that a file may be given.
std::int64_t least_expiry(const Call& call, const Settings& settings);

/// `text` as a whole number between the bounds.
std::optional<std::int64_t> whole_number(const std::string& text, std::int64_t least, std::int64_t most);

/// Reads a body of at most 1 MiB; nothing when it is longer.
Task<std::optional<std::string>> read_small(BodyReader& body);

/// The first query parameter that none of `known` names; api-version is known everywhere.
std::optional<std::string> unknown_parameter(const RequestHead& head, std::initializer_list<std::string_view> known);

}  // namespace sim
