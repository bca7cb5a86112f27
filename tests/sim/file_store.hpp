// The files of each resource: inputs as they were uploaded, and result files that are made when downloaded.
#pragma once

#include "execution.hpp"
#include "settings.hpp"

#include <boost/json/object.hpp>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace sim {

struct StoredFile {
  std::string id;
  std::string resource;
  std::string filename;
  std::string purpose;
  std::uint64_t bytes = 0;
  TimePoint created;
  TimePoint running_at;    ///< `pending` before
  TimePoint processed_at;  ///< `running` before
  TimePoint visible_at;    ///< as if it did not exist before
  std::optional<std::int64_t> expires_at;
  std::string final_state = "processed";
  std::string state_details;

  std::shared_ptr<const SpoolFile> content;    ///< of an input
  std::shared_ptr<const InputFacts> facts;     ///< of an input
  std::shared_ptr<const Execution> execution;  ///< of a result file; neither: it is empty
  ResultFile result = ResultFile::output;
  std::uint64_t number = 0;
  bool foreign = false;

  std::string state_at(TimePoint time) const;
};

class FileStore {
 public:
  void add(std::shared_ptr<StoredFile> file);
  /// Null when there is no such file (yet).
  std::shared_ptr<const StoredFile> find(const std::string& resource, const std::string& id) const;
  bool erase(const std::string& resource, const std::string& id);
  /// In whichever resource, to be changed by hand.
  StoredFile* find(const std::string& id);
  /// Takes away what has expired; with `lifetime` above 0 also what is older than that.
  void expire(TimePoint time, Milliseconds lifetime);
  /// Newest first.
  std::vector<std::shared_ptr<const StoredFile>> list(const std::string& resource) const;
  std::size_t count(const std::string& resource, bool with_outputs) const;
  std::size_t size() const { return files_.size(); }

 private:
  std::map<std::uint64_t, std::shared_ptr<StoredFile>> files_;
  std::unordered_map<std::string, std::uint64_t> numbers_;
  std::uint64_t next_ = 1;
  bool some_expire_ = false;
};

boost::json::object describe(const StoredFile& file, Dialect dialect);
std::unique_ptr<BodySource> content_of(const StoredFile& file);

}  // namespace sim
