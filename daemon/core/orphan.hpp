// Which of a provider's files nobody will ever ask for again: uploads whose answer was lost, or whose replica died before it
// could record them. Pure judgement: the provider's list on one side, our books on the other. When in doubt a file stays.
#pragma once

#include "core/batch.hpp"
#include "core/types.hpp"

#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace batchd {

/// What the books say about a shard that a file is named after.
struct FileOwner {
  std::optional<FileId> input_file;  ///< the one it recorded
  int attempt = 1;
  bool planned = false;    ///< it has yet to record a file for this attempt
  bool uploading = false;  ///< and a living replica may be sending it just now
};

/// The books about some files, read after they were listed.
struct FileBooks {
  /// They have been compared with the provider's list of batches since commits may last have been lost; else nothing can be said.
  bool trusted = false;
  std::unordered_map<ShardId, FileOwner> shards;  ///< only those that are in the books, not yet retired
  std::unordered_set<FileId> needed;              ///< inputs of submissions of these shards: of batches that exist or may exist
};

enum class FileVerdict {
  keep,    ///< somebody else's, or needed, or not to be judged by these books
  wait,    ///< ours, and may be recorded in a moment
  orphan,  ///< this instance's own, and no shard refers to it nor ever can
};

/// With `keep_files` (`retention.remote_files = "keep"`) only a file in whose place its shard recorded another one is an orphan.
FileVerdict judge_file(const RemoteFile& file, std::string_view instance, const FileBooks& books, bool keep_files);

}  // namespace batchd
