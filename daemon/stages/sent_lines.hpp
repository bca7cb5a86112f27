// What an input file that was sent once says: which requests stand in it, and whether the rows of those numbers are still the
// same ones. A database that has lost commits gives its numbers out anew, and an answer must never stand beside a prompt that
// it does not answer.
#pragma once

#include "core/members.hpp"
#include "core/remote_names.hpp"
#include "core/types.hpp"
#include "db/store.hpp"
#include "spool/spool.hpp"
#include "tokens/counter.hpp"
#include "tokens/vocabularies.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

class SentLines {
 public:
  /// By what its tokens are counted, null to estimate them.
  explicit SentLines(const Vocabularies* vocabularies = nullptr) : vocabularies_(vocabularies) {}

  /// Takes the next bytes of the file; then its end.
  void feed(std::string_view bytes);
  void end();

  bool empty() const { return lines_.empty(); }
  /// A line was none of ours, as all were when they were sent: the file was not received whole.
  bool damaged() const { return damaged_; }
  /// The requests that it names.
  std::size_t size() const { return lines_.size(); }
  /// As its lines name it, "" when none does.
  const std::string& model() const { return model_; }
  /// That the file holds of a quota.
  Tokens tokens() const { return counter_ ? counter_->total().reserved() : 0; }
  /// The requests that it names, for Store::read_bodies().
  ShardContents contents() const;
  /// Compares what is written for a body today with what stands in the file.
  void compare(RequestId request, std::string_view body);
  /// The lines whose bodies were compared and are the same, ascending.
  std::vector<CustomId> same() const;

 private:
  struct Line {
    CustomId id;
    std::size_t digest = 0;  // of all its bytes
    bool same = false;
  };
  void take(std::string_view line);

  LineSplitter splitter_{longest_file_line};
  std::vector<Line> lines_;  // ascending by request once the file has ended, one for each
  std::string url_, model_;
  const Vocabularies* vocabularies_;
  std::optional<TokenCounter> counter_;
  bool damaged_ = false;
  std::string written_;  // scratch
};

}  // namespace batchd
