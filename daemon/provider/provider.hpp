// The port to one Azure resource or OpenAI account. Adapters speak HTTP; stages speak these verbs.
// Every verb makes at most one call that has an effect, and never repeats such a call by itself:
// deciding whether to try again belongs to the stages, which know what was recorded. Only a call refused with 401, which has
// had none, is repeated within a verb: once, and only with another credential than the one that was refused.
#pragma once

#include "core/batch.hpp"
#include "core/error.hpp"
#include "core/shard.hpp"
#include "runtime/task.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// The enqueued-token headers that Azure sends on create (PROTOCOL.md 4); a hint, never the truth.
struct QuotaHint {
  std::optional<Tokens> enqueued;
  std::optional<Tokens> maximum;
};

struct CreatedBatch {
  Batch batch;
  QuotaHint quota;
};

struct NewBatch {
  FileId input_file_id;
  std::string endpoint;  ///< as producers name it, `/v1/chat/completions`; the dialect spells it its own way
  std::map<std::string, std::string> metadata;
};

/// Receives the next bytes of a download, on the loop's thread; the next bytes are read when it returns.
using ByteSink = std::function<Task<void>(std::string_view)>;

/// The rules of this provider that shape what we send, from its dialect.
struct ProviderLimits {
  std::int64_t max_requests = 50'000;     ///< lines a file may have
  Bytes max_bytes = 200'000'000;          ///< of one file
  bool wait_for_processed = false;        ///< a batch may be created only when the file's status is `processed`
  bool model_is_deployment = true;        ///< lines name the deployment as their model (Azure), not the model itself
  std::int64_t max_files = 0;             ///< files the account may hold, 0: no ceiling known
  std::int64_t max_embedding_inputs = 0;  ///< texts that the embedding requests of a file may have together, 0: no limit
  std::vector<std::string> endpoints;     ///< that batches may name, bare (`/chat/completions`); none: any
};

/// The code of an error of a call that was not made, because the provider fails or has asked for time: nobody's fault, and no
/// failure of what the call was for.
inline constexpr std::string_view calls_withheld = "calls_withheld";

class Provider {
 public:
  virtual ~Provider() = default;

  /// How long the call that a shard in this state waits for would be withheld; 0 when it would be made.
  virtual Milliseconds withheld_for(ShardState) const { return Milliseconds{0}; }

  /// What lines must name as `url`: the dialect's spelling of an endpoint such as `/v1/chat/completions`.
  virtual std::string line_url(const std::string& endpoint) const = 0;
  virtual const ProviderLimits& limits() const = 0;

  /// Sends `path` as a multipart upload with purpose `batch` under the remote name `filename` (must end in .jsonl).
  virtual Task<ProviderResult<RemoteFile>> upload(const std::filesystem::path& path, const std::string& filename) = 0;

  /// POST /batches, once. `unknown` means that the batch may exist.
  virtual Task<ProviderResult<CreatedBatch>> create_batch(const NewBatch& batch) = 0;

  virtual Task<ProviderResult<Batch>> retrieve_batch(const BatchId& id) = 0;

  /// One page of the account's batches, ours and others'; `after` is the `next` of the page before. Where the provider can
  /// choose, it leaves out what `only` does not want; elsewhere, and where it cannot tell, that is listed too.
  virtual Task<ProviderResult<BatchPage>> list_batches(const std::optional<std::string>& after, const BatchFilter& only = {}) = 0;

  /// Asks for cancellation; `conflict` when the batch is already over.
  virtual Task<ProviderResult<Batch>> cancel_batch(const BatchId& id) = 0;

  virtual Task<ProviderResult<RemoteFile>> retrieve_file(const FileId& id) = 0;

  /// Streams a file's bytes into `sink`; returns how many. A body shorter than its Content-Length is `unknown`.
  virtual Task<ProviderResult<Bytes>> download(const FileId& id, const ByteSink& sink) = 0;

  /// Idempotent: a file that is not there any more counts as deleted.
  virtual Task<ProviderResult<void>> delete_file(const FileId& id) = 0;

  virtual Task<ProviderResult<FilePage>> list_files(const std::optional<std::string>& after) = 0;
};

}  // namespace batchd
