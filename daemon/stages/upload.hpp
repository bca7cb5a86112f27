// planned ─▶ uploaded. Streams a shard's bodies into a scratch file, settles the rows that can never be sent, and uploads
// the file under a name of ours. The database is read once; a retry of the sending needs it no more.
#pragma once

#include "core/request_line.hpp"
#include "spool/spool.hpp"
#include "stages/stage.hpp"

namespace batchd {

class UploadStage final : public Stage {
 public:
  UploadStage(StageContext& context, Spool& spool)
      : Stage("upload", context, context.bells.upload, Milliseconds{5000}), spool_(spool) {}

 private:
  /// A shard's file as it was written, and what was learnt on the way.
  struct Draft {
    ScratchFile file;
    Tokens tokens = 0;
    std::int64_t lines = 0;
    std::int64_t inputs = 0;  ///< of embeddings, where they are limited
    std::vector<std::pair<RequestId, Rejection>> rejected;
    std::vector<RequestId> left_out;   ///< did not fit after all
    std::vector<RequestId> above_cap;  ///< would cost more than a whole cap allows
    std::optional<Purse> purse;        ///< where the model has a price
    std::string failure;               ///< what the disk said, thrown again on the loop
  };

  Task<int> run_once() override;
  Task<void> step(Shard shard) override;
  /// False, and the shard put off, when the provider would hold more files than it may.
  Task<bool> finds_place(Shard& shard, const Provider& provider);
  /// What waits there to be deleted goes at once.
  Task<void> make_room(const std::string& provider);
  static bool affords(Draft& draft, const ShardContents& contents, RequestId request, std::string_view body, bool embeds,
                      Tokens tokens);
  Task<void> write(const Shard& shard, const ShardContents& contents, const Route& route, const std::string& url, Draft& draft);
  Task<bool> settle_rejected(const Shard& shard, ShardContents& contents, const Draft& draft);
  Task<void> send(Shard& shard, const Route& route, Draft& draft);
  Task<void> record(Shard& shard, const Route& route, const Draft& draft, const RemoteFile& file);

  Spool& spool_;
  std::map<std::string, std::int64_t> sending_;          // uploads under way from here, by provider
  std::map<std::string, Clock::TimePoint> count_asked_;  // when others' files were last asked to be counted
};

}  // namespace batchd
