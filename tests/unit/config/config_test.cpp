#include "config_fixture.hpp"

#include "config_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

namespace batchd {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ConfigTest, AShortFileIsEnoughAndTheRestIsDefaults) {
  const auto loaded = load(working);
  ASSERT_THAT(loaded.problems, IsEmpty()) << all(loaded);
  EXPECT_THAT(loaded.warnings, IsEmpty());
  const Config& c = loaded.config;
  EXPECT_EQ(c.database.url, "postgresql:///batchd");
  EXPECT_EQ(c.database.listen_url, c.database.url);
  EXPECT_EQ(c.database.migrate_url, c.database.url);
  EXPECT_EQ(c.database.pool, 4);
  EXPECT_EQ(c.http.listen, "127.0.0.1:9464");
  ASSERT_EQ(c.providers.size(), 1U);
  EXPECT_EQ(c.providers[0].endpoint, "https://my.openai.azure.com");
  EXPECT_EQ(c.providers[0].secret.reveal(), "sk-secret");
  ASSERT_EQ(c.deployments.size(), 1U);
  EXPECT_EQ(c.deployments[0].enqueued_token_limit, 1'000'000'000);
  EXPECT_EQ(c.planner.linger, Milliseconds(30'000));
  EXPECT_EQ(c.planner.max_requests, 100'000);
  EXPECT_EQ(c.planner.max_bytes, 200'000'000);
  EXPECT_EQ(c.planner.unroutable_after, std::chrono::hours(24));
  EXPECT_EQ(c.poll.interval, std::chrono::seconds(60));
  EXPECT_EQ(c.poll.file_interval, std::chrono::seconds(1));
  EXPECT_EQ(c.retry.max_attempts, 5);
  EXPECT_EQ(c.retry.base_delay, std::chrono::seconds(10));
  EXPECT_EQ(c.retry.max_delay, std::chrono::hours(1));
  EXPECT_EQ(c.retry.settle_window, std::chrono::minutes(2));
  EXPECT_EQ(c.retry.on_unknown, "fence");
  EXPECT_EQ(c.lease.ttl, std::chrono::seconds(10));
  EXPECT_EQ(c.limits.memory, 32 << 20);
  EXPECT_EQ(c.limits.disk, std::int64_t{2} << 30);
  EXPECT_FALSE(c.limits.state_dir.empty());
  EXPECT_EQ(c.retention.settled, std::chrono::hours(24 * 30));
  EXPECT_EQ(c.retention.remote_files, "delete");
  EXPECT_EQ(c.retention.remote_delay, Milliseconds(0));
  EXPECT_EQ(c.log.level, "info");
  EXPECT_EQ(c.log.format, "auto");
}

TEST_F(ConfigTest, FiveMistakesAreFiveProblemsEachWithKeyExpectationAndNearestKey) {
  std::string text =
      replaced(working, "endpoint = \"https://my.openai.azure.com/\"", "endpoint = \"http://my.openai.azure.com\"");
  text = replaced(text, "api_key_file = \"KEY\"\n", "");
  text = replaced(text, "provider = \"eastus\"", "provider = \"eastsu\"");
  text += "[poll]\nintervall = \"60s\"\n[planner]\nlinger = 30\n";
  const auto loaded = load(text);
  ASSERT_EQ(loaded.problems.size(), 5U) << all(loaded);
  const auto expect = [&](std::size_t i, const char* key, const char* expected, const char* nearest) {
    EXPECT_EQ(loaded.problems[i].key, key);
    EXPECT_THAT(loaded.problems[i].expected, HasSubstr(expected));
    EXPECT_EQ(loaded.problems[i].nearest, nearest);
  };
  expect(0, "provider[eastus].api_key_file", "BATCHD_PROVIDER_EASTUS_API_KEY", "provider[].api_key_file");
  expect(1, "provider[eastus].endpoint", "https://", "provider[].endpoint");
  expect(2, "deployment[mini].provider", "the nearest is \"eastus\"", "deployment[].provider");
  expect(3, "poll.intervall", "one of interval, file_interval", "poll.interval");
  expect(4, "planner.linger", "a duration in quotes", "planner.linger");
  EXPECT_THAT(loaded.problems[3].where, HasSubstr("batchd.toml:15"));
  EXPECT_THAT(to_string(loaded.problems[3]), HasSubstr("nearest valid key: poll.interval"));
}

TEST_F(ConfigTest, AnUnknownKeyNamesTheNearestEvenInAnotherSection) {
  EXPECT_EQ(only_problem(load(std::string(working) + "[poll]\nlinger = \"1s\"\n")).nearest, "planner.linger");
  EXPECT_EQ(only_problem(load(std::string(working) + "[retry]\nattempts = 3\n")).nearest, "retry.max_attempts");
  EXPECT_EQ(only_problem(load("listen = \"x\"\n" + std::string(working))).nearest, "http.listen");
  EXPECT_EQ(only_problem(load(std::string(working) + "[plannner]\nx = 1\n")).nearest, "planner");
}

TEST_F(ConfigTest, ValuesOfTheWrongKindAreRefusedWithWhatWasFound) {
  struct Case {
    const char* lines;
    const char* key;
    const char* found;
    const char* expected;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"[poll]\ninterval = \"60\"", "poll.interval", "\"60\"", "duration"},
           {"[poll]\ninterval = \"0s\"", "poll.interval", "\"0s\"", "at least 1ms"},
           {"[poll]\ninterval = 60", "poll.interval", "60", "duration in quotes"},
           {"[planner]\nlinger = \"-1s\"", "planner.linger", "\"-1s\"", "duration"},
           {"[planner]\nlinger = \"9999999999999d\"", "planner.linger", "\"9999999999999d\"", "duration"},
           {"[planner]\nmax_requests = \"200K\"", "planner.max_requests", "\"200K\"", "at most 100K"},
           {"[planner]\nmax_requests = 0", "planner.max_requests", "0", "at least 1"},
           {"[planner]\nmax_bytes = \"200MiB\"", "planner.max_bytes", "\"200MiB\"", "at most 200MB"},
           {"[limits]\nmemory = \"64 MiB\"", "limits.memory", "\"64 MiB\"", "size"},
           {"[limits]\nmemory = 1.5", "limits.memory", "1.5", "size"},
           {"[database]\npool = \"4\"", "database.pool", "\"4\"", "whole number"},
           {"[database]\npool = true", "database.pool", "true", "whole number"},
           {"[retry]\nmax_attempts = 0", "retry.max_attempts", "0", "at least 1"},
           {"[retry]\non_unknown = \"wait\"", "retry.on_unknown", "\"wait\"", "\"fence\" or \"hold\""},
           {"[retry]\nbase_delay = \"2h\"", "retry.max_delay", "\"1h\"", "no less than retry.base_delay"},
           {"[retention]\nremote_files = \"kepp\"", "retention.remote_files", "\"kepp\"", "the nearest is \"keep\""},
           {"[limits]\ndisk = \"100MB\"", "limits.disk", "\"100MB\"", "planner.max_bytes"},
           {"[log]\nlevel = \"Info\"", "log.level", "\"Info\"", "\"debug\", \"info\", \"warn\" or \"error\""},
           {"[log]\nlevel = \"\"", "log.level", "\"\"", "one of"},
           {"[http]\nlisten = \"9464\"", "http.listen", "\"9464\"", "127.0.0.1:9464"},
           {"[http]\nlisten = \"example.com:80\"", "http.listen", "\"example.com:80\"", "an address"},
           {"[http]\nlisten = \"127.0.0.1:70000\"", "http.listen", "\"127.0.0.1:70000\"", "a port"},
           {"poll = 3", "deployment[mini].poll", "an unknown key", "one of name"},
           {"[http]\nlisten = [1]", "http.listen", "a value of type array", "text"},
       }) {
    std::string text = working;
    if (std::string(c.lines).starts_with("[database]\n")) {
      text = replaced(text, "[database]\n", std::string(c.lines) + "\n");
    } else {
      text += std::string(c.lines) + "\n";
    }
    const auto problem = only_problem(load(text));
    EXPECT_EQ(problem.key, c.key) << c.lines;
    EXPECT_EQ(problem.found, c.found) << c.lines;
    EXPECT_THAT(problem.expected, HasSubstr(c.expected)) << c.lines;
  }
}

TEST_F(ConfigTest, SectionsOfTheWrongShapeAreRefused) {
  EXPECT_THAT(only_problem(load("poll = 3\n" + std::string(working))).expected, HasSubstr("[poll]"));
  const auto loaded = load(replaced(working, "[[provider]]", "[provider]"));
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(all(loaded), HasSubstr("[[provider]] (in double brackets)"));
}

TEST_F(ConfigTest, WhatIsRequiredIsAskedFor) {
  const auto loaded = load("");
  EXPECT_THAT(all(loaded), HasSubstr("database.url: missing"));
  EXPECT_THAT(all(loaded), HasSubstr("at least one [[provider]]"));
  EXPECT_THAT(all(loaded), HasSubstr("at least one [[deployment]]"));
  EXPECT_EQ(only_problem(load(replaced(working, "model = \"gpt-4o-mini\"\n", ""))).key, "deployment[mini].model");
  EXPECT_EQ(only_problem(load(replaced(working, "name = \"mini\"\n", ""))).key, "deployment[#1].name");
  EXPECT_EQ(only_problem(load(replaced(working, "enqueued_token_limit = \"1B\"",
                                       "enqueued_token_limit = \"1B\"\ndynamic_token_limit = \"900M\"")))
                .key,
            "deployment[mini].dynamic_token_limit");
  EXPECT_EQ(only_problem(load(replaced(working, "enqueued_token_limit = \"1B\"", ""))).key,
            "deployment[mini].enqueued_token_limit");
  EXPECT_EQ(only_problem(load(replaced(working, "endpoint = \"https://my.openai.azure.com/\"", ""))).key,
            "provider[eastus].endpoint");
}

TEST_F(ConfigTest, AMissingFileOrBadSyntaxIsOneProblemOnly) {
  const auto missing = load_config({{}, {}, directory_ / "nowhere.toml"});
  EXPECT_THAT(only_problem(missing).found, HasSubstr("No such file"));
  const auto broken = only_problem(load("[database\nurl = 1\n"));
  EXPECT_THAT(broken.where, HasSubstr("batchd.toml:1"));
  EXPECT_THAT(broken.expected, HasSubstr("TOML"));
}

TEST_F(ConfigTest, NamesAreUniqueAndWellFormed) {
  const std::string again =
      "[[deployment]]\nname = \"mini\"\nprovider = \"eastus\"\nmodel = \"m\"\nenqueued_token_limit = 5\n"
      "[[provider]]\nname = \"eastus\"\nkind = \"openai\"\napi_key_file = \"KEY\"\n";
  const auto loaded = load(working + again);
  ASSERT_EQ(loaded.problems.size(), 2U) << all(loaded);
  EXPECT_THAT(loaded.problems[0].found, HasSubstr("\"mini\" a second time"));
  EXPECT_THAT(loaded.problems[1].found, HasSubstr("\"eastus\" a second time"));
  EXPECT_THAT(only_problem(load(replaced(working, "\"mini\"", "\"mini one\""))).expected, HasSubstr("letters, digits"));
}

TEST_F(ConfigTest, AzureNeedsAnApiVersionAndOthersMustNotHaveOne) {
  EXPECT_EQ(only_problem(load(replaced(working, "api_version = \"2024-10-21\"", ""))).key, "provider[eastus].api_version");
  EXPECT_EQ(only_problem(load(replaced(working, "\"2024-10-21\"", "\"latest\""))).found, "\"latest\"");
  EXPECT_EQ(only_problem(load(replaced(working, "\"azure\"", "\"azure-v1\""))).key, "provider[eastus].api_version");
  EXPECT_TRUE(load(replaced(working, "\"2024-10-21\"", "\"2025-03-01-preview\"")).ok());
}

TEST_F(ConfigTest, OnlyOpenAiKnowsOrganizationsAndAnEndpointOfItsOwn) {
  EXPECT_THAT(only_problem(load(replaced(working, "kind = \"azure\"", "kind = \"azure\"\nproject = \"p\""))).expected,
              HasSubstr("openai"));
  std::string text = replaced(working, "kind = \"azure\"", "kind = \"openai\"\nproject = \"p\"\norganization = \"o\"");
  text = replaced(text, "endpoint = \"https://my.openai.azure.com/\"\n", "");
  text = replaced(text, "api_version = \"2024-10-21\"\n", "");
  const auto loaded = load(text);
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.providers[0].endpoint, "https://api.openai.com");
  EXPECT_EQ(loaded.config.providers[0].project, "p");
}

TEST_F(ConfigTest, PlainHttpIsForLoopbackOnly) {
  const auto with = [&](const std::string& endpoint) {
    return load(replaced(working, "https://my.openai.azure.com/", endpoint));
  };
  for (const char* fine : {"http://127.0.0.1:8080", "http://localhost:8080/base", "http://[::1]:80", "https://host/openai/v1"}) {
    EXPECT_TRUE(with(fine).ok()) << fine << ": " << all(with(fine));
  }
  for (const char* bad : {"http://example.com", "http://127.0.0.1.example.com", "ftp://x", "my.openai.azure.com", "https://",
                          "https://h?x=1", "https://h#f"}) {
    EXPECT_EQ(only_problem(with(bad)).key, "provider[eastus].endpoint") << bad;
  }
  EXPECT_THAT(to_string(only_problem(with("https://user:pw@host"))), testing::Not(HasSubstr("pw")));
}

TEST_F(ConfigTest, FastPollingIsAWarningExceptOnLoopback) {
  const std::string fast = "[poll]\ninterval = \"5s\"\n";
  const auto remote = load(working + fast);
  ASSERT_TRUE(remote.ok());
  ASSERT_EQ(remote.warnings.size(), 1U);
  EXPECT_THAT(remote.warnings[0], HasSubstr("poll.interval is 5s"));
  EXPECT_THAT(load(replaced(working, "https://my.openai.azure.com/", "http://127.0.0.1:1") + fast).warnings, IsEmpty());
}

TEST_F(ConfigTest, SecretsComeFromAFileOrTheEnvironmentNeverFromTheConfiguration) {
  const std::string none = replaced(working, "api_key_file = \"KEY\"\n", "");
  EXPECT_THAT(only_problem(load(none)).expected, HasSubstr("BATCHD_PROVIDER_EASTUS_API_KEY"));

  const auto from_environment = load(none, {{"BATCHD_PROVIDER_EASTUS_API_KEY", "from-env"}});
  ASSERT_TRUE(from_environment.ok());
  EXPECT_EQ(from_environment.config.providers[0].secret.reveal(), "from-env");
  const std::string bearer = replaced(working, "api_key_file", "bearer_token_file");
  EXPECT_EQ(load(bearer).config.providers[0].secret.reveal(), load(working).config.providers[0].secret.reveal());

  const auto in_file = only_problem(load(replaced(working, "api_key_file = \"KEY\"", "api_key = \"sk-inline\"")));
  EXPECT_EQ(in_file.nearest, "provider[].api_key_file");
  EXPECT_THAT(to_string(in_file), testing::Not(HasSubstr("sk-inline")));
}

TEST_F(ConfigTest, AnUnusableSecretFileIsNamed) {
  const auto with = [&](const std::string& path) {
    return only_problem(load(replaced(working, "\"KEY\"", '"' + path + '"'))).found;
  };
  EXPECT_THAT(with((directory_ / "absent").string()), HasSubstr("No such file"));
  EXPECT_THAT(with(write("empty", "\n").string()), HasSubstr("(empty)"));
  EXPECT_THAT(with(write("two", "a\nb\n").string()), HasSubstr("more than one line"));
  EXPECT_THAT(with(directory_.string()), HasSubstr("not a file"));
  EXPECT_THAT(with(write("huge", std::string(20'000, 'x')).string()), HasSubstr("longer than"));
}

TEST_F(ConfigTest, ACertificateFileMustBeThere) {
  EXPECT_THAT(only_problem(load(replaced(working, "kind = \"azure\"", "kind = \"azure\"\nca_file = \"/nowhere.pem\""))).found,
              HasSubstr("No such file"));
}

TEST_F(ConfigTest, TheDatabaseUrlMayComeFromAFileButNotFromBoth) {
  const auto url = write("url", "postgresql://u:pw@host/db\n");
  const std::string file = "url_file = \"" + url.string() + "\"";
  const auto loaded = load(replaced(working, "url = \"postgresql:///batchd\"", file));
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.database.url, "postgresql://u:pw@host/db");
  EXPECT_EQ(
      only_problem(load(replaced(working, "url = \"postgresql:///batchd\"", "url = \"postgresql:///batchd\"\n" + file))).expected,
      "one of the two only");
  const auto bad = to_string(only_problem(load(replaced(working, "postgresql:///batchd", "mysql://root:pw@host"))));
  EXPECT_THAT(bad, testing::Not(HasSubstr("pw")));
  EXPECT_THAT(bad, HasSubstr("postgresql://"));
}

TEST_F(ConfigTest, TheEnvironmentIsStrongerThanTheFileAndFlagsThanBoth) {
  const auto loaded = load(working,
                           {{"BATCHD_POLL_INTERVAL", "90s"},
                            {"BATCHD_DATABASE_POOL", "8"},
                            {"BATCHD_DATABASE_URL", "postgresql:///env"},
                            {"BATCHD_PROVIDER_EASTUS_ENDPOINT", "https://other.example"},
                            {"BATCHD_DEPLOYMENT_MINI_ENQUEUED_TOKEN_LIMIT", "5M"},
                            {"BATCHD_LOG_LEVEL", ""}},
                           {{"database.url", "postgresql:///flag"}});
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.poll.interval, std::chrono::seconds(90));
  EXPECT_EQ(loaded.config.database.pool, 8);
  EXPECT_EQ(loaded.config.database.url, "postgresql:///flag");
  EXPECT_EQ(loaded.config.providers[0].endpoint, "https://other.example");
  EXPECT_EQ(loaded.config.deployments[0].enqueued_token_limit, 5'000'000);
  EXPECT_EQ(loaded.config.log.level, "info");
}

TEST_F(ConfigTest, AnEnvironmentUrlReplacesTheFilesUrlFile) {
  const auto loaded = load(replaced(working, "url = \"postgresql:///batchd\"", "url_file = \"/nowhere\""),
                           {{"BATCHD_DATABASE_URL", "postgresql:///env"}});
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.database.url, "postgresql:///env");
}

TEST_F(ConfigTest, ABadVariableIsAProblemAndAnUnknownOneAWarning) {
  const auto loaded = load(working, {{"BATCHD_POLL_INTERVAL", "soon"},
                                     {"BATCHD_POLL_INTERVALL", "60s"},
                                     {"BATCHD_HTTP_SERVICE_HOST", "10.0.0.1"},
                                     {"BATCHD_CONFIG", "x"}});
  EXPECT_EQ(only_problem(loaded).where, "environment BATCHD_POLL_INTERVAL");
  ASSERT_EQ(loaded.warnings.size(), 1U);
  EXPECT_THAT(loaded.warnings[0], HasSubstr("BATCHD_POLL_INTERVALL sets no key"));
}

TEST_F(ConfigTest, AProvidersFilesHaveACeilingAndAnExpiryWhenSomebodySaysSo) {
  const auto with = [&](const std::string& lines) {
    return load(replaced(working, "kind = \"azure\"", "kind = \"azure\"\n" + lines));
  };
  const ProviderConfig plain = with("").config.providers.at(0);
  EXPECT_EQ(plain.max_files, 0);
  EXPECT_EQ(plain.file_expiry, std::nullopt);
  const ProviderConfig said = with("max_files = 400\nfile_expiry = \"14d\"").config.providers.at(0);
  EXPECT_EQ(said.max_files, 400);
  EXPECT_EQ(said.file_expiry, std::chrono::hours(14 * 24));
  EXPECT_EQ(with("file_expiry = \"0s\"").config.providers.at(0).file_expiry, Milliseconds{0}) << "never, which is not nothing";
  EXPECT_THAT(only_problem(with("max_files = 0")).expected, HasSubstr("at least 1"));
  EXPECT_THAT(only_problem(with("file_expiry = \"31d\"")).expected, HasSubstr("at most 30d"));
}

TEST_F(ConfigTest, CommandsThatOnlyNeedTheDatabaseLookAtNothingElse) {
  const auto loaded =
      load("[database]\nurl = \"postgresql:///x\"\n[[provider]]\nname = \"p\"\nnonsense = 1\n", {}, {}, ConfigScope::database);
  ASSERT_TRUE(loaded.ok()) << all(loaded);
  EXPECT_EQ(loaded.config.database.url, "postgresql:///x");
  const auto no_file = load_config({{}, {{"BATCHD_DATABASE_URL", "host=/tmp dbname=x"}}, ""}, ConfigScope::database);
  EXPECT_TRUE(no_file.ok());
  EXPECT_EQ(only_problem(load_config({{}, {}, ""}, ConfigScope::database)).key, "database.url");
}

TEST_F(ConfigTest, WhereTheVocabulariesAreIsReadWithoutAnythingElse) {
  EXPECT_EQ(load(std::string(working) + "[tokens]\nvocabulary_dir = \"/x\"\n").config.tokens.vocabulary_dir, "/x");
  EXPECT_EQ(load(working).config.tokens.vocabulary_dir, "");
  const auto alone = load("[tokens]\nvocabulary_dir = \"/y\"\n[[provider]]\nnonsense = 1\n", {}, {}, ConfigScope::tokens);
  ASSERT_TRUE(alone.ok()) << all(alone);
  EXPECT_EQ(alone.config.tokens.vocabulary_dir, "/y");
  EXPECT_TRUE(load_config({{}, {}, ""}, ConfigScope::tokens).ok());
}

TEST(ConfigDocs, TheExampleFileIsWhatTheTableSays) {
  std::ifstream file("deploy/batchd.example.toml");
  ASSERT_TRUE(file) << "run from the checkout";
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), example_config()) << "write it anew: batchd check-config --print-example > deploy/batchd.example.toml";
}

