#include "db/enqueue.hpp"

#include "db/bulk.hpp"
#include "db/transaction.hpp"

#include <memory>

namespace batchd {
namespace {

// Rows come into a temporary table first, because a COPY straight into batchd.request could not sort by key; keys taken in
// order are what keeps two producers of the same keys from waiting for each other in a circle.
constexpr char create_staging[] =
    "CREATE TEMP TABLE batchd_submit (n bigint, model text, endpoint text, key text COLLATE \"C\", body json) ON COMMIT DROP";
constexpr char copy_staging[] = "COPY pg_temp.batchd_submit FROM STDIN (FORMAT binary)";
constexpr char insert_requests[] =
    "INSERT INTO batchd.request (model, endpoint, job, key, priority, deadline, body)"
    " SELECT model, coalesce(endpoint, '/v1/chat/completions'), $1, key, $2::int, nullif($3, '')::timestamptz, body"
    " FROM pg_temp.batchd_submit ORDER BY key, n";

/// One transaction: what the source gives up to the chunk's limits. Sets `more` when the source may have more.
EnqueueCounts enqueue_chunk(Database& database, const EnqueueOptions& options, const RequestSource& source, NewRequest request,
                            bool& more) {
  BulkTransaction tx(database, database.settings().bulk_timeout);
  tx.run(create_staging);
  tx.begin_copy_in(copy_staging);
  CopyRows rows;
  std::int64_t count = 0;
  Bytes bytes = 0;
  do {
    rows.row(5);
    rows.int8(count);
    rows.text(request.model);
    rows.text_or_null(request.endpoint);
    request.key ? rows.text(*request.key) : rows.null();
    rows.text(request.body);
    ++count;
    bytes += static_cast<Bytes>(request.body.size());
    if (rows.bytes().size() >= flush_bytes) {
      tx.put(rows.bytes());
      rows.clear();
    }
    if (count >= options.chunk_rows || bytes >= options.chunk_bytes) break;
    request = NewRequest{};
    more = source(request);
  } while (more);
  rows.end();
  tx.put(rows.bytes());
  tx.end_copy_in();
  const Rows inserted = tx.run(insert_requests, {options.job, std::to_string(options.priority), options.deadline});
  const EnqueueCounts counts{inserted.affected(), count - inserted.affected()};
  tx.commit();
  return counts;
}

}  // namespace

EnqueueCounts enqueue(Database& database, const EnqueueOptions& options, const RequestSource& source,
                      const EnqueueProgress& progress) {
  EnqueueCounts total;
  NewRequest first;
  for (bool more = source(first); more;) {
    const EnqueueCounts chunk = enqueue_chunk(database, options, source, std::move(first), more);
    total.fresh += chunk.fresh;
    total.known += chunk.known;
    if (progress) progress(total);
    first = NewRequest{};
    if (more) more = source(first);
  }
  return total;
}

}  // namespace batchd
