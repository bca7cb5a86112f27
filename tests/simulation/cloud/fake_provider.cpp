#include "simulation/cloud/fake_provider.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

namespace batchd::simulation {
namespace {

ProviderError not_sent(const char* code, const char* message) {
  return {ErrorKind::not_sent, 0, code, message, {}};
}

ProviderError no_answer() {
  return {ErrorKind::unknown, 0, "", "no answer came", {}};
}

/// By system calls: streams cost more than all else in an upload.
std::string read_file(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat about {};
  std::string text;
  ssize_t got = -1;
  if (file >= 0 && ::fstat(file, &about) == 0) {
    text.resize(static_cast<std::size_t>(about.st_size));
    got = ::read(file, text.data(), text.size());
  }
  if (file >= 0) ::close(file);
  if (got != static_cast<ssize_t>(text.size())) throw std::runtime_error("cannot read " + path.string());
  return text;
}

}  // namespace

FakeProvider::FakeProvider(FakeCloud& cloud, Wire& wire, std::function<bool()> may_call)
    : cloud_(cloud), wire_(wire), may_call_(std::move(may_call)) {}

std::string FakeProvider::line_url(const std::string& endpoint) const {
  return cloud_.settings().line_url(endpoint);
}

const ProviderLimits& FakeProvider::limits() const {
  return cloud_.settings().limits;
}

template <class T, class Effect>
Task<ProviderResult<T>> FakeProvider::call(const char* verb, Effect effect) {
  if (may_call_ && !may_call_()) co_return not_sent("lease_expired", "not sent: the lease had run out");
  const Passage there = co_await wire_.there(verb);
  if (there == Passage::refused) co_return not_sent("", "connection refused");
  if (there == Passage::lost) {
    std::function<void()> late = [effect]() mutable { effect(); };
    wire_.arrives_late(verb, std::move(late));
    co_return no_answer();
  }
  ProviderResult<T> result = effect();
  const Passage back = co_await wire_.back(verb);
  if (back == Passage::lost) co_return no_answer();
  co_return result;
}

Task<ProviderResult<RemoteFile>> FakeProvider::upload(const std::filesystem::path& path, const std::string& filename) {
  auto effect = [this, content = read_file(path), filename]() mutable { return cloud_.upload(std::move(content), filename); };
  return call<RemoteFile>("upload", std::move(effect));
}

Task<ProviderResult<CreatedBatch>> FakeProvider::create_batch(const NewBatch& batch) {
  return call<CreatedBatch>("create_batch", [this, batch] { return cloud_.create_batch(batch); });
}

Task<ProviderResult<Batch>> FakeProvider::retrieve_batch(const BatchId& id) {
  return call<Batch>("retrieve_batch", [this, id] { return cloud_.retrieve_batch(id); });
}

Task<ProviderResult<BatchPage>> FakeProvider::list_batches(const std::optional<std::string>& after, const BatchFilter&) {
  return call<BatchPage>("list_batches", [this, after] { return cloud_.list_batches(after); });
}

Task<ProviderResult<Batch>> FakeProvider::cancel_batch(const BatchId& id) {
  return call<Batch>("cancel_batch", [this, id] { return cloud_.cancel_batch(id); });
}

Task<ProviderResult<RemoteFile>> FakeProvider::retrieve_file(const FileId& id) {
  return call<RemoteFile>("retrieve_file", [this, id] { return cloud_.retrieve_file(id); });
}

Task<ProviderResult<void>> FakeProvider::delete_file(const FileId& id) {
  return call<void>("delete_file", [this, id] { return cloud_.delete_file(id); });
}

Task<ProviderResult<FilePage>> FakeProvider::list_files(const std::optional<std::string>& after) {
  return call<FilePage>("list_files", [this, after] { return cloud_.list_files(after); });
}

Task<ProviderResult<Bytes>> FakeProvider::download(const FileId& id, const ByteSink& sink) {
  if (may_call_ && !may_call_()) co_return not_sent("lease_expired", "not sent: the lease had run out");
  const Passage there = co_await wire_.there("download");
  if (there == Passage::refused) co_return not_sent("", "connection refused");
  if (there == Passage::lost) co_return no_answer();
  const ProviderResult<Download> found = cloud_.download(id);
  const Passage back = co_await wire_.back("download");
  if (found.has_error()) {
    if (back == Passage::through) co_return found.error();
    co_return no_answer();
  }
  const bool cut = found->cut || back != Passage::through;
  std::string_view left(found->content->data(), back == Passage::through ? found->size : found->size / 2);
  constexpr std::size_t pieces = 3;
  const std::size_t piece = left.size() / pieces + 1;  // neither lines nor slices of a reader end where pieces do
  while (!left.empty()) {
    co_await sink(left.substr(0, piece));
    left.remove_prefix(std::min(piece, left.size()));
  }
  if (cut) co_return ProviderError{ErrorKind::unknown, 200, "", "the body ended early", {}};
  co_return static_cast<Bytes>(found->size);
}

}  // namespace batchd::simulation
