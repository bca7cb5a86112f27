#include "config_fixture.hpp"

namespace batchd {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* with_entra = R"(
[database]
url = "postgresql:///batchd"
[[provider]]
name = "eastus"
kind = "azure-v1"
endpoint = "https://my.openai.azure.com/"
ENTRA
[[deployment]]
name = "mini"
provider = "eastus"
model = "gpt-4o-mini"
enqueued_token_limit = "1B"
)";

std::string entra(const std::string& lines) {
  std::string text = with_entra;
  return text.replace(text.find("ENTRA"), 5, lines);
}

TEST_F(ConfigTest, EntraInsteadOfAKeyTakesLittleMoreThanItsMethod) {
  const auto machine = load(entra("entra = \"managed-identity\""));
  ASSERT_TRUE(machine.ok()) << all(machine);
  EXPECT_EQ(machine.config.providers[0].entra.method, "managed-identity");
  EXPECT_EQ(machine.config.providers[0].entra.scope, "https://cognitiveservices.azure.com/.default");
  EXPECT_EQ(machine.config.providers[0].entra.identity_endpoint, "");
  EXPECT_TRUE(machine.config.providers[0].secret.empty());

  const std::string login = "entra = \"client-secret\"\ntenant_id = \"t\"\nclient_id = \"c\"\n";
  const auto secret = load(entra(login + "client_secret_file = \"KEY\"\nscope = \"https://ai.azure.com/.default\""));
  ASSERT_TRUE(secret.ok()) << all(secret);
  EXPECT_EQ(secret.config.providers[0].entra.client_secret.reveal(), "sk-secret");
  EXPECT_EQ(secret.config.providers[0].entra.authority, "https://login.microsoftonline.com");
  EXPECT_EQ(secret.config.providers[0].entra.scope, "https://ai.azure.com/.default");

  const auto variable = load(entra(login), {{"BATCHD_PROVIDER_EASTUS_CLIENT_SECRET", "from-env"}});
  ASSERT_TRUE(variable.ok()) << all(variable);
  EXPECT_THAT(variable.warnings, IsEmpty());
  EXPECT_EQ(variable.config.providers[0].entra.client_secret.reveal(), "from-env");
}

TEST_F(ConfigTest, WorkloadIdentityIsWhatTheClusterHasSetUnlessTheFileSaysOtherwise) {
  const Environment cluster{{"AZURE_TENANT_ID", "t"},
                            {"AZURE_CLIENT_ID", "c"},
                            {"AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/"},
                            {"AZURE_FEDERATED_TOKEN_FILE", (directory_ / "key").string()}};
  const auto loaded = load(entra("entra = \"workload-identity\""), cluster);
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_THAT(loaded.warnings, IsEmpty());
  const EntraConfig& found = loaded.config.providers[0].entra;
  EXPECT_EQ(found.tenant_id + found.client_id, "tc");
  EXPECT_EQ(found.authority, "https://login.microsoftonline.us");
  EXPECT_EQ(found.token_file, (directory_ / "key").string());

  const auto own = load(entra("entra = \"workload-identity\"\ntenant_id = \"mine\"\ntoken_file = \"/nowhere/token\""), cluster);
  ASSERT_TRUE(own.ok()) << all(own);
  EXPECT_EQ(own.config.providers[0].entra.tenant_id, "mine");
  EXPECT_EQ(own.config.providers[0].entra.client_id, "c");
  ASSERT_EQ(own.warnings.size(), 1U) << "it may be away while it is rotated";
  EXPECT_THAT(own.warnings[0], HasSubstr("/nowhere/token"));

  // What was set for workload identity says nothing about a machine's identities.
  const auto machine = load(entra("entra = \"managed-identity\""), cluster);
  EXPECT_EQ(machine.config.providers[0].entra.client_id, "");
}

