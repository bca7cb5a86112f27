// One provider batch and its life (PROTOCOL.md 5, 6). Nothing ticks: a batch knows when its present state ends, and is
// brought up to date by whoever looks.
#pragma once

#include "batch_state.hpp"
#include "execution.hpp"
#include "fate.hpp"
#include "settings.hpp"

#include <boost/json/object.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sim {

/// What a client meets that asks for a batch whose time is over at the provider.
enum class Vanished : std::uint8_t { no, not_found, error_200 };

struct Batch {
  std::string id;
  std::uint32_t number = 0;
  std::string resource;
  Dialect dialect = Dialect::openai;
  std::string endpoint;
  boost::json::value metadata;
  std::string input_file_id;
  std::shared_ptr<const InputFacts> input;  ///< dropped when the batch is over
  std::string model;
  std::uint32_t requests = 0;
  std::uint32_t will_fail = 0;
  std::uint64_t tokens = 0;
  bool holds_tokens = false;
  bool window_accepted = true;
  bool foreign = false;
  std::optional<std::int64_t> results_expire;  ///< seconds after they are made
  Vanished vanished = Vanished::no;
  Fate fate;

  BatchState state = BatchState::validating;
  TimePoint due;  ///< when the present state ends, unless it is terminal
  TimePoint expires_at;
  TimePoint listed_at;                              ///< absent from lists before
  std::array<std::optional<TimePoint>, 8> entered;  ///< by state
  std::vector<InputError> errors;
  std::string output_file_id;
  std::string error_file_id;
  std::uint32_t completed = 0;
  std::uint32_t failed = 0;
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
  std::shared_ptr<Execution> execution;  ///< between running and publishing

  bool over() const { return terminal(state); }
};

/// As it was one state ago; as it is when it has not moved yet.
Batch as_before(const Batch& batch);

/// As the API shows it, at `time`.
boost::json::object describe(const Batch& batch, TimePoint time);

/// What a batch is held against.
struct BatchRules {
  bool deployment_known;
  std::uint64_t limit;  ///< of enqueued tokens
  std::uint32_t most_requests;
  bool bom_accepted;
};

/// What a provider finds wrong when it validates: empty when the batch may run.
std::vector<InputError> validate(const Batch& batch, const BatchRules& rules);

}  // namespace sim
