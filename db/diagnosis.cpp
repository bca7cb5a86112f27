#include "db/diagnosis.hpp"

#include "db/queries.hpp"
#include "db/transaction.hpp"

#include <algorithm>
#include <array>
#include <chrono>

namespace batchd {
namespace {

constexpr int most_files = 200'000;

struct Need {
  std::string_view kind;
  std::string_view name;
  std::string_view privileges;  ///< separated by blanks
};

/// What batchd.apply_grants gives to batchd_worker.
constexpr std::array needs{
    Need{"table", "batchd.schema_migration", "SELECT"},
    Need{"table", "batchd.request", "SELECT"},
    Need{"table", "batchd.request_key", "SELECT"},
    Need{"table", "batchd.instance", "SELECT"},
    Need{"table", "batchd.job_progress", "SELECT"},
    Need{"table", "batchd.totals", "SELECT"},
    Need{"table", "batchd.result", "SELECT"},
    Need{"table", "batchd.request_status", "SELECT"},
    Need{"table", "batchd.pause", "SELECT"},
    Need{"table", "batchd.cancel_wish", "SELECT DELETE"},
    Need{"table", "batchd.answer", "SELECT INSERT"},
    Need{"table", "batchd.queue", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.delta", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.hint", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.flow", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.flow_cursor", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.job_count", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.total", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.retry", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.request_attempt", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.deployment", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.replica", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.role", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.shard", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.shard_member", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.shard_progress", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.file_ceiling", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.unmatched", "SELECT DELETE"},
    Need{"table", "batchd.submission", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.stray", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.orphan_search", "SELECT INSERT UPDATE"},
    Need{"table", "batchd.ended_term", "SELECT INSERT UPDATE"},
    Need{"table", "batchd.clock", "SELECT UPDATE"},
    Need{"table", "batchd.price", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.budget", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.money_day", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.money_job", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.money_deployment", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.shard_money", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.money_wait", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.output_size", "SELECT INSERT UPDATE DELETE"},
    Need{"table", "batchd.money_staged", "SELECT"},
    Need{"sequence", "batchd.shard_id", "USAGE"},
    Need{"function", "batchd.is_rewound()", "EXECUTE"},
    Need{"function", "batchd.distrust(text[], boolean)", "EXECUTE"},
    Need{"function", "batchd.is_trusted(text)", "EXECUTE"},
    Need{"function", "batchd.accept_loss()", "EXECUTE"},
    Need{"function", "batchd.cancel_returned(bigint[], boolean)", "EXECUTE"},
    Need{"function", "batchd.cancel_request(bigint)", "EXECUTE"},
    Need{"function", "batchd.cancel_job(text)", "EXECUTE"},
    Need{"function", "batchd.retry_request(bigint)", "EXECUTE"},
    Need{"function", "batchd.retry_job(text)", "EXECUTE"},
    Need{"function", "batchd.set_priority(text, int)", "EXECUTE"},
    Need{"function", "batchd.pause(text)", "EXECUTE"},
    Need{"function", "batchd.resume(text)", "EXECUTE"},
    Need{"function", "batchd.make_partitions(int)", "EXECUTE"},
    Need{"function", "batchd.retire_partition(interval)", "EXECUTE"},
    Need{"function", "batchd.retire_shards(interval)", "EXECUTE"},
    Need{"function", "batchd.place_wishes(int)", "EXECUTE"},
    Need{"function", "batchd.skip_shards(bigint)", "EXECUTE"},
    Need{"function", "batchd.mend_clock(interval, interval)", "EXECUTE"},
    Need{"function", "batchd.reserve_money(bigint, boolean)", "EXECUTE"},
    Need{"function", "batchd.release_money(bigint)", "EXECUTE"},
    Need{"function", "batchd.settle_money(bigint)", "EXECUTE"},
    Need{"function", "batchd.has_moved()", "EXECUTE"},
    Need{"function", "batchd.adopt()", "EXECUTE"},
    Need{"function", "batchd.adopt_as_new_instance(interval)", "EXECUTE"},
};

struct FlatNeeds {
  std::vector<std::string_view> kinds, names, privileges;
};

FlatNeeds flat_needs() {
  FlatNeeds flat;
  for (const Need& need : needs) {
    for (std::string_view rest = need.privileges; !rest.empty();) {
      const std::string_view privilege = rest.substr(0, rest.find(' '));
      rest.remove_prefix(std::min(rest.size(), privilege.size() + 1));
      flat.kinds.push_back(need.kind);
      flat.names.push_back(need.name);
      flat.privileges.push_back(privilege);
    }
  }
  return flat;
}

std::string_view itself(std::string_view text) {
  return text;
}

}  // namespace

ServerFacts Diagnosis::server() {
  return transact(database_, [](Transaction& tx) {
    const auto row = tx.run(queries::server_facts)[0];
    ServerFacts facts;
    facts.version = row[0].as<std::string>();
    facts.version_number = row[1].as<int>();
    facts.standby = row[2].as<bool>();
    facts.read_only = row[3].as<bool>();
    facts.fsync = row[4].as<bool>();
    facts.full_page_writes = row[5].as<bool>();
    facts.user = row[6].as<std::string>();
    facts.synchronous_commit = tx.run(queries::default_synchronous_commit)[0][0].as<std::string>();
    return facts;
  });
}

std::chrono::microseconds Diagnosis::round_trip() {
  return transact(database_, [](Transaction& tx) {
    auto quickest = std::chrono::microseconds::max();
    for (int i = 0; i < 5; ++i) {
      const auto asked = std::chrono::steady_clock::now();
      tx.run(queries::clock);
      quickest =
          std::min(quickest, std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - asked));
    }
    return quickest;
  });
}

Milliseconds Diagnosis::clock_ahead() {
  return transact(database_, [](Transaction& tx) {
    const auto before = std::chrono::system_clock::now().time_since_epoch();
    const Milliseconds theirs{tx.run(queries::clock)[0][0].as<std::int64_t>()};
    const auto after = std::chrono::system_clock::now().time_since_epoch();
    return theirs - std::chrono::duration_cast<Milliseconds>((before + after) / 2);
  });
}

std::vector<std::string> Diagnosis::missing_grants() {
  return transact(database_, [](Transaction& tx) {
    std::vector<std::string> missing;
    if (!tx.run(queries::may_use_schema)[0][0].as<bool>()) return std::vector<std::string>{"schema batchd: USAGE"};
    const FlatNeeds flat = flat_needs();
    for (const auto& row : tx.run(queries::missing_grants, text_array_of(flat.kinds, itself), text_array_of(flat.names, itself),
                                  text_array_of(flat.privileges, itself))) {
      missing.push_back(row[0].as<std::string>());
    }
    return missing;
  });
}

std::optional<bool> Diagnosis::is_worker() {
  return transact(database_, [](Transaction& tx) {
    const auto row = tx.run(queries::worker_membership)[0];
    return row[0].as<bool>() ? std::optional(row[1].as<bool>()) : std::nullopt;
  });
}

InstanceState Diagnosis::instance() {
  return transact(database_, [](Transaction& tx) {
    const auto rows = tx.run(queries::instance_state);
    if (rows.empty()) return InstanceState{};
    return InstanceState{rows[0][0].as<std::string>(), rows[0][1].as<bool>()};
  });
}

std::vector<std::string> Diagnosis::unmatched() {
  return transact(database_, [](Transaction& tx) {
    std::vector<std::string> providers;
    for (const auto& row : tx.run(queries::unmatched)) providers.push_back(row[0].as<std::string>());
    return providers;
  });
}

std::vector<LossLine> Diagnosis::losses() {
  return transact(database_, [](Transaction& tx) {
    std::vector<LossLine> lines;
    for (const char* const question : {queries::lost_batches, queries::lost_shards}) {
      for (const auto& row : tx.run(question)) {
        lines.push_back(
            {row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<std::int64_t>(), row[3].as<std::string>()});
      }
    }
    return lines;
  });
}

std::vector<ReplicaLine> Diagnosis::replicas() {
  return transact(database_, [](Transaction& tx) {
    std::vector<ReplicaLine> lines;
    for (const auto& row : tx.run(queries::replica_lines)) {
      lines.push_back({row[0].as<std::string>(), row[1].as<std::int64_t>(), row[2].as<std::string>(),
                       Milliseconds{row[3].as<std::int64_t>()}});
    }
    return lines;
  });
}

std::vector<DeploymentLine> Diagnosis::deployments() {
  return transact(database_, [](Transaction& tx) {
    std::vector<DeploymentLine> lines;
    for (const auto& row : tx.run(queries::deployment_lines)) {
      lines.push_back({row[0].as<std::string>(), row[1].as<std::string>(), row[2].as<bool>(), row[3].as<Tokens>(),
                       row[4].as<Tokens>(), row[5].as<std::string>(), row[6].as<Tokens>()});
    }
    return lines;
  });
}

std::vector<WaitingLine> Diagnosis::waiting() {
  return transact(database_, [](Transaction& tx) {
    std::vector<WaitingLine> lines;
    for (const auto& row : tx.run(queries::waiting_by_lane)) {
      lines.push_back(
          {{row[0].as<std::string>(), row[1].as<std::string>()}, row[2].as<std::int64_t>(), row[3].as<std::int64_t>()});
    }
    return lines;
  });
}

std::int64_t Diagnosis::submissions_unknown() {
  return transact(database_, [](Transaction& tx) { return tx.run(queries::submissions_unknown)[0][0].as<std::int64_t>(); });
}

BudgetLine Diagnosis::budget() {
  return transact(database_, [](Transaction& tx) {
    const auto row = tx.run(queries::budget_today)[0];
    BudgetLine line;
    line.spent = row[0].as<NanoDollars>();
    line.reserved = row[1].as<NanoDollars>();
    if (!row[2].is_null()) line.daily = row[2].as<NanoDollars>();
    if (!row[3].is_null()) line.per_job = row[3].as<NanoDollars>();
    return line;
  });
}

std::vector<MoneyWait> Diagnosis::money_waits(const std::string& job) {
  return transact(database_, [&](Transaction& tx) {
    std::vector<MoneyWait> waits;
    for (const auto& row : tx.run(queries::money_wait_lines, look_again_for_money.count(), job)) {
      MoneyWait wait;
      wait.model = row[0].as<std::string>();
      wait.job = row[1].as<std::string>();
      wait.needs = row[2].as<NanoDollars>();
      wait.above_cap = row[3].as<bool>();
      waits.push_back(std::move(wait));
    }
    return waits;
  });
}

std::map<std::string, KnownBatch> Diagnosis::known(const std::vector<std::string>& batches) {
  return transact(database_, [&](Transaction& tx) {
    std::map<std::string, KnownBatch> found;
    for (const auto& row : tx.run(queries::shards_of_batches,
                                  text_array_of(batches, [](const std::string& id) -> const std::string& { return id; }))) {
      found[row[0].as<std::string>()] = {row[1].as<std::int64_t>(), row[2].as<int>(), row[3].as<std::string>()};
    }
    return found;
  });
}

std::unordered_set<std::string> Diagnosis::files(const std::string& provider) {
  return transact(database_, [&](Transaction& tx) {
    std::unordered_set<std::string> ids;
    for (const auto& row : tx.run(queries::known_files, provider, most_files)) ids.insert(row[0].as<std::string>());
    return ids;
  });
}

}  // namespace batchd
