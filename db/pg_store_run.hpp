// How PgStore's verbs reach a pool thread. For db/pg_store*.cpp only.
#pragma once

#include "db/pg_store.hpp"
#include "db/transaction.hpp"

#include <type_traits>
#include <utility>

namespace batchd {

template <class Work>
Task<std::invoke_result_t<Work>> PgStore::run(Work work) {
  Metrics& metrics = metrics_;
  co_return co_await pool_.run([&metrics, work = std::move(work)]() mutable {
    try {
      return work();
    } catch (const StoreError&) {
      metrics.database_error();
      throw;
    }
  });
}

/// The bytes of PostgreSQL's encode(…, 'hex'), and back.
std::string from_hex(std::string_view hex);
std::string to_hex(std::string_view bytes);

}  // namespace batchd
