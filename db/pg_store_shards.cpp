// Shards: leasing them, saving what they became, what they hold.
#include "db/absent.hpp"
#include "db/pg_store_books.hpp"
#include "db/pg_store_money.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

namespace batchd {
namespace {

Shard to_shard(const pqxx::row& row) {
  Shard shard;
  shard.id = ShardId{row["id"].as<std::int64_t>()};
  shard.lane = {row["model"].as<std::string>(), row["endpoint"].as<std::string>()};
  shard.deployment = row["deployment"].as<std::string>();
  shard.provider = row["provider"].as<std::string>();
  shard.priority = row["priority"].as<int>();
  shard.state = parse_shard_state(row["state"].as<std::string>()).value();
  shard.attempt = row["attempt"].as<int>();
  shard.requests = row["requests"].as<std::int64_t>();
  shard.bytes = row["bytes"].as<Bytes>();
  shard.tokens = row["tokens"].as<Tokens>();
  shard.reserved = row["reserved"].as<Tokens>();
  shard.intent = row["intent"].as<bool>();
  shard.looks = row["looks"].as<int>();
  shard.input_file = remote_id<FileId>(row, "input_file");
  shard.batch = remote_id<BatchId>(row, "batch_id");
  shard.batch_status = parse_batch_status(row["batch_status"].as<std::string>());
  shard.output_file = remote_id<FileId>(row, "output_file");
  shard.error_file = remote_id<FileId>(row, "error_file");
  shard.finish_reason = parse_finish_reason(row["finish_reason"].as<std::string>()).value();
  shard.error = row["error"].as<std::string>();
  shard.failures = row["failures"].as<int>();
  shard.denials = row["denials"].as<int>();
  shard.short_reads = row["short_reads"].as<int>();
  shard.intent_age = Milliseconds{row["intent_age"].as<std::int64_t>()};
  shard.state_age = Milliseconds{row["state_age"].as<std::int64_t>()};
  shard.unwanted = row["unwanted"].as<bool>();
  shard.hurried = row["hurried"].as<bool>();
  shard.doubtful = row["doubtful"].as<bool>();
  return shard;
}

Shard to_shard(const pqxx::row& row, Term lease) {
  Shard shard = to_shard(row);
  shard.lease = lease;
  return shard;
}

std::vector<Shard> lease_shards(Database& database, Term term, ShardState state, int most, const std::vector<ShardId>& busy) {
  return transact(database, [&](Transaction& tx) {
    std::vector<Shard> shards;
    const std::string held = array_of(busy, [](ShardId id) { return id.value; });
    for (const auto& row : tx.run(queries::lease_shards, term.value, std::string(to_string(state)), most, held)) {
      shards.push_back(to_shard(row, term));
    }
    return shards;
  });
}

std::optional<Shard> lease_given(Database& database, Term term, ShardId shard, ShardState state) {
  return transact(database, [&](Transaction& tx) {
    const auto rows = tx.run(queries::lease_one, term.value, shard.value, std::string(to_string(state)));
    return rows.empty() ? std::nullopt : std::optional(to_shard(rows[0], term));
  });
}

/// Thrown to roll a transaction back when the work turns out not to be possible.
struct NoRoom {};
struct NoMoney {};
struct Forgotten {};

void release_members(Transaction& tx, const Shard& shard) {
  const auto decided = tx.run(queries::release_progress, shard.id.value);
  const auto count = decided.empty() ? 0 : decided[0][0].as<std::int64_t>();
  if (count != shard.requests) {
    throw StoreError("shard " + std::to_string(shard.id.value) + " cannot be merged: " + std::to_string(count) + " of " +
                     std::to_string(shard.requests) + " requests are decided");
  }
  tx.run(queries::release_members, shard.id.value);
}

SaveResult save_in(Transaction& tx, Term term, const Shard& before, const Shard& after, bool keep_lease) {
  const auto saved = tx.run(queries::save_shard, before.id.value, term.value, std::string(to_string(before.state)),
                            before.attempt, before.intent, std::string(to_string(after.state)), after.attempt, after.bytes,
                            after.tokens, after.reserved, after.intent, after.looks, text_of(after.input_file),
                            text_of(after.batch), std::string(to_string(after.batch_status)), text_of(after.output_file),
                            text_of(after.error_file), std::string(to_string(after.finish_reason)), after.error, after.failures,
                            after.due_in.count(), keep_lease, before.reserved, after.denials, after.short_reads);
  if (saved.empty()) return SaveResult::lost;
  keep_books(tx, before, after);
  const Tokens growth = after.reserved - before.reserved;
  if (was_found(before, after)) {
    tx.run(queries::reserve_enqueued, saved[0][0].as<std::string>(), growth);
  } else if (before.state == ShardState::submitted && after.state == ShardState::finished) {
    tx.run(queries::release_room, saved[0][0].as<std::string>(), -growth, after.id.value);
  } else if (growth != 0 &&
             tx.run(queries::move_reservation, saved[0][0].as<std::string>(), growth, after.id.value).affected_rows() == 0) {
    throw NoRoom{};
  }
  if (before.state == ShardState::submitted && after.state == ShardState::finished)
    tx.run(queries::hurry_refused_for_room, saved[0][0].as<std::string>(), std::string(no_room_code));
  if (after.state == ShardState::merged && before.state != ShardState::merged) release_members(tx, after);
  // Last: the day's row is everybody's.
  if (!move_money(tx, before, after)) throw NoMoney{};
  return SaveResult::saved;
}

/// Lets what must not be forgotten (a POST, and that answers are stored whose files go next) be written only to a database that
/// remembers all that this term was told was kept; returns the beat that counts it.
std::int64_t count_beat(Transaction& tx, Term term, std::int64_t confirmed) {
  const auto counted = tx.run(queries::count_beat, term.value, confirmed);
  if (counted.empty()) throw Forgotten{};
  return counted[0][0].as<std::int64_t>();
}

SaveResult save_shard(Database& database, Beats& known, Term term, const Shard& before, const Shard& after, bool keep_lease) {
  const bool announces = after.intent && !before.intent;
  const bool merges = after.state == ShardState::merged && before.state != ShardState::merged;
  std::int64_t beat = 0;
  try {
    const SaveResult result = transact(database, [&](Transaction& tx) {
      if (announces || merges) beat = count_beat(tx, term, known.confirmed(term));
      return save_in(tx, term, before, after, keep_lease);
    });
    if (announces || merges) known.confirm(term, beat);
    return result;
  } catch (const NoRoom&) {
    return SaveResult::no_room;
  } catch (const NoMoney&) {
    note_unaffordable(database, term, before.id);
    return SaveResult::no_money;
  } catch (const Forgotten&) {
    return SaveResult::lost;
  }
}

ShardContents read_contents(Database& database, ShardId shard) {
  return transact(database, [&](Transaction& tx) {
    std::vector<MemberChunk> chunks;
    for (const auto& row : tx.run(queries::shard_members, shard.value)) {
      auto ranges = parse_multirange(row[1].as<std::string>());
      if (!ranges) throw StoreError("shard " + std::to_string(shard.value) + " has unreadable members");
      chunks.push_back({FlowId{row[0].as<std::int64_t>()}, std::move(*ranges)});
    }
    ShardContents contents;
    contents.members = Members(std::move(chunks));
    const auto size = contents.members.size();
    const auto decided = tx.run(queries::shard_decided, shard.value);
    contents.decided = decided.empty() ? Bitmap(size) : Bitmap(from_hex(decided[0][0].as<std::string>()), size);
    for (const auto& row : tx.run(queries::member_attempts, shard.value)) {
      contents.attempts.emplace(RequestId{row[0].as<std::int64_t>()}, row[1].as<int>());
    }
    contents.tariff = read_tariff(tx, shard);
    return contents;
  });
}

std::vector<LiveBatch> read_live_batches(Database& database, const std::string& provider) {
  return transact(database, [&](Transaction& tx) {
    std::vector<LiveBatch> batches;
    for (const auto& row : tx.run(queries::live_batches, provider)) {
      batches.push_back({ShardId{row[0].as<std::int64_t>()}, BatchId{row[1].as<std::string>()},
                         parse_batch_status(row[2].as<std::string>()), row[3].as<bool>()});
    }
    return batches;
  });
}

void write_status(Database& database, Term term, const std::vector<LiveBatch>& batches) {
  if (batches.empty()) return;
  transact(database, [&](Transaction& tx) {
    tx.run(queries::note_status, array_of(batches, [](const LiveBatch& b) { return b.shard.value; }),
           text_array_of(batches, [](const LiveBatch& b) -> const std::string& { return b.batch.value; }),
           text_array_of(batches, [](const LiveBatch& b) { return to_string(b.status); }), term.value);
  });
}

void note_file_ceiling(Database& database, const std::string& provider) {
  transact(database, [&](Transaction& tx) {
    tx.run(queries::file_ceiling_reached, provider);
    tx.run(queries::hurry_deletions, provider);
  });
}

}  // namespace

Task<std::vector<Shard>> PgStore::lease(Term term, ShardState state, int most, const std::vector<ShardId>& busy) {
  return run([&db = database_, term, state, most, busy] { return lease_shards(db, term, state, most, busy); });
}

Task<std::optional<Shard>> PgStore::lease_one(Term term, ShardId shard, ShardState state) {
  return run([&db = database_, term, shard, state] { return lease_given(db, term, shard, state); });
}

Task<SaveResult> PgStore::save(Term term, const Shard& before, const Shard& after, bool keep_lease) {
  return run([&db = database_, &beats = beats_, term, before, after, keep_lease] {
    return save_shard(db, beats, term, before, after, keep_lease);
  });
}

Task<ShardContents> PgStore::contents(ShardId shard) {
  return run([&db = database_, shard] { return read_contents(db, shard); });
}

Task<std::vector<LiveBatch>> PgStore::live_batches(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] { return read_live_batches(db, name); });
}

Task<void> PgStore::file_ceiling_reached(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] { note_file_ceiling(db, name); });
}

Task<void> PgStore::note_status(Term term, const std::vector<LiveBatch>& batches) {
  return run([&db = database_, term, batches] { write_status(db, term, batches); });
}

}  // namespace batchd
