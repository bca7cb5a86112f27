#include "file_store.hpp"

#include <boost/json/value.hpp>

#include <algorithm>

namespace sim {
namespace {

class SpoolSource final : public BodySource {
 public:
  explicit SpoolSource(std::shared_ptr<const SpoolFile> file) : file_(std::move(file)) {}

  std::uint64_t size() const override { return file_->size(); }

  void next(std::string& out) override {
    constexpr std::size_t piece = 128 * 1024;
    const auto start = out.size();
    out.resize(start + piece);
    const auto got = file_->read_at(at_, {out.data() + start, piece});
    out.resize(start + got);
    at_ += got;
  }

 private:
  std::shared_ptr<const SpoolFile> file_;
  std::uint64_t at_ = 0;
};

}  // namespace

void FileStore::add(std::shared_ptr<StoredFile> file) {
  file->number = next_++;
  some_expire_ = some_expire_ || file->expires_at;
  numbers_[file->id] = file->number;
  files_[file->number] = std::move(file);
}

std::shared_ptr<const StoredFile> FileStore::find(const std::string& resource, const std::string& id) const {
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return nullptr;
  const auto& file = files_.at(number->second);
  return file->resource == resource && file->visible_at <= now() ? file : nullptr;
}

StoredFile* FileStore::find(const std::string& id) {
  const auto number = numbers_.find(id);
  return number == numbers_.end() ? nullptr : files_.at(number->second).get();
}

void FileStore::expire(TimePoint time, Milliseconds lifetime) {
  const bool aging = lifetime.count() > 0;
  if (!aging && !some_expire_) return;
  std::erase_if(files_, [&](const auto& entry) {
    const auto& file = *entry.second;
    const bool over = (aging && file.created + lifetime <= time) || (file.expires_at && *file.expires_at <= unix_seconds(time));
    if (over) numbers_.erase(file.id);
    return over;
  });
}

bool FileStore::erase(const std::string& resource, const std::string& id) {
  if (find(resource, id) == nullptr) return false;
  const auto number = numbers_.find(id);
  files_.erase(number->second);
  numbers_.erase(number);
  return true;
}

std::vector<std::shared_ptr<const StoredFile>> FileStore::list(const std::string& resource) const {
  std::vector<std::shared_ptr<const StoredFile>> out;
  const auto time = now();
  for (auto at = files_.rbegin(); at != files_.rend(); ++at) {
    if (at->second->resource == resource && at->second->visible_at <= time) out.push_back(at->second);
  }
  return out;
}

std::size_t FileStore::count(const std::string& resource, bool with_outputs) const {
  return static_cast<std::size_t>(std::count_if(files_.begin(), files_.end(), [&](const auto& entry) {
    return entry.second->resource == resource && (with_outputs || entry.second->purpose == "batch");
  }));
}

std::string StoredFile::state_at(TimePoint time) const {
  if (time < running_at) return "pending";
  return time < processed_at ? "running" : final_state;
}

boost::json::object describe(const StoredFile& file, Dialect dialect) {
  boost::json::object out{{"id", file.id},
                          {"object", "file"},
                          {"bytes", file.bytes},
                          {"created_at", unix_seconds(file.created)},
                          {"filename", file.filename},
                          {"purpose", file.purpose},
                          {"status", file.state_at(now())}};
  if (file.expires_at) out["expires_at"] = *file.expires_at;
  if (dialect == Dialect::openai) out["status_details"] = nullptr;
  if (!file.state_details.empty()) out["status_details"] = file.state_details;
  return out;
}

std::unique_ptr<BodySource> content_of(const StoredFile& file) {
  if (file.content) return std::make_unique<SpoolSource>(file.content);
  if (file.execution) return result_source(file.execution, file.result);
  return nullptr;
}

}  // namespace sim