TEST_F(ConfigTest, WhatIsMissingForALoginIsSaidAllAtOnce) {
  const auto keys = [](const LoadedConfig& loaded) {
    std::vector<std::string> out;
    for (const auto& problem : loaded.problems) {
      out.push_back(problem.key);
      EXPECT_EQ(problem.where.substr(problem.where.rfind('/')), "/batchd.toml:4") << "where the provider begins";
    }
    return out;
  };
  EXPECT_THAT(
      keys(load(entra("entra = \"client-secret\""))),
      testing::ElementsAre("provider[eastus].tenant_id", "provider[eastus].client_id", "provider[eastus].client_secret_file"));
  const auto workload = load(entra("entra = \"workload-identity\""));
  EXPECT_THAT(keys(workload),
              testing::ElementsAre("provider[eastus].tenant_id", "provider[eastus].client_id", "provider[eastus].token_file"));
  EXPECT_THAT(workload.problems[0].expected, HasSubstr("AZURE_TENANT_ID"));
}

TEST_F(ConfigTest, EntraAndWhatCannotStandBesideIt) {
  struct Mistake {
    std::string lines, key, expected;
  };
  const std::string machine = "entra = \"managed-identity\"\n";
  const std::string login = "entra = \"client-secret\"\ntenant_id = \"t\"\nclient_id = \"c\"\nclient_secret_file = \"KEY\"\n";
  for (const auto& [lines, key, expected] : std::vector<Mistake>{
           {machine + "api_key_file = \"KEY\"", "api_key_file", "one of the two only"},
           {machine + "bearer_token_file = \"KEY\"", "bearer_token_file", "one of the two only"},
           {"api_key_file = \"KEY\"\nbearer_token_file = \"KEY\"", "bearer_token_file", "one of the two only"},
           {machine + "tenant_id = \"t\"", "tenant_id", "belongs to \"client-secret\" or \"workload-identity\""},
           {machine + "client_secret_file = \"KEY\"", "client_secret_file", "belongs to \"client-secret\""},
           {machine + "identity_endpoint = \"http://10.0.0.1\"", "identity_endpoint", "loopback"},
           {machine + "identity_endpoint = \"https://identity.example.com\"", "identity_endpoint", "loopback"},
           {machine + "scope = \"https://cognitiveservices.azure.com\"", "scope", "/.default"},
           {machine + "scope = \"a/.default b/.default\"", "scope", "one scope"},
           {machine + "client_id = \"a b\"", "client_id", "letters, digits"},
           {machine + "object_id = \"a b\"", "object_id", "letters, digits"},
           {machine + "client_id = \"c\"\nobject_id = \"o\"", "object_id", "one of the two only"},
           {machine + "object_id = \"o\"\nmsi_res_id = \"/subscriptions/s\"", "msi_res_id", "one of the two only"},
           {login + "object_id = \"o\"", "object_id", "belongs to \"managed-identity\""},
           {login + "token_file = \"KEY\"", "token_file", "belongs to \"workload-identity\""},
           {login + "identity_endpoint = \"http://127.0.0.1\"", "identity_endpoint", "belongs to \"managed-identity\""},
           {login + "authority = \"http://login.example.com\"", "authority", "https://"},
           {"api_key_file = \"KEY\"\ntenant_id = \"t\"", "tenant_id",
            "entra = \"client-secret\" or \"workload-identity\" beside it"},
           {"entra = \"managed-identiy\"", "entra", "the nearest is \"managed-identity\""},
           {machine + "client_secret = \"hush\"", "client_secret", "a secret does not belong into this file"},
       }) {
    const ConfigProblem problem = only_problem(load(entra(lines)));
    EXPECT_EQ(problem.key, "provider[eastus]." + key) << lines;
    EXPECT_THAT(problem.expected, HasSubstr(expected)) << lines;
    EXPECT_THAT(to_string(problem), testing::Not(HasSubstr("hush")));
  }
  const auto both = load(entra(machine), {{"BATCHD_PROVIDER_EASTUS_API_KEY", "k"}});
  EXPECT_THAT(only_problem(both).found, HasSubstr("BATCHD_PROVIDER_EASTUS_API_KEY"));
  const auto openai = load(replaced(entra(machine), "kind = \"azure-v1\"", "kind = \"openai\""));
  EXPECT_THAT(only_problem(openai).expected, HasSubstr("kind openai knows API keys only"));
  const auto unreadable = load(replaced(entra(login), "\"KEY\"", "\"/nowhere/secret\""));
  EXPECT_THAT(only_problem(unreadable).found, HasSubstr("/nowhere/secret (No such file"));
}

}  // namespace
}  // namespace batchd
