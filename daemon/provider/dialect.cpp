#include "provider/dialect.hpp"

#include "core/planning.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace batchd {
namespace {

constexpr Bytes two_hundred_megabytes = 200'000'000;
constexpr std::int64_t day = 86'400;
constexpr std::string_view first_dated_version = "2024-10-21";

// Embeddings are in an enumeration of Azure's v1 document whose text says that only chat is supported, and its guide denies them.
constexpr std::array<std::string_view, 1> azure_dated_endpoints{"/chat/completions"};
constexpr std::array<std::string_view, 2> azure_v1_endpoints{"/chat/completions", "/responses"};
constexpr std::array<std::string_view, 8> openai_endpoints{"/chat/completions", "/responses",   "/embeddings",
                                                           "/completions",      "/moderations", "/images/generations",
                                                           "/images/edits",     "/videos"};

constexpr Dialect azure_dated() {
  Dialect d;
  d.kind = "azure";
  d.base_path = "/openai";
  d.api_version_required = true;
  d.api_version_from = first_dated_version;
  d.auth_header = "api-key";
  d.endpoints = azure_dated_endpoints;
  d.upload_content_type = "application/json";
  d.file_must_be_processed = true;
  d.model_is_deployment = true;
  d.max_requests_per_file = 100'000;
  d.max_file_bytes = two_hundred_megabytes;
  d.max_files = 500;
  d.max_files_with_expiry = 500;
  d.uploads = CallRate{30, std::chrono::seconds(1), 30};
  return d;
}

constexpr Dialect azure_dated_preview() {
  Dialect d = azure_dated();
  d.preview = true;
  d.api_version_from = "2024-10-01-preview";
  d.list_filter = true;
  return d;
}

constexpr Dialect azure_dated_preview_with_expiry() {
  Dialect d = azure_dated_preview();
  d.api_version_from = "2025-03-01-preview";
  d.file_expiry = ExpiryFields{"expires_after.anchor", "expires_after.seconds", 14 * day, 30 * day, 30 * day};
  d.file_list_pages = true;
  d.max_files_with_expiry = 10'000;
  return d;
}

constexpr Dialect azure_v1() {
  Dialect d = azure_dated();
  d.kind = "azure-v1";
  d.base_path = "/openai/v1";
  d.api_version_required = false;
  d.api_version_from = "";
  d.file_expiry = ExpiryFields{"expires_after.anchor", "expires_after.seconds", 14 * day, 30 * day, 30 * day};
  d.file_list_pages = true;
  d.endpoints = azure_v1_endpoints;
  d.batch_endpoint_prefix = "/v1";
  d.line_url_prefix = "/v1";
  d.max_files_with_expiry = 10'000;
  return d;
}

constexpr Dialect openai() {
  Dialect d;
  d.kind = "openai";
  d.base_path = "/v1";
  d.auth_header = "Authorization";
  d.auth_prefix = "Bearer ";
  d.organization_headers = true;
  d.endpoints = openai_endpoints;
  d.upload_content_type = "application/jsonl";
  // Its batch files go after 30 days in any case, and what only resembles OpenAI may not know the fields.
  d.file_expiry = ExpiryFields{"expires_after[anchor]", "expires_after[seconds]", 3600, 30 * day, 0};
  d.file_list_pages = true;
  d.batch_endpoint_prefix = "/v1";
  d.line_url_prefix = "/v1";
  d.max_requests_per_file = 50'000;
  d.max_embedding_inputs = 50'000;
  d.max_file_bytes = two_hundred_megabytes;
  d.uploads = CallRate{1'000, std::chrono::minutes(1), 100};
  d.creations = CallRate{2'000, std::chrono::hours(1), 100};
  return d;
}

// Of several rows for a kind the last one that fits counts, so newer api-versions stand below older ones.
constexpr std::array dialects{azure_dated(), azure_dated_preview(), azure_dated_preview_with_expiry(), azure_v1(), openai()};

bool fits(const Dialect& row, std::string_view api_version) {
  if (!row.api_version_required) return true;
  return row.preview == api_version.ends_with("-preview") && api_version.substr(0, 10) >= row.api_version_from.substr(0, 10);
}

bool is_dated_version(std::string_view text) {
  static constexpr std::string_view shape = "dddd-dd-dd";
  if (text.size() < shape.size()) return false;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == 'd' ? !digit : text[i] != '-') return false;
  }
  return text.size() == shape.size() || text.substr(shape.size()) == "-preview";
}

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    path.remove_prefix(1);
    out.push_back(path.substr(0, path.find('/')));
    path.remove_prefix(out.back().size());
  }
  return out;
}

/// Path below the base, then the query: `api-version` where it belongs, and what the call itself asks for.
std::string target(const Account& account, std::string_view path, std::string_view query = "") {
  std::string out = account.base_path;
  out += path;
  char separator = '?';
  if (!account.api_version.empty()) {
    out += separator;
    out += "api-version=";
    out += percent_encoded(account.api_version);
    separator = '&';
  }
  if (!query.empty()) {
    out += separator;
    out += query;
  }
  return out;
}

std::string page_query(int limit, const std::optional<std::string>& after) {
  std::string query = "limit=";
  query += std::to_string(limit);
  if (after) {
    query += "&after=";
    query += percent_encoded(*after);
  }
  return query;
}

std::string below(std::string_view collection, std::string_view id, std::string_view verb = "") {
  std::string path(collection);
  path += '/';
  path += percent_encoded(id);
  path += verb;
  return path;
}

