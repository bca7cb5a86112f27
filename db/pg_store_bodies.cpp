// Streaming the bodies of a shard's undecided members, by binary COPY.
#include "db/bulk.hpp"
#include "db/pg_store_run.hpp"

#include <algorithm>

namespace batchd {
namespace {

/// Up to so many ranges go into one statement, so that no statement is megabytes long.
constexpr std::size_t ranges_a_statement = 2'000;

/// The ids of a chunk that are still to be decided.
std::vector<IdRange> undecided(const ShardContents& contents, std::size_t chunk) {
  std::vector<IdRange> open;
  std::size_t rank = contents.members.first_rank(chunk);
  for (const IdRange& range : contents.members.chunks()[chunk].ranges) {
    bool growing = false;
    for (std::int64_t id = range.first; id <= range.last; ++id, ++rank) {
      if (contents.decided.test(rank)) {
        growing = false;
      } else if (growing) {
        open.back().last = id;
      } else {
        open.push_back({id, id});
        growing = true;
      }
    }
  }
  return open;
}

using Ranges = std::vector<IdRange>::const_iterator;

std::string literal(Ranges from, Ranges to) {
  std::string text = "'{";
  for (auto range = from; range != to; ++range) {
    if (range != from) text += ',';
    text += '[';
    text += std::to_string(range->first);
    text += ',';
    text += std::to_string(range->last);
    text += ']';
  }
  text += "}'::int8multirange";
  return text;
}

/// Bounds written out let the server prune partitions and scan an index once. Where members lie thinly between other rows,
/// each is looked up by itself instead; a join on a multirange would be ten times slower than either.
std::string copy_statement(Ranges from, Ranges to) {
  std::int64_t count = 0;
  for (auto range = from; range != to; ++range) count += range->last - range->first + 1;
  const std::int64_t first = from->first;
  const std::int64_t last = std::prev(to)->last;
  std::string where = "id BETWEEN " + std::to_string(first) + " AND " + std::to_string(last);
  if (std::distance(from, to) > 1) {
    if (count >= (last - first + 1) / 8) {
      where += " AND id <@ " + literal(from, to);
    } else {
      where += " AND id = ANY ('{";
      for (auto range = from; range != to; ++range) {
        for (std::int64_t id = range->first; id <= range->last; ++id) where += std::to_string(id) + ",";
      }
      where.back() = '}';
      where += "'::bigint[])";
    }
  }
  return "COPY (SELECT id, body FROM batchd.request WHERE " + where + " ORDER BY id) TO STDOUT (FORMAT binary)";
}

/// False when the sink wanted no more.
bool copy_out(BulkTransaction& transaction, const std::string& sql, const BodySink& sink) {
  CopyOut rows(transaction, sql);
  while (const CopyRow* row = rows.next()) {
    if (!sink(RequestId{row->int8(0)}, row->text(1))) return false;
  }
  return true;
}

void read_all(Database& database, const ShardContents& contents, const BodySink& sink) {
  BulkTransaction transaction(database, database.settings().bulk_timeout);
  // An index scan gives the rows in order as they lie; the planner, not knowing that, might rather sort all bodies.
  transaction.run("SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true)");
  for (std::size_t chunk = 0; chunk < contents.members.chunks().size(); ++chunk) {
    const std::vector<IdRange> open = undecided(contents, chunk);
    for (auto from = open.begin(); from != open.end();) {
      const auto to = from + std::min<std::ptrdiff_t>(ranges_a_statement, std::distance(from, open.end()));
      if (!copy_out(transaction, copy_statement(from, to), sink)) return;
      from = to;
    }
  }
  transaction.commit();
}

}  // namespace

Task<void> PgStore::read_bodies(ShardId, const ShardContents& contents, BodySink sink) {
  // The caller awaits this, so that its contents outlive the work.
  return run([&db = database_, &contents, sink = std::move(sink)] { read_all(db, contents, sink); });
}

}  // namespace batchd
