// The provider port over HTTP: the calls that Azure OpenAI and OpenAI share, in the account's dialect.
// Owned by the application, one for each configured provider. It keeps no state about files or batches, repeats nothing
// that has had an effect, and turns every failure into a ProviderError.
#pragma once

#include "log.hpp"
#include "metrics.hpp"
#include "provider/call_guard.hpp"
#include "provider/classify.hpp"
#include "provider/credential.hpp"
#include "provider/dialect.hpp"
#include "provider/provider.hpp"
#include "runtime/http_client.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace batchd {

struct ProviderSettings {
  std::string name;          ///< for metrics and logs
  std::string kind;          ///< a dialect's name: azure | azure-v1 | openai
  std::string endpoint;      ///< the origin, with or without the API's base path
  std::string api_version;   ///< dated Azure only
  std::string organization;  ///< OpenAI only, "" for none
  std::string project;
  std::optional<std::chrono::seconds> file_expiry;  ///< asked for with each file, 0: not asked for; nothing: as is usual there
  std::int64_t max_files = 0;                       ///< files the account may hold, 0: as many as its dialect says
  Credential* credential = nullptr;                 ///< asked before each call; must outlive the port
  /// Asked at the last moment before each call, when the credential is at hand: false keeps the call from being made, as
  /// `not_sent`. For a replica whose lease ran out while it waited for a token. None: every call is made.
  std::function<bool()> may_call;
  CallGuard* guard = nullptr;  ///< stands before each call; null: nothing does. Must outlive the port
  HttpClientOptions http;      ///< trust, proxy, user agent, time-outs
};

class HttpProvider final : public Provider {
 public:
  /// Throws std::runtime_error with a sentence when the settings cannot be used.
  HttpProvider(ProviderSettings settings, Metrics& metrics, Log& log);

  const Dialect& dialect() const { return account_.dialect; }

  std::string line_url(const std::string& endpoint) const override { return batchd::line_url(account_.dialect, endpoint); }
  const ProviderLimits& limits() const override { return limits_; }
  Milliseconds withheld_for(ShardState state) const override;
  Task<ProviderResult<RemoteFile>> upload(const std::filesystem::path& path, const std::string& filename) override;
  Task<ProviderResult<CreatedBatch>> create_batch(const NewBatch& batch) override;
  Task<ProviderResult<Batch>> retrieve_batch(const BatchId& id) override;
  Task<ProviderResult<BatchPage>> list_batches(const std::optional<std::string>& after, const BatchFilter& only = {}) override;
  Task<ProviderResult<Batch>> cancel_batch(const BatchId& id) override;
  Task<ProviderResult<RemoteFile>> retrieve_file(const FileId& id) override;
  Task<ProviderResult<Bytes>> download(const FileId& id, const ByteSink& sink) override;
  Task<ProviderResult<void>> delete_file(const FileId& id) override;
  Task<ProviderResult<FilePage>> list_files(const std::optional<std::string>& after) override;

 private:
  /// One call, if the guard lets it through. The answer is a 2xx, or a ProviderError.
  Task<ProviderResult<HttpResponse>> call(Operation operation, HttpRequest request, const ByteSink* sink = nullptr);
  /// One call, and once more with another credential when it was refused with 401.
  Task<ProviderResult<HttpResponse>> authorized_call(Operation operation, HttpRequest request, const ByteSink* sink);
  /// The call itself: headers, time, metrics, log line.
  Task<ProviderResult<HttpResponse>> call_as(const Authorization& shown, Operation operation, const HttpRequest& request,
                                             const ByteSink* sink);
  void report(Operation operation, const CallEnd& end);
  template <class T>
  ProviderResult<T> read(Operation operation, ProviderResult<HttpResponse> answer, std::optional<T> (*parse)(std::string_view));
  ProviderError unusable(Operation operation, const HttpResponse& response) const;

  ProviderSettings settings_;
  Account account_;
  std::chrono::seconds file_expiry_;  // 0 where the dialect has none
  ProviderLimits limits_;
  HttpClient http_;
  Metrics& metrics_;
  Log& log_;
};

}  // namespace batchd