TEST_F(ConfigTest, TheExampleFileWorksOnceItsSecretIsThere) {
  const auto loaded = load_config({{}, {{"BATCHD_PROVIDER_EASTUS_API_KEY", "k"}}, write("example.toml", example_config())});
  EXPECT_TRUE(loaded.ok()) << all(loaded);
}

TEST_F(ConfigTest, TheExamplesDefaultsAreTheDefaults) {
  std::string text = example_config();
  for (const ConfigKey& key : config_keys()) {
    EXPECT_FALSE(key.help.empty()) << key.path();
    EXPECT_TRUE(key.help.ends_with('.')) << key.path();
    EXPECT_FALSE(key.fallback.empty() && key.example.empty()) << key.path();
    EXPECT_THAT(text, HasSubstr(std::string(key.help)));
    if (key.fallback.empty()) continue;
    const std::string line = "\n#" + std::string(key.name) + " = ";
    ASSERT_THAT(text, HasSubstr(line));
    text = replaced(text, line, line.substr(0, 1) + line.substr(2));
  }
  const Environment key{{"BATCHD_PROVIDER_EASTUS_API_KEY", "k"}};
  const Config given = load_config({{}, key, write("given.toml", text)}).config;
  const Config absent = load_config({{}, key, write("absent.toml", example_config())}).config;
  EXPECT_EQ(given.poll.interval, absent.poll.interval);
  EXPECT_EQ(given.limits.disk, absent.limits.disk);
  EXPECT_EQ(given.planner.max_requests, absent.planner.max_requests);
  EXPECT_EQ(given.retry.on_unknown, absent.retry.on_unknown);
}

