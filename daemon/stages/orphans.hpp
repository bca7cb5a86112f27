// Looks through a provider's files for uploads that no shard will ever know of, and deletes them: each would keep one of its few
// places for ever. One replica does so for a provider, when something happened that may leave such a file and about hourly; what
// is not certainly ours and certainly nobody's stays (core/orphan.hpp). What it sees is counted, too.
#pragma once

#include "core/file_slots.hpp"
#include "core/orphan.hpp"
#include "stages/stage.hpp"

namespace batchd {

class OrphanStage final : public Stage {
 public:
  OrphanStage(StageContext& context, std::string provider_name, Provider& provider, bool keep_files)
      : Stage("files:" + provider_name, context, context.bells.orphans, Milliseconds{2000}),
        provider_name_(std::move(provider_name)),
        provider_(provider),
        keep_files_(keep_files) {}

 private:
  Task<int> run_once() override;
  Milliseconds pause() const override;
  /// Lists everything and deletes what is nobody's. False when the provider stopped answering.
  Task<bool> sweep(Term term);
  void count(const std::vector<RemoteFile>& files);
  Task<bool> sweep_page(Term term, const std::vector<RemoteFile>& files);
  Task<bool> remove(Term term, const RemoteFile& file);
  /// The next look is later than usual; returns by how much.
  Milliseconds put_off(std::optional<Milliseconds> asked);
  void failed(std::string_view step, const ProviderError& error);

  std::string provider_name_;
  Provider& provider_;
  bool keep_files_;
  bool started_ = false;
  bool undecided_ = false;  // something of ours is still being sent, as far as the books know
  ListedFiles listed_;
  int failures_ = 0;  // and looks in a row that had to leave something undecided
  Clock::TimePoint not_before_{};
};

}  // namespace batchd
