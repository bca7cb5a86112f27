// One pass over one shard's answers; merge.cpp owns it for the length of a step. It knows what is decided, gathers the next
// chunk, and writes the previous one meanwhile. A lost lease ends it quietly: `lost()` is true and nothing more is written.
#pragma once

#include "core/round.hpp"
#include "runtime/background.hpp"
#include "spool/spool.hpp"
#include "stages/merge.hpp"

#include <array>
#include <functional>
#include <optional>
#include <string>

namespace batchd {

/// What becomes of a member that no line speaks of, or whose line says nothing about it; `attempts` were used up before.
using Decider = std::function<Decision(RequestId request, int attempts)>;

class Merger {
 public:
  Merger(StageContext& context, const Shard& shard, ShardContents contents, ScratchFile set_aside, const MergeSettings& settings);

  /// Takes the next bytes of an output or error file.
  Task<void> feed(std::string_view bytes);
  /// The file has ended; its last line may lack a newline. False when that last line is not whole.
  Task<bool> end_of_file();
  /// From now on lines that are no successes are passed over: what a duplicate says of a failure decides nothing.
  void only_successes(bool only) { only_successes_ = only; }
  /// Both files have been read: settles `lane_failure()`.
  void weigh();
  /// Then: decides the failures set aside and the members that nobody mentioned, and writes all.
  Task<void> finish();
  /// Decides the members that are left, in the order of the file's lines, and writes all; with `at_once` in one chunk.
  Task<void> decide_rest(const Decider& decider, bool at_once);
  /// Cuts the first `count` undecided members off into a shard of their own.
  Task<void> cut_off(std::int64_t count, bool trial);
  /// Waits for the chunk being written; to be called before the object ends, whatever was thrown.
  Task<void> await_write();

  bool lost() const { return lost_; }
  std::int64_t undecided() const { return static_cast<std::int64_t>(seen_.size() - seen_.count()); }
  /// Only while some are undecided.
  RequestId first_undecided() const;
  /// Why the lane is to stop: every line that was read says the same about the account rather than about its request, and nobody
  /// is to pay for that; or at least one speaks of an account that could not pay for its request.
  const std::optional<ProviderError>& lane_failure() const { return account_failure_ ? account_failure_ : unpaid_; }
  void report() const;

 private:
  struct Counts {
    std::array<std::int64_t, 4> settled{};  // by Outcome
    std::int64_t returned = 0;
    NanoDollars cost = 0;
  };

  void take(const LineSplitter::Line& line);
  void take_failure(std::string_view line);
  /// The member a line speaks of, when it is undecided; counts the line as foreign or a duplicate otherwise.
  std::optional<std::size_t> undecided_member(const LineReading& reading);
  void decide_member(std::size_t rank, Decision decision);
  Task<void> decide_failures();
  void weigh_failure(const LineReading& reading);
  Task<void> write_when_full();
  Task<void> write();
  int attempts_before(RequestId request) const;

  StageContext& context_;
  const Shard& shard_;
  const MergeSettings& settings_;
  ShardContents contents_;  // what is stored or being stored
  Bitmap seen_;             // the same and the chunk being gathered
  ScratchFile set_aside_;   // lines that are no successes
  LineSplitter splitter_;
  SettleChunk chunk_;
  std::size_t chunk_bytes_ = 0;
  Counts chunk_counts_, writing_counts_, total_;
  std::int64_t corrupt_ = 0, foreign_ = 0, duplicate_ = 0;
  std::int64_t successes_ = 0, failures_ = 0;  // lines, decided before or not
  std::optional<int> common_status_;           // of all failures so far; 0 once they differ
  std::string common_error_;
  std::optional<ProviderError> account_failure_;
  std::optional<ProviderError> unpaid_;
  Background<bool> writing_;
  bool only_successes_ = false;
  bool lost_ = false;
};

}  // namespace batchd
