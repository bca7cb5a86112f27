// What PgStore's transactions do about money beside their own work. For db/pg_store*.cpp only.
#pragma once

#include "core/money.hpp"
#include "core/output_bound.hpp"
#include "core/shard.hpp"
#include "db/bulk.hpp"
#include "db/store.hpp"
#include "db/transaction.hpp"

namespace batchd {

/// A histogram as PostgreSQL writes its array.
OutputSizes sizes_of(std::string_view counts);
/// Makes these rules the newest ones, if they are others than those that are there.
void publish_money(Transaction& tx, const MoneyRules& money);
/// What the requests of a shard may cost and have cost; nothing when its model has no price.
std::optional<Tariff> read_tariff(Transaction& tx, ShardId shard);
/// Leaves out the flows that wait for money.
void drop_flows_without_money(Transaction& tx, std::vector<Flow>& flows);
/// False when a cap has no room: the transaction must not be committed then.
bool move_money(Transaction& tx, const Shard& before, const Shard& after);
/// That a shard did not fit under a cap, for the planner and for people.
void note_unaffordable(Database& database, Term term, ShardId shard);
/// What a chunk's answers have cost, how long they are, and what was left out for want of money.
void settle_money(BulkTransaction& tx, ShardId shard, const ShardContents& contents, const SettleChunk& chunk);
void read_budget(Transaction& tx, StoreGauges& gauges);

}  // namespace batchd
