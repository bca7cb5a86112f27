#include "core/money_step.hpp"

namespace batchd {

MoneyStep money_step(const Shard& before, const Shard& after) {
  if (after.state == ShardState::merged && before.state != ShardState::merged) return MoneyStep::settle;
  if (after.intent && !before.intent) return MoneyStep::reserve;
  const bool held = before.intent || before.state == ShardState::submitted;
  if (after.state == ShardState::submitted && !held) return MoneyStep::found;
  const bool again = after.attempt > before.attempt;
  const bool refused = after.state == ShardState::finished && after.finish_reason == FinishReason::refused;
  if (held && (again || refused)) return MoneyStep::release;
  if (before.state == ShardState::planned && after.state == ShardState::uploaded) return MoneyStep::note;
  return MoneyStep::none;
}

}  // namespace batchd
