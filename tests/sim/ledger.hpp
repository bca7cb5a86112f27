// The books: what the client called, what was run, what it would have been billed, and every rule it broke. Tests compare
// it with what the client believes; nothing in here is ever shown to the client's API calls.
#pragma once

#include "dialect.hpp"
#include "hashing.hpp"
#include "request_line.hpp"
#include "settings.hpp"
#include "spool_file.hpp"

#include <boost/json/object.hpp>

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace sim {

/// One request that ran, as kept on disk.
struct ExecutionRecord {
  Sha256 prompt;
  char custom_id_bytes[64];
  std::uint32_t batch;  ///< its number
  std::uint16_t status;
  std::uint8_t custom_id_size;
  std::uint8_t unused;
};

class Ledger {
 public:
  explicit Ledger(const Settings& settings);

  void called(Operation operation) { ++calls_[static_cast<std::size_t>(operation)]; }
  void answered(Operation operation, int status) { ++answers_[static_cast<std::size_t>(operation)][status]; }
  /// Something that a correct client never does.
  void violation(std::string text);
  void file_uploaded(std::uint64_t bytes);
  void file_deleted() { ++files_deleted_; }
  void input_deleted_while_needed() { ++inputs_deleted_while_needed_; }
  void batch_created() { ++batches_created_; }
  /// A second batch on an input file while another of it is alive or has run.
  void input_used_again() { ++inputs_used_again_; }
  void batch_ended(const std::string& status) { ++ended_[status]; }
  void executed(std::uint32_t batch, const RequestRecord& record, Outcome outcome, std::uint32_t output_tokens);
  /// True when a prompt with this hash ran before (only those of a once-kind are remembered).
  bool struck_before(const Sha256& prompt) { return !struck_.insert(hash_of(prompt)); }

  void describe(boost::json::object& out) const;
  /// The requests that ran, a JSON line each; `batch_id(number)` names their batches.
  std::unique_ptr<BodySource> executions(std::function<std::string(std::uint32_t)> batch_id);

 private:
  static constexpr auto operations = static_cast<std::size_t>(Operation::none) + 1;

  void flush();

  bool light_;
  std::array<std::uint64_t, operations> calls_{};
  std::array<std::map<int, std::uint64_t>, operations> answers_;
  std::vector<std::string> violations_;
  std::uint64_t violation_count_ = 0;
  std::uint64_t files_uploaded_ = 0;
  std::uint64_t bytes_uploaded_ = 0;
  std::uint64_t files_deleted_ = 0;
  std::uint64_t inputs_deleted_while_needed_ = 0;
  std::uint64_t inputs_used_again_ = 0;
  std::uint64_t batches_created_ = 0;
  std::map<std::string, std::uint64_t> ended_;
  std::uint64_t executed_ = 0;
  std::uint64_t ids_again_ = 0;
  std::uint64_t prompts_again_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t input_tokens_ = 0;
  std::uint64_t output_tokens_ = 0;
  HashSet ids_;
  HashSet prompts_;
  HashSet struck_;
  std::shared_ptr<SpoolFile> executions_;
  std::string pending_;
};

}  // namespace sim
