#include "fault/failing_provider.hpp"

namespace batchd::fault {
namespace {

ProviderError lost(std::string_view verb, std::string_view when) {
  ProviderError error;
  error.kind = ErrorKind::unknown;
  error.code = "failpoint";
  error.message = "failpoint " + std::string(verb) + std::string(when);
  return error;
}

}  // namespace

template <class T>
Task<ProviderResult<T>> FailingProvider::around(std::string_view verb, Task<ProviderResult<T>> call) {
  if (points_.pass(verb, ".before")) co_return lost(verb, ".before");
  calling_ = verb;
  ProviderResult<T> answer = co_await std::move(call);
  if (points_.pass(verb, ".after")) co_return lost(verb, ".after");
  co_return answer;
}

Task<ProviderResult<RemoteFile>> FailingProvider::upload(const std::filesystem::path& path, const std::string& filename) {
  return around("provider.upload", provider_.upload(path, filename));
}
Task<ProviderResult<CreatedBatch>> FailingProvider::create_batch(const NewBatch& batch) {
  return around("provider.create_batch", provider_.create_batch(batch));
}
Task<ProviderResult<Batch>> FailingProvider::retrieve_batch(const BatchId& id) {
  return around("provider.retrieve_batch", provider_.retrieve_batch(id));
}
Task<ProviderResult<BatchPage>> FailingProvider::list_batches(const std::optional<std::string>& after, const BatchFilter& only) {
  return around("provider.list_batches", provider_.list_batches(after, only));
}
Task<ProviderResult<Batch>> FailingProvider::cancel_batch(const BatchId& id) {
  return around("provider.cancel_batch", provider_.cancel_batch(id));
}
Task<ProviderResult<RemoteFile>> FailingProvider::retrieve_file(const FileId& id) {
  return around("provider.retrieve_file", provider_.retrieve_file(id));
}

Task<ProviderResult<Bytes>> FailingProvider::download(const FileId& id, const ByteSink& sink) {
  const ByteSink through = [this, &sink](std::string_view bytes) {
    points_.pass("provider.download", ".middle");
    return sink(bytes);
  };
  Task<ProviderResult<Bytes>> call = around("provider.download", provider_.download(id, through));
  ProviderResult<Bytes> answer = co_await std::move(call);
  co_return answer;
}

Task<ProviderResult<void>> FailingProvider::delete_file(const FileId& id) {
  return around("provider.delete_file", provider_.delete_file(id));
}
Task<ProviderResult<FilePage>> FailingProvider::list_files(const std::optional<std::string>& after) {
  return around("provider.list_files", provider_.list_files(after));
}

}  // namespace batchd::fault
