// Shards that a provider refused: cutting parts off them, and what tells a culprit from a lane that does not work.
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

#include <stdexcept>

namespace batchd {
namespace {

std::string multirange(const std::vector<IdRange>& ranges) {
  std::string out = "{";
  for (const IdRange& range : ranges) {
    if (out.size() > 1) out += ',';
    out += '[' + std::to_string(range.first) + ',' + std::to_string(range.last) + ']';
  }
  return out + "}";
}

/// The bitmap as it must be stored before the part is cut off.
std::string bitmap_before(const ShardContents& contents, const std::vector<IdRange>& part) {
  std::string bytes = contents.decided.bytes();
  for (const IdRange& range : part) {
    for (std::int64_t id = range.first; id <= range.last; ++id) {
      const auto rank = contents.members.rank(RequestId{id});
      if (!rank || !contents.decided.test(*rank)) throw std::logic_error("a part of a shard must be marked as cut off");
      bytes[*rank / 8] = static_cast<char>(static_cast<unsigned char>(bytes[*rank / 8]) & ~(1U << (*rank % 8)));
    }
  }
  return bytes;
}

bool split_shard(Database& database, Term term, ShardId shard, const ShardContents& contents, const std::vector<IdRange>& part,
                 bool trial) {
  std::int64_t requests = 0;
  for (const IdRange& range : part) requests += range.last - range.first + 1;
  const std::string before = bitmap_before(contents, part);
  return transact(database, [&](Transaction& tx) {
    const auto locked = tx.run(queries::lock_settling, shard.value, term.value);
    if (locked.empty()) return false;
    std::string stored = from_hex(locked[0][2].as<std::string>());
    if (stored.empty()) stored.assign(before.size(), '\0');
    if (stored == contents.decided.bytes()) return true;  // the same again, after a COMMIT whose answer was lost
    if (stored != before) return false;
    if (!tx.run(queries::may_number, shard.value)[0][0].as<bool>())
      throw StoreError("shard " + std::to_string(shard.value) +
                       " is not split before its provider's list has been compared with the books");
    const auto made = tx.run(queries::split_shard, shard.value, requests, trial)[0][0].as<std::int64_t>();
    tx.run(queries::split_members, shard.value, made, multirange(part));
    tx.run(queries::store_progress, shard.value, to_hex(contents.decided.bytes()));
    return true;
  });
}

Suspicion read_suspicion(Database& database, ShardId shard) {
  return transact(database, [&](Transaction& tx) {
    Suspicion found;
    const auto rows = tx.run(queries::suspicion, shard.value);
    if (rows.empty()) return found;
    const auto row = rows[0];
    found.halved = row["halved"].as<bool>();
    found.lane_works = row["lane_works"].as<bool>();
    found.other_suspect = row["other_suspect"].as<bool>();
    if (row["tried"].as<bool>()) {
      found.trial = trial_of(parse_shard_state(row["state"].as<std::string>()).value(),
                             parse_finish_reason(row["reason"].as<std::string>()).value(), row["accepted"].as<bool>(),
                             row["undecided"].as<std::int64_t>());
      // The trial is being halved itself, and only finding the culprit there says anything here.
      if (row["depth"].as<int>() > 1 && found.trial != Trial::refused) found.trial = Trial::waiting;
    }
    return found;
  });
}

}  // namespace

Task<bool> PgStore::split(Term term, ShardId shard, const ShardContents& contents, std::vector<IdRange> part, bool trial) {
  // The caller awaits this, so that its contents outlive the work.
  return run([&db = database_, term, shard, &contents, part = std::move(part), trial] {
    return split_shard(db, term, shard, contents, part, trial);
  });
}

Task<Suspicion> PgStore::suspicion(ShardId shard) {
  return run([&db = database_, shard] { return read_suspicion(db, shard); });
}

}  // namespace batchd
