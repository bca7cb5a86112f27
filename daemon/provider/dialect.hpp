// What differs between Azure's dated API, Azure's v1 API and OpenAI's, as rows of one table, and the pure functions that
// read it. Everything else about the provider is common; nothing outside this file asks which provider it is talking to.
// Section numbers are PROTOCOL.md's.
#pragma once

#include "core/batch.hpp"
#include "core/call_pace.hpp"
#include "core/endpoint.hpp"
#include "core/types.hpp"
#include "provider/credential.hpp"
#include "runtime/http.hpp"

#include <boost/system/result.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace batchd {

/// How the expiry of an uploaded file is asked for (2.1); absent where an api-version has none.
struct ExpiryFields {
  std::string_view anchor;  ///< name of the form field that takes `created_at`
  std::string_view seconds;
  std::int64_t least = 0;  ///< seconds accepted
  std::int64_t most = 0;
  std::int64_t usual = 0;  ///< asked for unless somebody says otherwise, 0: not asked for
};

struct Dialect {
  std::string_view kind;       ///< as the configuration names it: azure | azure-v1 | openai
  std::string_view base_path;  ///< between the origin and `/files`, `/batches` (1)

  bool api_version_required = false;        ///< `api-version=` on every call (1)
  std::string_view api_version_from;        ///< the row holds for this version and newer ones of the same maturity, "" for any
  bool preview = false;                     ///< the row holds for versions that end in -preview
  std::string_view auth_header;             ///< (1, 14.1)
  std::string_view auth_prefix;             ///< before the key
  bool organization_headers = false;        ///< OpenAI-Organization and OpenAI-Project are understood (14.1)
  std::string_view upload_content_type;     ///< of the file part: Azure refuses one without (2.1)
  std::optional<ExpiryFields> file_expiry;  ///< (2.1)
  bool file_must_be_processed = false;      ///< a batch may be created only when the input's status is `processed` (2.3)
  bool file_list_pages = false;             ///< List files takes `limit` and `after` (2.6)
  bool list_filter = false;                 ///< List batches takes `$filter` and `$orderby` (8)
  std::span<const std::string_view> endpoints;  ///< that batches may be made for, bare (3.1)
  std::string_view batch_endpoint_prefix;       ///< before `/chat/completions` in a create (3.1)
  std::string_view line_url_prefix;             ///< and in the `url` of a line (3.1)
  bool model_is_deployment = false;             ///< `body.model` is the deployment's name, not the model's (3)

  std::int64_t max_requests_per_file = 0;  ///< (3, 12)
  std::int64_t max_embedding_inputs = 0;   ///< that the requests of a batch may have together, 0 for no limit (3)
  Bytes max_file_bytes = 0;                ///< 200 MB: read as 200,000,000, the smaller of its two meanings (3, 12)
  std::int64_t max_files = 0;              ///< files a resource may hold when they do not expire, 0 for no ceiling (12)
  std::int64_t max_files_with_expiry = 0;  ///< and when they do

  std::optional<CallRate> uploads;    ///< how many are taken (12)
  std::optional<CallRate> creations;  ///< of batches; absent where no limit is stated
};

struct DialectError {
  std::string message;
};

/// The row for a kind and, for dated Azure, an api-version such as `2024-10-21`.
boost::system::result<Dialect, DialectError> find_dialect(std::string_view kind, std::string_view api_version);

/// Where a provider's calls go: the endpoint's path completed to the API's base, `/openai` from "", "/" or "/openai".
/// Refuses a path that belongs to another dialect.
boost::system::result<std::string, DialectError> resolve_base_path(const Dialect& dialect, const Endpoint& endpoint);

/// `/v1/chat/completions` or `/chat/completions`, as a producer wrote it, spelled for a create and for a line.
std::string batch_endpoint(const Dialect& dialect, std::string_view endpoint);
std::string line_url(const Dialect& dialect, std::string_view endpoint);

/// Whose calls: everything that the request targets and headers are made of, except the key.
struct Account {
  Dialect dialect;
  std::string base_path;
  std::string api_version;   ///< "" where the dialect needs none
  std::string organization;  ///< "" for none
  std::string project;
};

// Request targets, percent-encoded.
std::string files_target(const Account& account);
std::string file_list_target(const Account& account, const std::optional<std::string>& after);
std::string file_target(const Account& account, const FileId& id);
std::string file_content_target(const Account& account, const FileId& id);
std::string batches_target(const Account& account);
std::string batch_list_target(const Account& account, const std::optional<std::string>& after, const BatchFilter& only = {});
std::string batch_target(const Account& account, const BatchId& id);
std::string batch_cancel_target(const Account& account, const BatchId& id);

/// The headers that say who we are: the credential in exactly one of them, and what else the account is named by.
HttpHeaders auth_headers(const Account& account, const Authorization& shown);

/// For one segment of a path, one value of a query or of a form: all but unreserved characters as %XX.
std::string percent_encoded(std::string_view text);

}  // namespace batchd
