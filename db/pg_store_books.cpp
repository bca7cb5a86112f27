// The books: what was posted, what became of it, and the batches that this does not explain.
#include "db/pg_store_books.hpp"

#include "db/absent.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

namespace batchd {
namespace {

constexpr std::int64_t not_told = -1;

std::string_view word_of(StrayKind kind) {
  switch (kind) {
    case StrayKind::duplicate:
      return "duplicate";
    case StrayKind::harmless:
      return "harmless";
    case StrayKind::lost:
      break;
  }
  return "lost";
}

BookEntry to_entry(const pqxx::row& row) {
  BookEntry entry;
  const auto shard = row["shard"].as<std::int64_t>();
  if (shard == 0) return entry;
  entry.shard = ShardId{shard};
  entry.attempt = row["attempt"].as<int>();
  entry.retired = row["retired"].as<bool>();
  entry.recorded = row["recorded"].as<bool>();
  entry.announced = row["announced"].as<bool>();
  entry.batch = remote_id<BatchId>(row, "batch");
  entry.input_file = remote_id<FileId>(row, "input_file");
  if (const auto state = parse_shard_state(row["state"].as<std::string>())) {
    entry.held = BookEntry::Held{*state, row["shard_attempt"].as<int>(), row["intent"].as<bool>(),
                                 remote_id<BatchId>(row, "shard_batch"), row["requests"].as<std::int64_t>()};
  }
  return entry;
}

std::vector<BookEntry> look_up_all(Database& database, const std::string& provider, const std::vector<Claim>& claims) {
  return transact(database, [&](Transaction& tx) {
    std::vector<BookEntry> entries;
    const std::string batches = text_array_of(claims, [](const Claim& c) -> const std::string& { return c.batch.value; });
    const std::string shards = array_of(claims, [](const Claim& c) { return c.shard ? c.shard->value : 0; });
    const std::string attempts = array_of(claims, [](const Claim& c) { return c.attempt; });
    const auto file_of = [](const Claim& c) { return c.input_file ? std::string_view(c.input_file->value) : std::string_view(); };
    const std::string files = text_array_of(claims, file_of);
    for (const auto& row : tx.run(queries::look_up_batches, provider, batches, shards, attempts, files)) {
      entries.push_back(to_entry(row));
    }
    return entries;
  });
}

bool record(Database& database, const std::string& provider, StrayKind kind, const Stray& stray) {
  return transact(database, [&](Transaction& tx) {
    const auto count = [&](std::int64_t RequestCounts::*which) { return stray.counts ? (*stray.counts).*which : not_told; };
    const auto made =
        tx.run(queries::record_stray, provider, stray.batch.value, std::string(word_of(kind)), stray.shard.value, stray.attempt,
               std::string(to_string(stray.status)), text_of(stray.input_file), text_of(stray.output_file),
               text_of(stray.error_file), count(&RequestCounts::total), count(&RequestCounts::completed),
               count(&RequestCounts::failed), stray.created_at.value_or(not_told), stray.over);
    return !made.empty();
  });
}

std::vector<Stray> to_strays(const pqxx::result& rows) {
  std::vector<Stray> strays;
  for (const auto& row : rows) {
    Stray stray;
    stray.batch = BatchId{row["batch_id"].as<std::string>()};
    stray.shard = ShardId{row["shard_id"].as<std::int64_t>()};
    stray.attempt = row["attempt"].as<int>();
    stray.status = parse_batch_status(row["status"].as<std::string>());
    stray.input_file = remote_id<FileId>(row, "input_file");
    stray.output_file = remote_id<FileId>(row, "output_file");
    stray.error_file = remote_id<FileId>(row, "error_file");
    stray.over = row["over"].as<bool>();
    stray.used = row["used"].as<bool>();
    stray.age = Milliseconds{row["age"].as<std::int64_t>()};
    stray.idle = Milliseconds{row["idle"].as<std::int64_t>()};
    stray.holder = parse_shard_state(row["holder"].as<std::string>());
    strays.push_back(std::move(stray));
  }
  return strays;
}

/// The number that a found batch was submitted under, or 0 when that is another shard's by now.
std::int64_t number_of(Transaction& tx, const FoundBatch& found) {
  if (!found.shard || found.shard->value <= 0) return 0;
  tx.run(queries::await_planner, found.provider);
  if (tx.run(queries::number_is_taken, found.shard->value, found.provider)[0][0].as<bool>()) return 0;
  tx.run(queries::skip_shards, found.shard->value);
  return found.shard->value;
}

std::optional<BoundShard> bind(Database& database, Term term, const FoundBatch& found) {
  return transact(
      database,
      [&](Transaction& tx) -> std::optional<BoundShard> {
        // Its name may still be on the role: nobody alive has asked for that yet.
        if (tx.run(queries::is_alive, term.value).empty()) return std::nullopt;
        const auto rows = tx.run(queries::bind_found, term.value, found.provider, found.batch.value, number_of(tx, found),
                                 found.attempt, found.input_file.value, found.model, found.tokens,
                                 array_of(found.lines, [](const CustomId& id) { return id.request.value; }),
                                 array_of(found.lines, [](const CustomId& id) { return id.attempt; }));
        if (rows.empty()) return std::nullopt;
        BoundShard bound;
        if (!rows[0][0].is_null()) bound.id = ShardId{rows[0][0].as<std::int64_t>()};
        bound.requests = rows[0][1].as<std::int64_t>();
        return bound;
      },
      database.settings().bulk_timeout);
}

}  // namespace

bool was_found(const Shard& before, const Shard& after) {
  return after.state == ShardState::submitted && before.state != ShardState::submitted && !before.intent;
}

void keep_books(Transaction& tx, const Shard& before, const Shard& after) {
  if (!before.intent && after.intent) {
    tx.run(queries::announce_submission, after.id.value, after.attempt, after.provider, text_of(after.input_file));
  }
  if (was_found(before, after)) {
    tx.run(queries::found_submission, after.id.value, after.found_attempt, after.provider, text_of(after.input_file),
           text_of(after.batch));
  }
  if (!before.intent || after.intent) return;
  const bool created = after.state == ShardState::submitted;
  // After a fence the file is gone and has to be made anew; a POST that was refused can be made with the same one.
  const bool fenced = after.state == ShardState::planned;
  tx.run(queries::answer_submission, before.id.value, before.attempt,
         std::string(created  ? "created"
                     : fenced ? "fenced"
                              : "not_created"),
         created ? text_of(after.batch) : std::string());
}

Task<std::vector<BookEntry>> PgStore::look_up(std::string_view provider, const std::vector<Claim>& claims) {
  return run([&db = database_, name = std::string(provider), claims] { return look_up_all(db, name, claims); });
}

Task<bool> PgStore::wants_walks(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] {
    return transact(db, [&](Transaction& tx) { return tx.run(queries::wants_walks, name)[0][0].as<bool>(); });
  });
}

