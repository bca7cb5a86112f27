#include "cli/run_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "support/temp_dir.hpp"

namespace batchd {
namespace {

using ::testing::HasSubstr;

const Environment openai{{"OPENAI_API_KEY", "k"}};
const Environment azure{{"AZURE_OPENAI_API_KEY", "k"}, {"AZURE_OPENAI_ENDPOINT", "https://x.openai.azure.com/"}};

std::string fault(const RunOptions& options, const Environment& environment) {
  try {
    run_config({}, options, environment);
  } catch (const CommandError& error) {
    EXPECT_EQ(error.code(), exit_usage);
    return error.what();
  }
  return "";
}

TEST(RunConfig, AKeyIsEnoughForOpenAI) {
  const Config config = run_config({}, {}, openai);
  ASSERT_EQ(config.providers.size(), 1U);
  const ProviderConfig& provider = config.providers.front();
  EXPECT_EQ(provider.kind, "openai");
  EXPECT_EQ(provider.endpoint, "https://api.openai.com");
  EXPECT_EQ(provider.secret.reveal(), "k");
  EXPECT_EQ(provider.api_version, "");
}

TEST(RunConfig, TheOfficialClientsVariablesAreRead) {
  Environment environment = openai;
  environment["OPENAI_BASE_URL"] = "https://proxy.example/v1";
  environment["OPENAI_ORG_ID"] = "org-1";
  environment["OPENAI_PROJECT_ID"] = "proj_1";
  const Config config = run_config({}, {}, environment);
  EXPECT_EQ(config.providers.front().endpoint, "https://proxy.example/v1");
  EXPECT_EQ(config.providers.front().organization, "org-1");
  EXPECT_EQ(config.providers.front().project, "proj_1");

  environment = azure;
  EXPECT_EQ(run_config({}, {}, environment).providers.front().api_version, "2024-10-21");
  environment["OPENAI_API_VERSION"] = "2025-03-01-preview";
  EXPECT_EQ(run_config({}, {}, environment).providers.front().api_version, "2025-03-01-preview");
  EXPECT_EQ(run_config({}, {}, environment).providers.front().endpoint, "https://x.openai.azure.com");
}

TEST(RunConfig, FlagsAreStronger) {
  RunOptions options;
  options.endpoint = "https://y.openai.azure.com";
  options.api_version = "2024-06-01";
  Environment environment = azure;
  environment["OPENAI_API_VERSION"] = "2025-03-01-preview";
  environment["OPENAI_API_KEY"] = "other";
  const ProviderConfig provider = run_config({}, options, environment).providers.front();
  EXPECT_EQ(provider.kind, "azure");
  EXPECT_EQ(provider.endpoint, "https://y.openai.azure.com");
  EXPECT_EQ(provider.api_version, "2024-06-01");
  EXPECT_EQ(provider.secret.reveal(), "k");

  options.api_version.clear();
  options.endpoint = "https://y.openai.azure.com/openai/v1";
  EXPECT_EQ(run_config({}, options, environment).providers.front().kind, "azure-v1");
}

TEST(RunConfig, WhatIsMissingOrAmbiguousIsAUsageError) {
  EXPECT_THAT(fault({}, {}), HasSubstr("OPENAI_API_KEY"));
  Environment both = azure;
  both.insert(openai.begin(), openai.end());
  EXPECT_THAT(fault({}, both), HasSubstr("--kind"));
  RunOptions options;
  options.kind = "azure";
  EXPECT_THAT(fault(options, {{"AZURE_OPENAI_API_KEY", "k"}}), HasSubstr("AZURE_OPENAI_ENDPOINT"));
  options.endpoint = "http://x.example";
  EXPECT_THAT(fault(options, azure), HasSubstr("endpoint"));
}

TEST(RunConfig, DefaultsOfItsOwnAndWhatIsStronger) {
  Config config = run_config({}, {}, openai);
  EXPECT_EQ(config.planner.linger, Milliseconds(1000));
  EXPECT_EQ(config.http.listen, "127.0.0.1:0");
  EXPECT_EQ(config.poll.interval, Milliseconds(60'000));
  // What was paid for is not forgotten because of what somebody set for a service.
  EXPECT_GT(config.retention.settled, std::chrono::hours(24 * 3650));
  Environment environment = openai;
  environment["BATCHD_PLANNER_LINGER"] = "5s";
  environment["BATCHD_RETENTION_SETTLED"] = "1d";
  environment["BATCHD_HTTP_LISTEN"] = "127.0.0.1:9464";
  config = run_config({}, {}, environment);
  EXPECT_EQ(config.planner.linger, Milliseconds(5000));
  EXPECT_GT(config.retention.settled, std::chrono::hours(24 * 3650));
  EXPECT_EQ(config.http.listen, "127.0.0.1:0");
}

TEST(RunConfig, AFileNamesTheProviderAndItsDatabaseIsNotUsed) {
  const testing::TempDir dir;
  const std::string file = (dir.path() / "batchd.toml").string();
  std::ofstream(dir.path() / "key") << "from-file\n";
  std::ofstream(file)
      << "[database]\nurl_file = \"/nowhere\"\n[planner]\nlinger = \"30s\"\n[[provider]]\nname = \"east\"\nkind = \"azure\"\n"
      << "endpoint = \"https://east.openai.azure.com\"\napi_version = \"2024-10-21\"\napi_key_file = \""
      << (dir.path() / "key").string() << "\"\n";
  CommonOptions common;
  common.config = file;
  Config config = run_config(common, {}, openai);
  EXPECT_EQ(config.providers.front().name, "east");
  EXPECT_EQ(config.providers.front().secret.reveal(), "from-file");
  EXPECT_EQ(config.planner.linger, Milliseconds(30'000));
  RunOptions options;
  options.endpoint = "https://west.openai.azure.com";
  config = run_config(common, options, openai);
  EXPECT_EQ(config.providers.front().endpoint, "https://west.openai.azure.com");
}

TEST(RunConfig, EachModelGetsADeployment) {
  const std::vector<ModelUse> models{{"gpt-4o", 2, 1}, {"gpt-4o-mini", 3, 2}};
  Config config = run_config({}, {}, openai);
  serve_models(config, {}, models);
  ASSERT_EQ(config.deployments.size(), 2U);
  EXPECT_EQ(config.deployments[1].name, "gpt-4o-mini");
  EXPECT_EQ(config.deployments[1].model, "gpt-4o-mini");
  EXPECT_EQ(config.deployments[1].enqueued_token_limit, run_token_limit_openai);

  RunOptions options;
  options.deployments = {"gpt-4o=big"};
  options.token_limit = "90K";
  config = run_config({}, {}, azure);
  serve_models(config, options, models);
  EXPECT_EQ(config.deployments[0].name, "big");
  EXPECT_EQ(config.deployments[1].name, "gpt-4o-mini");
  EXPECT_EQ(config.deployments[0].enqueued_token_limit, 90'000);
}

TEST(RunConfig, OneNameIsNotEnoughForTwoModels) {
  RunOptions options;
  options.deployments = {"batch"};
  Config config = run_config({}, {}, azure);
  EXPECT_THROW(serve_models(config, options, {{"a", 1, 1}, {"b", 1, 2}}), CommandError);
  config.deployments.clear();
  serve_models(config, options, {{"a", 1, 1}});
  EXPECT_EQ(config.deployments.front().name, "batch");
  EXPECT_EQ(default_model(options), "batch");
}

TEST(RunConfig, AModelThatTheFilesDeploymentsDoNotServeIsAnError) {
  Config config = run_config({}, {}, azure);
  config.deployments.push_back({"batch", "azure", "a", 1000});
  serve_models(config, {}, {{"a", 1, 1}});
  try {
    serve_models(config, {}, {{"a", 1, 1}, {"b", 1, 7}});
    FAIL();
  } catch (const CommandError& error) {
    EXPECT_THAT(error.what(), HasSubstr("line 7: \"b\""));
  }
}

}  // namespace
}  // namespace batchd
