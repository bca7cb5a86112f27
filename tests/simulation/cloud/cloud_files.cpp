// The cloud's calls about files.
#include "simulation/cloud/cloud_calls.hpp"

#include <algorithm>

namespace batchd::simulation {
namespace {

ProviderError no_such_file() {
  return {ErrorKind::not_found, 404, "not_found", "no such file", {}};
}

}  // namespace

ProviderResult<RemoteFile> FakeCloud::upload(std::string content, const std::string& filename) {
  const auto effect = [&] { return take_file(std::move(content), filename); };
  return call<RemoteFile>(effect);
}

ProviderResult<RemoteFile> FakeCloud::retrieve_file(const FileId& id) {
  const auto effect = [&]() -> ProviderResult<RemoteFile> {
    const CloudFile* file = files_.find(id);
    if (!file || !file->visible(now()) || strikes(CloudFault::denied)) return no_such_file();
    return shown(*file);
  };
  return call<RemoteFile>(effect);
}

ProviderResult<Download> FakeCloud::download(const FileId& id) {
  const auto effect = [&]() -> ProviderResult<Download> {
    const CloudFile* file = files_.find(id);
    if (!file || !file->visible(now()) || strikes(CloudFault::download_denied)) return no_such_file();
    if (file->foreign) note(Trespass::foreign_downloaded, id.value);
    Download download{file->content, file->content->size(), false};
    if (download.size > 1 && strikes(CloudFault::download_short)) {
      // Inside the last line: its newline is gone at least.
      const std::size_t before = file->content->rfind('\n', download.size - 2);
      const std::size_t least = std::min(before == std::string::npos ? 1 : before + 2, download.size - 1);
      download.size =
          static_cast<std::size_t>(dice_.between(static_cast<std::int64_t>(least), static_cast<std::int64_t>(download.size) - 1));
    } else if (strikes(CloudFault::download_cut)) {
      download.size = static_cast<std::size_t>(dice_.between(0, static_cast<std::int64_t>(download.size)));
      download.cut = true;
    }
    if (file->answers_of && download.size == file->content->size() && on_answers_read) on_answers_read(*file->answers_of);
    return download;
  };
  return call<Download>(effect);
}

ProviderResult<void> FakeCloud::delete_file(const FileId& id) {
  const auto effect = [&]() -> ProviderResult<void> {
    CloudFile* file = files_.find(id);
    // One that cannot be seen yet is denied, and stays.
    if (!file || !file->visible(now())) return {};
    if (file->foreign) note(Trespass::foreign_deleted, id.value);
    for (const std::size_t index : live_) {
      BatchEntry& entry = ledger_.batches[index];
      if (entry.input == id && !entry.deprived) entry.deprived = now();
    }
    lose(*file);
    return {};
  };
  return call<void>(effect);
}

ProviderResult<FilePage> FakeCloud::list_files(const std::optional<std::string>& after) {
  const auto effect = [&]() -> ProviderResult<FilePage> {
    const std::size_t first = position(after, files_.all().size(), files_.prefix());
    if (strikes(CloudFault::page_inserts)) add_foreign_file("notes.jsonl");
    const auto entry = [this](FilePage& page, std::size_t index) -> const std::string* {
      const CloudFile& file = files_.all()[index];
      if (!file.visible(now())) return nullptr;
      page.files.push_back(shown(file));
      return &file.shown.id.value;
    };
    if (settings_.file_list_pages) return page<FilePage>(after, files_.all().size(), first, entry);
    FilePage page;
    for (std::size_t index = 0; index < files_.all().size(); ++index) entry(page, index);
    return page;
  };
  return call<FilePage>(effect);
}

ProviderResult<RemoteFile> FakeCloud::take_file(std::string content, const std::string& filename) {
  if (!filename.ends_with(".jsonl")) {
    return ProviderError{ErrorKind::permanent, 400, "invalid_request", "the name must end in .jsonl", {}};
  }
  if (static_cast<Bytes>(content.size()) > settings_.limits.max_bytes) {
    return ProviderError{ErrorKind::permanent, 413, "file_too_large", "the file is larger than a file may be", {}};
  }
  if (ceiling_reached()) return ProviderError{ErrorKind::file_slots, 400, "quotaExceeded", "too many files", {}};
  auto input = std::make_shared<Input>(read_input(content));
  if (input->poisons_upload) {
    return ProviderError{ErrorKind::permanent, 400, "jsonlValidationFailed", "the file cannot be read", {}};
  }
  if (static_cast<std::int64_t>(input->lines.size()) > settings_.limits.max_requests) {
    input->errors.push_back({"too_many_tasks", "The file has too many requests.", std::nullopt});
  }
  CloudFile file;
  file.shown.filename = filename;
  file.shown.purpose = "batch";
  file.shown.bytes = static_cast<Bytes>(content.size());
  file.content = std::make_shared<const std::string>(std::move(content));
  if (strikes(CloudFault::file_unseen)) file.seen_from = now() + within(settings_.unseen);
  if (settings_.limits.wait_for_processed) draw_processing(file);
  if (strikes(CloudFault::input_taken)) file.gone_from = now() + within(settings_.taken);
  const bool malformed = std::any_of(input->errors.begin(), input->errors.end(),
                                     [](const BatchError& error) { return error.code != "invalid_request"; });
  file.input = std::move(input);
  const CloudFile& added = files_.add(std::move(file), now(), settings_.clock_skew);
  if (malformed) note(Trespass::bad_file, added.shown.id.value);
  return shown(added);
}

void FakeCloud::draw_processing(CloudFile& file) {
  file.processed_from = now() + within(strikes(CloudFault::file_slow) ? settings_.slow_processing : settings_.processing);
  if (strikes(CloudFault::file_bad)) file.end = dice_.flip(0.5) ? "error" : "deleted";
  if (strikes(CloudFault::file_stuck)) file.processed_from = never;
  file.running_from = now() + (std::min(file.processed_from, now() + settings_.processing.most) - now()) / 2;
}

bool FakeCloud::ceiling_reached() const {
  return settings_.limits.max_files > 0 && static_cast<std::int64_t>(files(false)) >= settings_.limits.max_files;
}

RemoteFile FakeCloud::shown(const CloudFile& file) const {
  RemoteFile shown = file.shown;
  shown.status = file.status(now());
  return shown;
}

void FakeCloud::lose(CloudFile& file) {
  file.gone_from = std::min(file.gone_from, now());
  for (const CloudBatch& batch : batches_) {
    if (batch.no_metadata && batch.shown.input_file_id == file.shown.id) entry_of(batch).traceless_from = file.gone_from;
  }
  for (const std::size_t index : live_) {
    CloudBatch& batch = batches_[index];
    if (!batch.input_needed || batch.shown.input_file_id != file.shown.id || batch.status(now()) != BatchStatus::validating) {
      continue;
    }
    batch.validated = now();
    batch.fail_validation({{"file_not_found", "The input file cannot be read.", std::nullopt}});
  }
  settle();
}

}  // namespace batchd::simulation
