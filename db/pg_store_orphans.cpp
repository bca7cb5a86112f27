// Files at a provider that no shard knows of: when to look for them, and what the books say about them.
#include "core/orphan.hpp"
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

namespace batchd {
namespace {

std::optional<OrphanTask> find_task(Database& database, const std::string& provider) {
  return transact(database, [&](Transaction& tx) {
    const auto rows = tx.run(queries::orphans_due, provider);
    return rows.empty() ? std::nullopt : std::optional(OrphanTask{rows[0][0].as<std::string>()});
  });
}

FileBooks read_books(Database& database, const std::string& provider, const std::vector<ShardId>& shards) {
  return transact(database, [&](Transaction& tx) {
    FileBooks books;
    const auto state = tx.run(queries::books_trusted, provider);
    books.trusted = !state.empty() && state[0][0].as<bool>();
    if (!books.trusted) return books;
    const std::string ids = array_of(shards, [](ShardId id) { return id.value; });
    for (const auto& row : tx.run(queries::needed_inputs, ids, provider)) books.needed.insert(FileId{row[0].as<std::string>()});
    for (const auto& row : tx.run(queries::file_owners, ids)) {
      FileOwner owner;
      auto file = row[1].as<std::string>();
      if (!file.empty()) owner.input_file = FileId{std::move(file)};
      owner.attempt = row[2].as<int>();
      owner.planned = row[3].as<bool>();
      owner.uploading = row[4].as<bool>();
      books.shards.emplace(ShardId{row[0].as<std::int64_t>()}, std::move(owner));
    }
    return books;
  });
}

FileSlots read_slots(Database& database, const std::string& provider) {
  return transact(database, [&](Transaction& tx) {
    const auto rows = tx.run(queries::file_slots, provider);
    FileSlots slots;
    slots.inputs = rows[0][0].as<std::int64_t>();
    slots.results = rows[0][1].as<std::int64_t>();
    slots.coming = rows[0][2].as<std::int64_t>();
    if (!rows[0][3].is_null()) slots.others = rows[0][3].as<std::int64_t>();
    if (!rows[0][4].is_null()) slots.counted = Milliseconds{rows[0][4].as<std::int64_t>()};
    return slots;
  });
}

}  // namespace

Task<void> PgStore::suspect_orphans(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] {
    transact(db, [&](Transaction& tx) { tx.run(queries::suspect_orphans, name); });
  });
}

Task<std::optional<OrphanTask>> PgStore::orphans_due(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] { return find_task(db, name); });
}

Task<FileBooks> PgStore::file_books(std::string_view provider, const std::vector<ShardId>& shards) {
  return run([&db = database_, name = std::string(provider), shards] { return read_books(db, name, shards); });
}

Task<FileSlots> PgStore::file_slots(std::string_view provider) {
  return run([&db = database_, name = std::string(provider)] { return read_slots(db, name); });
}

Task<void> PgStore::orphans_swept(Term term, std::string_view provider, const OrphanTask& task, std::int64_t others) {
  return run([&db = database_, term, name = std::string(provider), mark = task.mark, others] {
    transact(db, [&](Transaction& tx) { tx.run(queries::orphans_swept, term.value, name, mark, others); });
  });
}

}  // namespace batchd