Task<bool> PgStore::record_stray(std::string_view provider, StrayKind kind, const Stray& stray) {
  return run([&db = database_, name = std::string(provider), kind, stray] { return record(db, name, kind, stray); });
}

Task<std::vector<Stray>> PgStore::open_strays(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] {
    return transact(db, [&](Transaction& tx) { return to_strays(tx.run(queries::open_strays, name)); });
  });
}

Task<std::vector<Stray>> PgStore::strays_of(ShardId shard) {
  return run([&db = database_, shard] {
    return transact(db, [&](Transaction& tx) { return to_strays(tx.run(queries::strays_of_shard, shard.value)); });
  });
}

Task<void> PgStore::update_stray(std::string_view provider, const Stray& stray, bool done) {
  return run([&db = database_, name = std::string(provider), stray, done] {
    transact(db, [&](Transaction& tx) {
      tx.run(queries::update_stray, name, stray.batch.value, std::string(to_string(stray.status)), text_of(stray.output_file),
             text_of(stray.error_file), stray.over, stray.used, done);
    });
  });
}

Task<std::optional<BoundShard>> PgStore::bind_found(Term term, const FoundBatch& found) {
  return run([&db = database_, term, found] { return bind(db, term, found); });
}

Task<void> PgStore::skip_shards(ShardId through) {
  return run([&db = database_, through] { transact(db, [&](Transaction& tx) { tx.run(queries::skip_shards, through.value); }); });
}

}  // namespace batchd
