#include "provider/dialect.hpp"

#include <gmock/gmock.h>

#include <algorithm>

namespace batchd::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Account account(std::string_view kind, std::string_view url, std::string api_version = "") {
  const Dialect dialect = *find_dialect(kind, api_version);
  return {dialect, *resolve_base_path(dialect, *parse_endpoint(url)), std::move(api_version), "", ""};
}

Account azure() {
  return account("azure", "https://r.openai.azure.com", "2024-10-21");
}
Account azure_v1() {
  return account("azure-v1", "https://r.openai.azure.com");
}
Account openai() {
  return account("openai", "https://api.openai.com");
}

std::string base(std::string_view kind, std::string_view url) {
  const Dialect dialect = *find_dialect(kind, "2024-10-21");
  const auto path = resolve_base_path(dialect, *parse_endpoint(url));
  return path ? *path : path.error().message;
}

TEST(Dialect, SpellsEveryCallForDatedAzure) {
  const Account a = azure();
  EXPECT_EQ(files_target(a), "/openai/files?api-version=2024-10-21");
  EXPECT_EQ(file_list_target(a, "f"), "/openai/files?api-version=2024-10-21");
  EXPECT_EQ(file_target(a, {"file-1"}), "/openai/files/file-1?api-version=2024-10-21");
  EXPECT_EQ(file_content_target(a, {"file-1"}), "/openai/files/file-1/content?api-version=2024-10-21");
  EXPECT_EQ(batches_target(a), "/openai/batches?api-version=2024-10-21");
  EXPECT_EQ(batch_list_target(a, std::nullopt), "/openai/batches?api-version=2024-10-21&limit=100");
  EXPECT_EQ(batch_list_target(a, "b_1"), "/openai/batches?api-version=2024-10-21&limit=100&after=b_1");
  EXPECT_EQ(batch_target(a, {"b_1"}), "/openai/batches/b_1?api-version=2024-10-21");
  EXPECT_EQ(batch_cancel_target(a, {"b_1"}), "/openai/batches/b_1/cancel?api-version=2024-10-21");
}

TEST(Dialect, SpellsEveryCallForAzureV1) {
  const Account a = azure_v1();
  EXPECT_EQ(files_target(a), "/openai/v1/files");
  EXPECT_EQ(file_list_target(a, "f"), "/openai/v1/files?limit=1000&after=f");
  EXPECT_EQ(file_content_target(a, {"file-1"}), "/openai/v1/files/file-1/content");
  EXPECT_EQ(batch_list_target(a, std::nullopt), "/openai/v1/batches?limit=100");
  EXPECT_EQ(batch_cancel_target(a, {"b_1"}), "/openai/v1/batches/b_1/cancel");
}

TEST(Dialect, SpellsEveryCallForOpenai) {
  const Account a = openai();
  EXPECT_EQ(files_target(a), "/v1/files");
  EXPECT_EQ(file_list_target(a, std::nullopt), "/v1/files?limit=1000");
  EXPECT_EQ(file_target(a, {"file-1"}), "/v1/files/file-1");
  EXPECT_EQ(batches_target(a), "/v1/batches");
  EXPECT_EQ(batch_list_target(a, "b_1"), "/v1/batches?limit=100&after=b_1");
  EXPECT_EQ(batch_target(a, {"b_1"}), "/v1/batches/b_1");
}

TEST(Dialect, EncodesIdsSoThatTheyStayOnePathSegment) {
  EXPECT_EQ(file_target(openai(), {"a/../b?c#d e%"}), "/v1/files/a%2F..%2Fb%3Fc%23d%20e%25");
  EXPECT_EQ(batch_list_target(openai(), "x&y=z"), "/v1/batches?limit=100&after=x%26y%3Dz");
}

