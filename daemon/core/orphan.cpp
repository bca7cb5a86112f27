#include "core/orphan.hpp"

#include "core/remote_names.hpp"

namespace batchd {

FileVerdict judge_file(const RemoteFile& file, std::string_view instance, const FileBooks& books, bool keep_files) {
  const auto name = parse_input_file_name(file.filename);
  if (!name || name->instance != instance || !books.trusted || books.needed.contains(file.id)) {
    return FileVerdict::keep;
  }
  const auto found = books.shards.find(name->shard);
  // A shard that nobody remembers was retired, or was lost with its commits and never came to a batch.
  if (found == books.shards.end()) return keep_files ? FileVerdict::keep : FileVerdict::orphan;
  const FileOwner& owner = found->second;
  if (owner.input_file == file.id) return FileVerdict::keep;
  if (owner.uploading && name->attempt >= owner.attempt) return FileVerdict::wait;
  if (owner.input_file || !keep_files) return FileVerdict::orphan;
  return owner.planned ? FileVerdict::wait : FileVerdict::keep;  // until it has recorded another, as it is going to
}

}  // namespace batchd
