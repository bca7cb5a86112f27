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
  numbers_[file->id] = file->number;
  files_[file->number] = std::move(file);
}

std::shared_ptr<const StoredFile> FileStore::find(const std::string& resource, const std::string& id) const {
  const auto number = numbers_.find(id);
  if (number == numbers_.end()) return nullptr;
  const auto& file = files_.at(number->second);
  return file->resource == resource && file->visible_at <= now() ? file : nullptr;
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

boost::json::object describe(const StoredFile& file, Dialect dialect) {
  boost::json::object out{{"id", file.id},
                          {"object", "file"},
                          {"bytes", file.bytes},
                          {"created_at", unix_seconds(file.created)},
                          {"filename", file.filename},
                          {"purpose", file.purpose},
                          {"status", file.processed_at <= now() ? "processed" : "pending"}};
  if (file.expires_at) out["expires_at"] = *file.expires_at;
  if (dialect == Dialect::openai) out["status_details"] = nullptr;
  return out;
}

std::unique_ptr<BodySource> content_of(const StoredFile& file) {
  if (file.content) return std::make_unique<SpoolSource>(file.content);
  if (file.execution) return result_source(file.execution, file.result);
  return nullptr;
}

}  // namespace sim