TEST(Dialect, SaysWhoWeAreAsEachProviderWantsIt) {
  const Authorization key{Authorization::Scheme::api_key, "K"};
  const Authorization token{Authorization::Scheme::bearer, "T"};
  EXPECT_THAT(auth_headers(azure(), key), ElementsAre(Pair("api-key", "K")));
  EXPECT_THAT(auth_headers(azure_v1(), key), ElementsAre(Pair("api-key", "K")));
  EXPECT_THAT(auth_headers(azure(), token), ElementsAre(Pair("Authorization", "Bearer T"))) << "never both headers";
  EXPECT_THAT(auth_headers(azure_v1(), token), ElementsAre(Pair("Authorization", "Bearer T")));
  Account a = openai();
  EXPECT_THAT(auth_headers(a, key), ElementsAre(Pair("Authorization", "Bearer K")));
  a.organization = "org";
  a.project = "proj";
  EXPECT_THAT(auth_headers(a, key),
              ElementsAre(Pair("Authorization", "Bearer K"), Pair("OpenAI-Organization", "org"), Pair("OpenAI-Project", "proj")));
}

TEST(Dialect, SpellsEndpointsInCreatesAndInLines) {
  const auto both = [](const Dialect& d, std::string_view endpoint) {
    return batch_endpoint(d, endpoint) + " " + line_url(d, endpoint);
  };
  for (const auto* endpoint : {"/v1/chat/completions", "/chat/completions"}) {
    EXPECT_EQ(both(azure().dialect, endpoint), "/chat/completions /chat/completions");
    EXPECT_EQ(both(azure_v1().dialect, endpoint), "/v1/chat/completions /v1/chat/completions");
    EXPECT_EQ(both(openai().dialect, endpoint), "/v1/chat/completions /v1/chat/completions");
  }
}

TEST(Dialect, AsksForWhatIsWantedInDocumentedWordsWhereTheVersionCanChoose) {
  const Account filters = account("azure", "https://r.openai.azure.com", "2025-04-01-preview");
  const std::string plain = "/openai/batches?api-version=2025-04-01-preview&limit=100";
  const auto asked = [&](const BatchFilter& only) { return batch_list_target(filters, std::nullopt, only).substr(plain.size()); };
  const std::string order = "&$orderby=created_at%20desc";
  EXPECT_EQ(asked({}), "");
  EXPECT_EQ(asked({BatchStatus::completed, std::nullopt}), "&$filter=status%20eq%20%27Completed%27" + order);
  EXPECT_EQ(asked({std::nullopt, 1728860561}), "&$filter=created_at%20gt%201728860560" + order);
  EXPECT_EQ(asked({BatchStatus::failed, 101}), "&$filter=created_at%20gt%20100%20and%20status%20eq%20%27Failed%27" + order);
  EXPECT_EQ(asked({BatchStatus::in_progress, std::nullopt}), "") << "its spelling in a filter is documented nowhere";
  for (const Account& other : {azure(), azure_v1(), openai()}) {
    EXPECT_EQ(batch_list_target(other, std::nullopt, {BatchStatus::completed, 1}), batch_list_target(other, std::nullopt));
  }
}

TEST(Dialect, KnowsWhichEndpointsBatchesMayName) {
  const auto has = [](const Dialect& d, std::string_view endpoint) {
    return std::find(d.endpoints.begin(), d.endpoints.end(), endpoint) != d.endpoints.end();
  };
  for (const Account& any : {azure(), azure_v1(), openai()}) EXPECT_TRUE(has(any.dialect, "/chat/completions"));
  EXPECT_FALSE(has(azure().dialect, "/responses"));
  EXPECT_TRUE(has(azure_v1().dialect, "/responses"));
  EXPECT_FALSE(has(azure_v1().dialect, "/embeddings"));
  for (const auto* endpoint : {"/responses", "/embeddings", "/completions"}) EXPECT_TRUE(has(openai().dialect, endpoint));
}

