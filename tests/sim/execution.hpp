// What running a batch came to: which of its requests ran, in which order their lines stand, and how long the two result
// files are. The lines themselves are made when somebody downloads them, twice the same.
#pragma once

#include "dialect.hpp"
#include "http_message.hpp"
#include "input_check.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace sim {

enum class ResultFile : std::uint8_t { output, error };

/// What stands for the requests that did not run.
enum class Rest : std::uint8_t { absent, expired, cancelled };

struct Execution {
  std::shared_ptr<const InputFacts> input;
  Dialect dialect = Dialect::openai;
  std::string endpoint;
  std::uint64_t seed = 0;
  std::int64_t created = 0;  ///< unix seconds, as the answers say
  std::size_t answer_bytes = 0;
  std::uint32_t executed = 0;  ///< requests that ran: the first in shuffled order
  Rest rest = Rest::absent;
  std::uint32_t lost = 0;                      ///< of those that did not run: so many, the last, have no line all the same
  std::optional<Outcome> kind;                 ///< of all that ran, whatever they asked for
  std::unordered_set<std::uint32_t> relented;  ///< requests of a once-kind that ran before, so that they succeed

  bool open_ended = false;  ///< the output file lacks its last newline
  std::uint64_t output_bytes = 0;
  std::uint64_t error_bytes = 0;
  std::uint32_t completed = 0;
  std::uint32_t failed = 0;
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;

  std::uint64_t bytes(ResultFile file) const { return file == ResultFile::output ? output_bytes : error_bytes; }
  /// How many have lines, unless their outcome keeps them from it: the first in shuffled order.
  std::uint32_t listed() const;
  /// What becomes of the request at `index`, which ran.
  Outcome outcome_of(std::uint32_t index, const RequestRecord& record) const;
};

/// A result file as it is downloaded.
std::unique_ptr<BodySource> result_source(std::shared_ptr<const Execution> execution, ResultFile file);

/// The requests' indexes in the order of the result files.
std::vector<std::uint32_t> shuffled(std::uint32_t requests, std::uint64_t seed);

}  // namespace sim
