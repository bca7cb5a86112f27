// The tables of migrations/0024_expand_money.sql, as values.
#pragma once

#include "core/money.hpp"
#include "core/output_bound.hpp"
#include "simulation/store/fake_server.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>

namespace batchd::simulation {

/// A row of money_day or money_job.
struct MoneySum {
  NanoDollars reserved = 0;
  NanoDollars spent = 0;
};

/// A row of shard_money, without its key.
struct ShardMoneyRow {
  NanoDollars bound = 0, least = 0, reserved = 0, spent = 0;
  std::optional<std::int64_t> day;  ///< on which it is reserved
};

struct MoneyWaitRow {
  MoneyWait wait;
  Instant noted_at{0};
};

struct FakeMoney {
  MoneyRules rules;
  std::map<std::int64_t, MoneySum> days;
  std::map<std::string, MoneySum> jobs;
  std::map<std::pair<std::int64_t, std::string>, NanoDollars> deployments;  ///< spent, by day and deployment
  std::map<ShardId, std::map<std::string, ShardMoneyRow>> shards;
  std::map<std::pair<std::string, std::string>, MoneyWaitRow> waits;  ///< by model and job
  std::map<std::string, OutputSizes> sizes;                           ///< by model
};

}  // namespace batchd::simulation
