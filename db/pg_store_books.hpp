// The books of every POST, kept in the transaction that records what a shard became. For db/pg_store*.cpp only.
#pragma once

#include "core/shard.hpp"
#include "db/transaction.hpp"

namespace batchd {

/// The shard was given a batch that had turned up in the provider's list, without a POST of the shard's present attempt.
bool was_found(const Shard& before, const Shard& after);

/// Enters an announced POST, or what became of one. Fails when the attempt was announced before.
void keep_books(Transaction& tx, const Shard& before, const Shard& after);

}  // namespace batchd
