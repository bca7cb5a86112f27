// Prices and caps: that they are complete, and what they come to.
#include "config_check.hpp"
#include "config_table.hpp"
#include "config_values.hpp"

#include <algorithm>

namespace batchd {
namespace {

bool has_price(const Config& config, const std::string& model) {
  return std::any_of(config.prices.begin(), config.prices.end(), [&](const PriceConfig& price) { return price.model == model; });
}

}  // namespace

MoneyRules money_rules(const Config& config) {
  MoneyRules rules;
  if (config.prices.empty()) return rules;
  for (const PriceConfig& price : config.prices)
    rules.prices[price.model] = {price.input, price.cached_input.value_or(price.input), price.output, price.max_output};
  rules.daily = config.budget.daily;
  rules.per_job = config.budget.per_job;
  rules.strict = config.budget.strict;
  rules.assumed_output = config.budget.assumed_output;
  rules.max_output = config.budget.max_output;
  return rules;
}

std::vector<std::string> models_without_price(const Config& config) {
  if (!config.budget.daily && !config.budget.per_job) return {};
  std::vector<std::string> missing;
  for (const DeploymentConfig& deployment : config.deployments) {
    const bool told = std::find(missing.begin(), missing.end(), deployment.model) != missing.end();
    if (!deployment.model.empty() && !told && !has_price(config, deployment.model)) missing.push_back(deployment.model);
  }
  return missing;
}

void check_money(const Desk& desk, const Config& config, std::vector<std::string>& warnings) {
  for (std::size_t i = 0; i < config.prices.size(); ++i) {
    const std::string path = "prices[" + std::to_string(i) + "].";
    for (const char* const name : {"input", "output"}) {
      if (desk.given.contains(path + name)) continue;
      desk.report(path + name, "prices." + config.prices[i].model + "." + name, "",
                  expected_value(*find_config_key(prices_section, name)));
    }
    const std::string& model = config.prices[i].model;
    const bool served =
        config.deployments.empty() || std::any_of(config.deployments.begin(), config.deployments.end(),
                                                  [&](const DeploymentConfig& deployment) { return deployment.model == model; });
    if (!served) warnings.push_back("prices." + model + " is the price of a model that no deployment serves");
  }
  for (const std::string& model : models_without_price(config)) {
    const std::string key = config.budget.daily ? "budget.daily" : "budget.per_job";
    desk.report(key, key, "no price for the model " + in_quotes(model),
                "[prices.\"" + model + "\"] with `input` and `output`: a cap cannot count what has no price");
  }
}

}  // namespace batchd