TEST(ConfigValues, ListenAddresses) {
  EXPECT_EQ(parse_listen("127.0.0.1:9464")->port, 9464);
  EXPECT_EQ(parse_listen("[::1]:80")->host, "::1");
  EXPECT_EQ(parse_listen("localhost:0")->host, "127.0.0.1");
  EXPECT_EQ(parse_listen("0.0.0.0:65535")->port, 65535);
  for (const char* bad : {"", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]", "127.0.0.1:8x"}) {
    EXPECT_FALSE(parse_listen(bad)) << bad;
  }
}

TEST(ConfigValues, PasswordsAreNeverShown) {
  EXPECT_EQ(redact_url("postgresql://u:pw@h:5432/d"), "postgresql://u:***@h:5432/d");
  EXPECT_EQ(redact_url("postgresql://u@h/d"), "postgresql://u@h/d");
  EXPECT_EQ(redact_url("postgresql://h/d?password=pw&x=1"), "postgresql://h/d?password=***&x=1");
  EXPECT_EQ(redact_url("host=h password='a b' dbname=d"), "host=h password=*** dbname=d");
  EXPECT_EQ(redact_url("host=h password=pw"), "host=h password=***");
  EXPECT_EQ(redact_url("host = h password = pw dbname=d"), "host = h password = *** dbname=d");
  EXPECT_EQ(redact_url(R"(password='it\'s \\' host=h)"), "password=*** host=h") << "a quote may be escaped";
  EXPECT_EQ(redact_url("postgresql://u:p@ss/w?rd@h:5432/d"), "postgresql://u:***@h:5432/d") << "as nobody should write it";
  EXPECT_EQ(redact_url("postgres://h?a=1&sslpassword=pw&pass%77ord=pw"), "postgres://h?a=1&sslpassword=***&pass%77ord=***");
}

}  // namespace
}  // namespace batchd
