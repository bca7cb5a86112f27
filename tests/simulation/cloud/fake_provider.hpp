// The provider port of one replica onto the fake cloud: what happens to a call on its way is the wire's business, what the
// provider makes of it the cloud's. It keeps no state and repeats nothing, as the real adapter.
#pragma once

#include "provider/provider.hpp"
#include "simulation/cloud/cloud.hpp"
#include "simulation/wire.hpp"

#include <functional>
#include <string>

namespace batchd::simulation {

class FakeProvider final : public Provider {
 public:
  /// `may_call` as in ProviderSettings: asked at the last moment before each call; none: every call is made.
  FakeProvider(FakeCloud& cloud, Wire& wire, std::function<bool()> may_call);

  std::string line_url(const std::string& endpoint) const override;
  const ProviderLimits& limits() const override;
  Task<ProviderResult<RemoteFile>> upload(const std::filesystem::path& path, const std::string& filename) override;
  Task<ProviderResult<CreatedBatch>> create_batch(const NewBatch& batch) override;
  Task<ProviderResult<Batch>> retrieve_batch(const BatchId& id) override;
  /// Lists everything, as a provider that cannot choose.
  Task<ProviderResult<BatchPage>> list_batches(const std::optional<std::string>& after, const BatchFilter& only = {}) override;
  Task<ProviderResult<Batch>> cancel_batch(const BatchId& id) override;
  Task<ProviderResult<RemoteFile>> retrieve_file(const FileId& id) override;
  /// In pieces; a cut gives a part of the bytes first.
  Task<ProviderResult<Bytes>> download(const FileId& id, const ByteSink& sink) override;
  Task<ProviderResult<void>> delete_file(const FileId& id) override;
  Task<ProviderResult<FilePage>> list_files(const std::optional<std::string>& after) override;

 private:
  template <class T, class Effect>
  Task<ProviderResult<T>> call(const char* verb, Effect effect);

  FakeCloud& cloud_;
  Wire& wire_;
  std::function<bool()> may_call_;
};

}  // namespace batchd::simulation
