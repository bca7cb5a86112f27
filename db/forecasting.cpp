#include "db/forecasting.hpp"

#include "core/tokens.hpp"
#include "db/pg_store_money.hpp"
#include "db/queries.hpp"
#include "db/transaction.hpp"

namespace batchd {

ModelOutlook Forecasting::model(const std::string& model) {
  return transact(database_, [&](Transaction& tx) {
    ModelOutlook outlook;
    const auto row = tx.run(queries::model_outlook, model, planned_tokens_per_byte)[0];
    if (!row[0].is_null()) outlook.sizes = sizes_of(row[0].as<std::string>());
    if (!row[1].is_null()) outlook.turnaround = Milliseconds{row[1].as<std::int64_t>()};
    outlook.ahead = row[2].as<Tokens>();
    return outlook;
  });
}

std::set<std::string> Forecasting::known(const std::string& job, const std::vector<std::string>& keys) {
  return transact(database_, [&](Transaction& tx) {
    const auto itself = [](const std::string& key) -> const std::string& { return key; };
    std::set<std::string> known;
    for (const auto& row : tx.run(queries::known_keys, job, text_array_of(keys, itself))) known.insert(row[0].as<std::string>());
    return known;
  });
}

std::optional<CapState> Forecasting::day() {
  return transact(database_, [](Transaction& tx) {
    const auto today = tx.run(queries::budget_today);
    if (today[0][2].is_null()) return std::optional<CapState>{};
    const auto reserved = today[0][1].as<NanoDollars>();
    CapState state;
    state.cap = today[0][2].as<NanoDollars>();
    state.committed = today[0][0].as<NanoDollars>() + reserved;
    state.outstanding = reserved > 0;
    return std::optional(state);
  });
}

}  // namespace batchd