std::string spelled(std::string_view prefix, std::string_view endpoint) {
  std::string out(prefix);
  out += bare_endpoint(endpoint);
  return out;
}

/// `Completed`, as the documented filters spell it; "" for a state of several words, whose spelling nobody has documented.
std::string filter_word(BatchStatus status) {
  std::string word(to_string(status));
  if (word.find('_') != std::string::npos) return "";
  word.front() = static_cast<char>(word.front() - 'a' + 'A');
  return word;
}

/// The OData text for what is wanted, in no other words than those documented: `created_at gt N`, `status eq 'Completed'`.
std::string filter_text(const BatchFilter& only) {
  std::string text;
  if (only.since) text = "created_at gt " + std::to_string(*only.since - 1);
  const std::string word = only.status ? filter_word(*only.status) : "";
  if (word.empty()) return text;
  if (!text.empty()) text += " and ";
  return text + "status eq '" + word + "'";
}

}  // namespace

boost::system::result<Dialect, DialectError> find_dialect(std::string_view kind, std::string_view api_version) {
  const Dialect* found = nullptr;
  bool known = false;
  for (const Dialect& row : dialects) {
    if (row.kind != kind) continue;
    known = true;
    if (fits(row, api_version)) found = &row;
  }
  if (!known) return DialectError{"kind '" + std::string(kind) + "' is unknown; expected azure, azure-v1 or openai"};
  if (found && found->api_version_required && !is_dated_version(api_version)) found = nullptr;
  if (!found) {
    return DialectError{"api_version '" + std::string(api_version) + "' cannot be used; expected " +
                        std::string(first_dated_version) + " or a newer date, such as 2025-04-01-preview"};
  }
  return *found;
}

boost::system::result<std::string, DialectError> resolve_base_path(const Dialect& dialect, const Endpoint& endpoint) {
  const auto base = segments(dialect.base_path);
  const auto given = segments(endpoint.path);
  // How much of the base does the path end with already? The longest such part is completed.
  for (std::size_t have = std::min(base.size(), given.size()) + 1; have-- > 0;) {
    if (!std::equal(base.begin(), base.begin() + static_cast<std::ptrdiff_t>(have),
                    given.end() - static_cast<std::ptrdiff_t>(have))) {
      continue;
    }
    const auto before = given.size() - have;
    if (std::find(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(before), base.front()) !=
        given.begin() + static_cast<std::ptrdiff_t>(before)) {
      break;  // `/openai/v1` for dated Azure, `/v1/chat` for OpenAI: something else was meant
    }
    std::string path = endpoint.path;
    for (std::size_t i = have; i < base.size(); ++i) {
      path += '/';
      path += base[i];
    }
    return boost::system::result<std::string, DialectError>(boost::system::in_place_value, std::move(path));
  }
  return DialectError{"the endpoint's path '" + endpoint.path + "' does not fit kind '" + std::string(dialect.kind) +
                      "'; expected the origin alone, or a path that ends in " + std::string(dialect.base_path)};
}

std::string percent_encoded(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                       c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += hex[byte >> 4];
      out += hex[byte & 15];
    }
  }
  return out;
}

std::string batch_endpoint(const Dialect& dialect, std::string_view endpoint) {
  return spelled(dialect.batch_endpoint_prefix, endpoint);
}

std::string line_url(const Dialect& dialect, std::string_view endpoint) {
  return spelled(dialect.line_url_prefix, endpoint);
}

std::string files_target(const Account& account) {
  return target(account, "/files");
}

std::string file_list_target(const Account& account, const std::optional<std::string>& after) {
  // A page of a thousand file objects is some 300 KB; the dialects without pages send everything there is.
  return target(account, "/files", account.dialect.file_list_pages ? page_query(1000, after) : std::string());
}

std::string file_target(const Account& account, const FileId& id) {
  return target(account, below("/files", id.value));
}

std::string file_content_target(const Account& account, const FileId& id) {
  return target(account, below("/files", id.value, "/content"));
}

std::string batches_target(const Account& account) {
  return target(account, "/batches");
}

std::string batch_list_target(const Account& account, const std::optional<std::string>& after, const BatchFilter& only) {
  std::string query = page_query(100, after);  // 100 is the most that OpenAI and v1 accept (8)
  const std::string wanted = account.dialect.list_filter ? filter_text(only) : "";
  if (!wanted.empty()) query += "&$filter=" + percent_encoded(wanted) + "&$orderby=" + percent_encoded("created_at desc");
  return target(account, "/batches", query);
}

std::string batch_target(const Account& account, const BatchId& id) {
  return target(account, below("/batches", id.value));
}

std::string batch_cancel_target(const Account& account, const BatchId& id) {
  return target(account, below("/batches", id.value, "/cancel"));
}

HttpHeaders auth_headers(const Account& account, const Authorization& shown) {
  HttpHeaders headers;
  if (shown.scheme == Authorization::Scheme::bearer) {
    headers.emplace_back("Authorization", "Bearer " + shown.secret);
  } else {
    headers.emplace_back(std::string(account.dialect.auth_header), std::string(account.dialect.auth_prefix) + shown.secret);
  }
  if (account.dialect.organization_headers) {
    if (!account.organization.empty()) headers.emplace_back("OpenAI-Organization", account.organization);
    if (!account.project.empty()) headers.emplace_back("OpenAI-Project", account.project);
  }
  return headers;
}

}  // namespace batchd
