// The part of the merge stage that decides shards whose file was refused: there is nothing to read, only to find out which of
// their requests is at fault, if any (core/refusal.hpp).
#include "core/output_line.hpp"
#include "core/refusal.hpp"
#include "stages/merge.hpp"
#include "stages/merger.hpp"

#include <boost/json/parse.hpp>

#include <map>

namespace batchd {
namespace {

std::string reason_of(const Shard& shard) {
  return shard.error.empty() ? make_error("batch_refused", "the provider refused the batch without a reason") : shard.error;
}

/// The shard's recorded error as a provider's words, for the log.
ProviderError as_provider_error(const Shard& shard) {
  ProviderError error;
  error.kind = ErrorKind::permanent;
  boost::system::error_code failed;
  const auto said = boost::json::parse(reason_of(shard), failed);
  if (failed || !said.is_object()) return error;
  const auto text = [&](std::string_view name) {
    const auto* value = said.get_object().if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  error.code = text("code");
  error.message = text("message");
  return error;
}

Settlement failed(RequestId request, const std::string& error) {
  Settlement settled;
  settled.request = request;
  settled.error = error;
  return settled;
}

/// Fails the lines that were named and sends the others again. For all in one chunk, however many: a line's number is its place
/// among the members that were sent, which are exactly the undecided ones as long as nothing of this has been written.
Decider blame(const std::map<std::int64_t, std::string>& lines) {
  return [&lines, line = std::int64_t{0}](RequestId request, int attempts) mutable -> Decision {
    const auto fault = lines.find(++line);
    if (fault == lines.end()) return Return{request, attempts, Milliseconds{0}, ""};
    return failed(request, fault->second);
  };
}

}  // namespace

Task<void> MergeStage::release(Merger& merger) {
  const Decider decider = [](RequestId request, int attempts) { return Return{request, attempts, Milliseconds{0}, ""}; };
  co_await merger.decide_rest(decider, false);
}

/// Remembered by this process only: another one begins to count anew, and comes to the same end a little later.
void MergeStage::note_pause(RequestId suspect) {
  constexpr std::size_t most_suspects = 1000;
  if (pauses_.size() >= most_suspects) pauses_.clear();
  ++pauses_[suspect];
}

RefusedShard MergeStage::refused(const Shard& shard, const Suspicion& known, const Merger& merger) const {
  RefusedShard refused;
  refused.fault = fault_of(shard.error);
  refused.undecided = merger.undecided();
  refused.trial = known.trial;
  refused.halved = known.halved;
  refused.lane_works = known.lane_works;
  refused.other_suspect = known.other_suspect;
  refused.waited = shard.state_age;
  if (refused.undecided == 1) {
    const auto before = pauses_.find(merger.first_undecided());
    if (before != pauses_.end()) refused.pauses = before->second;
  }
  return refused;
}

Task<bool> MergeStage::decide_refused(const Shard& shard, Merger& merger) {
  const auto blamed = blamed_lines(shard.error);
  const Suspicion known = co_await context_.store.suspicion(shard.id);
  RefusedShard refused = this->refused(shard, known, merger);
  refused.names_lines = !blamed.empty() && blamed.begin()->first <= refused.undecided;
  const RefusedStep step = next_step(refused);
  Decider decider;
  switch (step) {
    case RefusedStep::wait:
      co_return false;
    case RefusedStep::try_half:
    case RefusedStep::divide:
      co_return co_await cut(shard, merger, step == RefusedStep::try_half);
    case RefusedStep::blame_lines:
      decider = blame(blamed);
      break;
    case RefusedStep::blame_last:
      decider = [&shard](RequestId request, int) -> Decision { return failed(request, reason_of(shard)); };
      break;
    case RefusedStep::count_attempt:
      decider = [&shard, this](RequestId request, int attempts) {
        return decide(absent(request, attempts, shard), attempts, settings_.round);
      };
      break;
    case RefusedStep::pause_lane: {
      const ProviderError error = as_provider_error(shard);
      if (refused.undecided == 1) note_pause(merger.first_undecided());
      co_await pause_lane(shard, error, "refused");
      co_await release(merger);
      co_return true;
    }
    case RefusedStep::release:
      co_await release(merger);
      co_return true;
  }
  co_await merger.decide_rest(decider, true);
  co_return true;
}

Task<bool> MergeStage::cut(const Shard& shard, Merger& merger, bool trial) {
  const std::int64_t requests = merger.undecided();
  context_.log.info(trial ? "shard.halved" : "shard.divided",
                    {{"shard", shard.id.value}, {trial ? "suspects" : "requests", requests}});
  co_await merger.cut_off(requests / 2, trial);
  if (!trial && !merger.lost()) co_await merger.cut_off(merger.undecided(), false);
  context_.bells.upload.notify();
  co_return !trial;
}

}  // namespace batchd
