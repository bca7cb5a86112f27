// How PgStore's verbs reach a pool thread. For db/pg_store*.cpp only. The verbs themselves are plain functions that return the
// Task of `run`, so that what they capture moves into its frame before anything is awaited.
#pragma once

#include "db/pg_store.hpp"
#include "db/transaction.hpp"

#include <type_traits>
#include <utility>

namespace batchd {

template <class Work>
Task<std::invoke_result_t<Work>> PgStore::run_on(BlockingPool& pool, Work work) {
  // A local first: g++ 12 copies a closure that is a temporary of a co_await expression bit by bit.
  auto counted = [&metrics = metrics_, work = std::move(work)]() mutable {
    try {
      return work();
    } catch (const StoreError&) {
      metrics.database_error();
      throw;
    }
  };
  co_return co_await pool.run(std::move(counted));
}

/// The bytes of PostgreSQL's encode(…, 'hex'), and back.
std::string from_hex(std::string_view hex);
std::string to_hex(std::string_view bytes);

}  // namespace batchd
