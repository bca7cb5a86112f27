// What differs between the three dialects (PROTOCOL.md 1, 2, 9): routes, versions, keys, success codes, error objects.
// Pure functions; whoever serves a call asks here how to say it.
#pragma once

#include "http_message.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sim {

enum class Dialect : std::uint8_t { azure, azure_v1, openai };

enum class Operation : std::uint8_t {
  upload,
  list_files,
  get_file,
  download,
  delete_file,
  create_batch,
  list_batches,
  get_batch,
  cancel_batch,
  token,  ///< a login at Microsoft Entra
  imds,   ///< and by the identity of a machine
  none
};

/// As the ledger counts it and faults name it: upload, files, file, download, delete, create_batch, list, retrieve, cancel,
/// token, imds.
std::string_view name_of(Operation operation);
std::optional<Operation> operation_named(std::string_view name);

/// A request understood as a call of the provider's API.
struct Call {
  Dialect dialect = Dialect::openai;
  Operation operation = Operation::none;
  std::string id;           ///< of the file or batch in the path
  std::string api_version;  ///< Azure only, may be empty
  bool wrong_method = false;

  bool login() const { return operation == Operation::token || operation == Operation::imds; }
  bool azure() const { return dialect != Dialect::openai; }
  /// Dated versions after the first GA one answer create with 201 and know more list parameters.
  bool dated_preview() const { return dialect == Dialect::azure && api_version.ends_with("-preview"); }
};

/// Nothing when the path belongs to no dialect. What only resembles OpenAI may have its API below a path of its own.
std::optional<Call> route(const RequestHead& head, std::string_view base_path);

/// True when the version that the client names (or leaves out) exists in this dialect.
bool version_known(const Call& call);

/// The key that the client shows, nothing when it shows none in a form that the dialect reads.
std::optional<std::string> key_of(const Call& call, const RequestHead& head);

/// What went wrong, in words that each dialect dresses in its own error object.
struct ApiError {
  int status;
  std::string azure_code;  ///< such as invalidPayload
  std::string message;
  std::optional<std::string> param = std::nullopt;
  std::optional<std::string> openai_code = std::nullopt;
  std::optional<std::string> inner_code = std::nullopt;  ///< inside innererror, or what a dialect calls it
};

Reply error_reply(Dialect dialect, const ApiError& error);
Reply json_reply(int status, const boost::json::value& body);

/// The gateway's answer to a path or version that it does not know.
ApiError resource_not_found();

int upload_status(const Call& call);
int create_status(const Call& call);
std::uint32_t most_requests(Dialect dialect);

/// Nothing when a batch may name this endpoint; otherwise why not.
std::optional<std::string> endpoint_fault(Dialect dialect, const std::string& endpoint, bool embeddings_on_azure = false);
/// What the lines must name as their url for a batch of this endpoint.
std::string line_url(Dialect dialect, const std::string& endpoint);
/// `/v1/chat/completions` and `/chat/completions` as `/chat/completions`.
std::string bare_endpoint(const std::string& endpoint);

}  // namespace sim
