#include "core/round.hpp"

namespace batchd {

Decision decide(LineReading reading, int attempts, const RoundPolicy& policy) {
  if (reading.verdict == Verdict::success || reading.verdict == Verdict::permanent) return std::move(reading.settlement);
  const bool counts = reading.verdict == Verdict::retry;
  const int used = attempts + (counts ? 1 : 0);
  if (counts && used >= policy.max_attempts) return std::move(reading.settlement);
  Return back;
  back.request = reading.settlement.request;
  back.attempts = used;
  back.error = std::move(reading.settlement.error);
  if (counts) back.delay = backoff(policy.backoff, used, static_cast<std::uint64_t>(back.request.value));
  return back;
}

LineReading absent(RequestId request, int attempts, const Shard& shard) {
  LineReading reading;
  reading.id = {request, attempts + 1};
  reading.settlement.request = request;
  switch (shard.finish_reason) {
    case FinishReason::expired:
      reading.settlement.outcome = Outcome::expired;
      reading.settlement.error = make_error("batch_expired", "the batch's window ended before this request was answered");
      break;
    case FinishReason::given_up:
      reading.verdict = Verdict::free_retry;  // it was never sent: nothing is to be said about it
      break;
    case FinishReason::cancelled:
      reading.verdict = Verdict::free_retry;
      reading.settlement.error = make_error("batch_cancelled", "the batch was cancelled before this request was answered");
      break;
    case FinishReason::refused:
      reading.settlement.error =
          shard.error.empty() ? make_error("batch_refused", "the provider refused the batch without a reason") : shard.error;
      break;
    default:
      reading.settlement.error = make_error("no_answer", "the batch ended and neither of its files mentions this request");
      break;
  }
  return reading;
}

}  // namespace batchd
