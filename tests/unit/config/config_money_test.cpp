#include "config_fixture.hpp"
#include "config_values.hpp"

namespace batchd {
namespace {

using testing::HasSubstr;

constexpr const char* priced = "[prices.\"gpt-4o-mini\"]\ninput = 0.075\ncached_input = \"0.0375\"\noutput = 0.3\n";

class ConfigMoneyTest : public ConfigTest {
 protected:
  LoadedConfig with(const std::string& lines, Environment environment = {}) {
    return load(std::string(working) + lines, std::move(environment));
  }
};

TEST_F(ConfigMoneyTest, NothingIsSaidWhereNothingIsConfigured) {
  EXPECT_EQ(money_rules(with("").config), MoneyRules{});
}

TEST_F(ConfigMoneyTest, PricesAndCapsAreExact) {
  const LoadedConfig loaded =
      with(std::string(priced) + "max_output = \"16K\"\n[budget]\ndaily = 12.5\nper_job = \"0.000000001\"\nstrict = true\n");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  const MoneyRules rules = money_rules(loaded.config);
  const Prices expected{75'000, 37'500, 300'000, 16'000};
  EXPECT_EQ(rules.prices.at("gpt-4o-mini"), expected);
  EXPECT_EQ(rules.daily, 12'500'000'000);
  EXPECT_EQ(rules.per_job, 1);
  EXPECT_TRUE(rules.strict);
  EXPECT_EQ(rules.assumed_output, 2'000);
  EXPECT_EQ(rules.max_output, 128'000);
}

TEST_F(ConfigMoneyTest, WhatIsNotSaidOfTheCacheCostsWhatInputDoes) {
  const LoadedConfig loaded = with("[prices.gpt-4o-mini]\ninput = 1\noutput = 0\n");
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(money_rules(loaded.config).prices.at("gpt-4o-mini").cached_input, 1'000'000);
}

TEST_F(ConfigMoneyTest, EachMistakeIsNamed) {
  struct Case {
    std::string lines;
    const char *key, *found, *expected;
  };
  const std::string good = priced;
  for (const auto& c : std::initializer_list<Case>{
           {"[prices.\"gpt-4o-mini\"]\ninput = -1\noutput = 1", "prices.gpt-4o-mini.input", "-1", "not negative"},
           {"[prices.\"gpt-4o-mini\"]\ninput = 0.0000001\noutput = 1", "prices.gpt-4o-mini.input", "0.0000001",
            "6 decimal places"},
           {"[prices.\"gpt-4o-mini\"]\ninput = \"cheap\"\noutput = 1", "prices.gpt-4o-mini.input", "\"cheap\"", "US dollars"},
           {"[prices.\"gpt-4o-mini\"]\ninput = inf\noutput = 1", "prices.gpt-4o-mini.input", "inf", "US dollars"},
           {"[prices.\"gpt-4o-mini\"]\ninput = 1", "prices.gpt-4o-mini.output", "", "US dollars"},
           {"[prices.\"gpt-4o-mini\"]\ninputs = 1\ninput = 1\noutput = 1", "prices.gpt-4o-mini.inputs", "an unknown key",
            "input, cached_input"},
           {"[prices]\ngpt-4o-mini = 1", "prices", "a value", "[prices.\"MODEL\"]"},
           {good + "[budget]\ndaily = -5", "budget.daily", "-5", "not negative"},
           {good + "[budget]\nstrict = \"yes\"", "budget.strict", "\"yes\"", "true or false"},
           {good + "[budget]\ndayly = 5", "budget.dayly", "an unknown key", "daily"},
           {"[budget]\ndaily = 5", "budget.daily", "no price for the model \"gpt-4o-mini\"", "[prices.\"gpt-4o-mini\"]"},
           {"[budget]\nper_job = 5", "budget.per_job", "no price for the model \"gpt-4o-mini\"", "a cap cannot count"},
           {"[prices.other]\ninput = 1\noutput = 1\n[budget]\ndaily = 5", "budget.daily",
            "no price for the model \"gpt-4o-mini\"", "[prices"},
       }) {
    const auto problem = only_problem(with(c.lines + "\n"));
    EXPECT_EQ(problem.key, c.key) << c.lines;
    EXPECT_EQ(problem.found, c.found) << c.lines;
    EXPECT_THAT(problem.expected, HasSubstr(c.expected)) << c.lines;
  }
}

TEST_F(ConfigMoneyTest, APriceThatNobodyNeedsIsAWarning) {
  const LoadedConfig loaded = with(std::string(priced) + "[prices.other]\ninput = 1\noutput = 1\n");
  EXPECT_TRUE(loaded.ok());
  ASSERT_FALSE(loaded.warnings.empty());
  EXPECT_THAT(loaded.warnings.front(), HasSubstr("prices.other"));
}

TEST_F(ConfigMoneyTest, TheEnvironmentIsStronger) {
  const LoadedConfig loaded =
      with(priced, {{"BATCHD_BUDGET_DAILY", "7"}, {"BATCHD_BUDGET_STRICT", "true"}, {"BATCHD_PRICES_GPT_4O_MINI_OUTPUT", "2.5"}});
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_TRUE(loaded.warnings.empty());
  EXPECT_EQ(loaded.config.budget.daily, 7'000'000'000);
  EXPECT_TRUE(loaded.config.budget.strict);
  EXPECT_EQ(loaded.config.prices.at(0).output, 2'500'000);
}

TEST(Decimals, AreReadExactlyAndWrittenBack) {
  EXPECT_EQ(parse_decimal("12.5", 2), 1250);
  EXPECT_EQ(parse_decimal("0.0375", 6), 37'500);
  EXPECT_EQ(parse_decimal("3", 0), 3);
  EXPECT_EQ(parse_decimal("-1.5", 1), -15);
  EXPECT_EQ(parse_decimal("1.500", 1), 15) << "zeros say nothing";
  for (const char* bad : {"", ".", ".5", "5.", "1.55", "1e3", "+1", " 1", "1 ", "--1", "1.-5", "99999999999999999999"})
    EXPECT_EQ(parse_decimal(bad, 1), std::nullopt) << bad;
  for (const std::int64_t value : {0LL, 1LL, -1LL, 15LL, 1'000'000LL, 123'456'789LL})
    EXPECT_EQ(parse_decimal(format_decimal(value, 6), 6), value);
  EXPECT_EQ(format_decimal(1'500'000, 6), "1.5");
  EXPECT_EQ(format_decimal(37'500, 6), "0.0375");
}

}  // namespace
}  // namespace batchd
