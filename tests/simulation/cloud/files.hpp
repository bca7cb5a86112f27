// The account's files: uploaded inputs, each read once when it arrives, results of batches, and other people's.
// Owned by the cloud; a deleted file leaves its place empty, so that its id is never given out again.
#pragma once

#include "core/batch.hpp"
#include "core/remote_names.hpp"
#include "simulation/cloud/prompt.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd::simulation {

inline constexpr Milliseconds never{INT64_MAX};

struct InputLine {
  std::string custom_id;
  CustomId id;  ///< request 0 when the custom_id is not of our making
  std::uint64_t prompt = 0;
  Tokens tokens = 0;
  BodyWish wish = BodyWish::answer;
};

/// What an uploaded file says.
struct Input {
  std::vector<InputLine> lines;
  std::string url;         ///< of all lines
  std::string deployment;  ///< their model
  Tokens tokens = 0;
  bool poisons_upload = false;
  bool poisons_create = false;
  std::vector<BatchError> errors;  ///< why a batch on it fails
};

/// Lines are judged as a provider does; `errors` names the lines that it would not take.
Input read_input(std::string_view text);

/// The number at the end of an id; nothing when it is not `prefix` and a number.
std::optional<std::size_t> number_of(std::string_view id, std::string_view prefix);

struct CloudFile {
  RemoteFile shown;  ///< its status is worked out when it is asked for
  std::shared_ptr<const std::string> content;
  std::shared_ptr<const Input> input;     ///< of uploads
  std::optional<std::size_t> answers_of;  ///< of output files: which batch's
  bool foreign = false;
  Milliseconds seen_from{0};
  Milliseconds running_from{0};
  Milliseconds processed_from{0};
  const char* end = "processed";  ///< its status then
  Milliseconds gone_from = never;

  bool exists(Milliseconds now) const { return now < gone_from; }
  bool visible(Milliseconds now) const { return exists(now) && now >= seen_from; }
  const char* status(Milliseconds now) const;
};

class Files {
 public:
  Files() = default;
  /// Ids are that prefix and a number.
  explicit Files(std::string prefix) : prefix_(std::move(prefix)) {}

  const std::string& prefix() const { return prefix_; }
  CloudFile& add(CloudFile file, Milliseconds created, Milliseconds skew);
  /// Whether it still exists or not; nullptr for an id that was never given out.
  CloudFile* find(const FileId& id);
  const CloudFile* find(const FileId& id) const { return const_cast<Files*>(this)->find(id); }
  std::vector<CloudFile>& all() { return files_; }
  const std::vector<CloudFile>& all() const { return files_; }

 private:
  std::string prefix_;
  std::vector<CloudFile> files_;
};

}  // namespace batchd::simulation
