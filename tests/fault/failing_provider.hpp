// A provider with failpoints around every call. `fail` is the answer that never came: `unknown`, with (`.after`) or without
// (`.before`) the effect.
#pragma once

#include "fault/failpoints.hpp"
#include "provider/provider.hpp"

namespace batchd::fault {

class FailingProvider : public Provider {
 public:
  /// `calling` is told which verb is about to be sent, for the point between the last look at the lease and the network.
  FailingProvider(Provider& provider, Failpoints& points, std::string_view& calling)
      : provider_(provider), points_(points), calling_(calling) {}

  std::string line_url(const std::string& endpoint) const override { return provider_.line_url(endpoint); }
  const ProviderLimits& limits() const override { return provider_.limits(); }
  Milliseconds withheld_for(ShardState state) const override { return provider_.withheld_for(state); }

  Task<ProviderResult<RemoteFile>> upload(const std::filesystem::path& path, const std::string& filename) override;
  Task<ProviderResult<CreatedBatch>> create_batch(const NewBatch& batch) override;
  Task<ProviderResult<Batch>> retrieve_batch(const BatchId& id) override;
  Task<ProviderResult<BatchPage>> list_batches(const std::optional<std::string>& after, const BatchFilter& only) override;
  Task<ProviderResult<Batch>> cancel_batch(const BatchId& id) override;
  Task<ProviderResult<RemoteFile>> retrieve_file(const FileId& id) override;
  Task<ProviderResult<Bytes>> download(const FileId& id, const ByteSink& sink) override;
  Task<ProviderResult<void>> delete_file(const FileId& id) override;
  Task<ProviderResult<FilePage>> list_files(const std::optional<std::string>& after) override;

 private:
  template <class T>
  Task<ProviderResult<T>> around(std::string_view verb, Task<ProviderResult<T>> call);

  Provider& provider_;
  Failpoints& points_;
  std::string_view& calling_;
};

}  // namespace batchd::fault
