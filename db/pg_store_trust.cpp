// Terms, and how far the database can be believed: it may have forgotten what it once confirmed.
#include "db/pg_store_run.hpp"
#include "db/queries.hpp"

#include <random>

namespace batchd {
namespace {

Term random_term() {
  std::random_device source;
  const auto bits = (static_cast<std::uint64_t>(source()) << 32U) | source();
  return Term{static_cast<std::int64_t>(bits >> 1U)};  // positive, so that it reads well in logs
}

std::string names(const std::vector<std::string>& providers) {
  return text_array_of(providers, [](const std::string& name) -> const std::string& { return name; });
}

Term join_replica(Database& database, Beats& known, const ReplicaInfo& replica) {
  std::string instance;
  const Term joined = transact(database, [&](Transaction& tx) {
    for (;;) {
      const Term term = random_term();
      const auto rows = tx.run(queries::join_replica, term.value, replica.host, replica.pid, replica.version);
      if (rows.empty()) continue;
      instance = rows[0][0].as<std::string>();
      if (!replica.providers.empty()) tx.run(queries::distrust, names(replica.providers), false);
      return term;
    }
  });
  known.begin(joined, instance);
  return joined;
}

/// Whether the database has forgotten that a term which is not alive has ever been, or how long it had lived.
bool is_forgotten(Transaction& tx, const Beats& known, Term term) {
  const std::string instance = known.instance(term);
  return !instance.empty() && !tx.run(queries::end_unknown_term, term.value, instance, known.confirmed(term)).empty();
}

Standing beat(Database& database, Beats& known, Term term) {
  std::int64_t beats = 0;
  const Standing standing = transact(database, [&](Transaction& tx) {
    const auto rows = tx.run(queries::beat, term.value);
    if (rows.empty()) {
      if (!is_forgotten(tx, known, term)) return Standing::buried;
    } else {
      beats = rows[0][0].as<std::int64_t>();
      const bool other_history = rows[0][1].as<bool>();
      if (beats > known.confirmed(term) && !other_history) return Standing::alive;
    }
    tx.run(queries::distrust, std::string("{}"), true);
    tx.run(queries::remove_replica, term.value);
    return Standing::rewound;
  });
  if (standing == Standing::alive) {
    known.confirm(term, beats);
  } else {
    known.forget(term);
  }
  return standing;
}

std::vector<Unmatched> read_unmatched(Database& database) {
  return transact(database, [](Transaction& tx) {
    std::vector<Unmatched> unmatched;
    for (const auto& row : tx.run(queries::unmatched)) {
      unmatched.push_back({row[0].as<std::string>(), row[1].as<std::string>() == "rewound", row[2].as<std::string>()});
    }
    return unmatched;
  });
}

}  // namespace

Task<Term> PgStore::join(const ReplicaInfo& replica) {
  return run_on(heartbeat_.pool,
                [&db = heartbeat_.database, &beats = beats_, replica] { return join_replica(db, beats, replica); });
}

Task<Standing> PgStore::heartbeat(Term term) {
  return run_on(heartbeat_.pool, [&db = heartbeat_.database, &beats = beats_, term] { return beat(db, beats, term); });
}

Task<void> PgStore::distrust() {
  return run([&db = database_] { transact(db, [](Transaction& tx) { tx.run(queries::distrust, std::string("{}"), true); }); });
}

Task<std::vector<Unmatched>> PgStore::unmatched() {
  return run([&db = database_] { return read_unmatched(db); });
}

Task<void> PgStore::matched(Term term, const Unmatched& provider) {
  return run([&db = database_, term, name = provider.provider, mark = provider.mark] {
    transact(db, [&](Transaction& tx) { tx.run(queries::matched, name, mark, term.value); });
  });
}

}  // namespace batchd