TEST(Dialect, TakesAnEndpointWithOrWithoutItsBasePath) {
  for (const auto* url : {"https://h", "https://h/", "https://h/openai", "https://h/openai/"})
    EXPECT_EQ(base("azure", url), "/openai");
  for (const auto* url : {"https://h", "https://h/openai", "https://h/openai/v1", "https://h/openai/v1/"}) {
    EXPECT_EQ(base("azure-v1", url), "/openai/v1");
  }
  for (const auto* url : {"https://h", "https://h/v1"}) EXPECT_EQ(base("openai", url), "/v1");
  EXPECT_EQ(base("openai", "https://h/gateway/llm"), "/gateway/llm/v1");
  EXPECT_EQ(base("openai", "https://h/gateway/v1"), "/gateway/v1");
  EXPECT_EQ(base("azure-v1", "https://h/gw/openai"), "/gw/openai/v1");
}

TEST(Dialect, RefusesAnEndpointThatBelongsToAnotherDialect) {
  EXPECT_THAT(base("azure", "https://h/openai/v1"), HasSubstr("does not fit kind 'azure'"));
  EXPECT_THAT(base("azure", "https://h/openai/deployments/d"), HasSubstr("does not fit"));
  EXPECT_THAT(base("openai", "https://h/v1/chat/completions"), HasSubstr("does not fit"));
}

TEST(Dialect, KnowsTheDatedVersionsAndWhatEachOffers) {
  struct Version {
    const char* name;
    bool filter, expiry, pages;
  };
  constexpr Version table[] = {
      {"2024-10-21", false, false, false},
      {"2024-10-01-preview", true, false, false},
      {"2024-12-01-preview", true, false, false},
      {"2025-01-01-preview", true, false, false},
      {"2025-02-01-preview", true, false, false},
      {"2025-03-01-preview", true, true, true},
      {"2025-04-01-preview", true, true, true},
      // Newer than any that is known: as the newest of their maturity.
      {"2025-10-01-preview", true, true, true},
      {"2026-01-01", false, false, false},
  };
  for (const Version& version : table) {
    const auto dialect = find_dialect("azure", version.name);
    ASSERT_TRUE(dialect) << version.name;
    EXPECT_EQ(dialect->list_filter, version.filter) << version.name;
    EXPECT_EQ(dialect->file_expiry.has_value(), version.expiry) << version.name;
    EXPECT_EQ(dialect->file_list_pages, version.pages) << version.name;
    EXPECT_EQ(dialect->max_files_with_expiry, version.expiry ? 10'000 : 500) << version.name;
  }
}

TEST(Dialect, RefusesKindsAndVersionsThatDoNotExist) {
  EXPECT_THAT(find_dialect("aws", "").error().message, HasSubstr("expected azure, azure-v1 or openai"));
  for (const auto* version : {"", "2024-07-18", "latest", "2023-05-15", "2024-10-21x", "2024-07-01-preview"}) {
    const auto dialect = find_dialect("azure", version);
    ASSERT_FALSE(dialect) << version;
    EXPECT_THAT(dialect.error().message, HasSubstr("2024-10-21"));
  }
}

TEST(Dialect, CarriesTheLimitsOfItsProvider) {
  EXPECT_EQ(azure().dialect.max_requests_per_file, 100'000);
  EXPECT_EQ(openai().dialect.max_requests_per_file, 50'000);
  EXPECT_EQ(openai().dialect.max_embedding_inputs, 50'000);
  EXPECT_EQ(azure().dialect.max_file_bytes, 200'000'000);
  EXPECT_EQ(azure().dialect.max_files, 500);
  EXPECT_EQ(find_dialect("azure", "2025-04-01-preview")->max_files_with_expiry, 10'000);
  EXPECT_EQ(openai().dialect.max_files, 0);
  EXPECT_TRUE(azure().dialect.file_must_be_processed);
  EXPECT_FALSE(openai().dialect.file_must_be_processed);
}

}  // namespace
}  // namespace batchd::testing
