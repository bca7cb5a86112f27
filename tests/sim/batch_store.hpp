// All batches, and the one place that moves them along: it runs their requests, publishes their result files, keeps the
// quota and the ledger in step. Cheap when idle: only batches that are not over are looked at.
#pragma once

#include "batch.hpp"
#include "file_store.hpp"
#include "ids.hpp"
#include "ledger.hpp"
#include "quota.hpp"

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace sim {

class BatchStore {
 public:
  BatchStore(const Settings& settings, FileStore& files, Quota& quota, Ledger& ledger, IdMaker& ids)
      : settings_(settings), files_(files), quota_(quota), ledger_(ledger), ids_(ids) {}

  /// Brings every batch up to `time`.
  void advance(TimePoint time);

  Batch& create(Batch batch, const StoredFile& input, TimePoint time);
  Batch* find(const std::string& resource, const std::string& id);
  /// In whichever resource.
  Batch* find(const std::string& id);
  /// Somebody else's: nothing of it runs, and it stays as it is until told otherwise.
  Batch& add_foreign(Batch batch, BatchState state, TimePoint time);

  /// The batch is not over. `fate` decides where the cancellation leads, when it says so.
  void cancel(Batch& batch, TimePoint time, const Fate& fate = {});
  /// Ends it now as `fate` says. The batch is not over.
  void end(Batch& batch, const Fate& fate, TimePoint time);
  /// Lets it hang in `state` when it comes there, or is there; `time_held` 0: until released.
  void hold(Batch& batch, BatchState state, Milliseconds time_held, TimePoint time);
  /// The present state ends now.
  void release(Batch& batch, TimePoint time);

  /// Of a resource, newest first, those that lists show at `time`.
  std::vector<Batch*> list(const std::string& resource, TimePoint time);
  const std::vector<std::unique_ptr<Batch>>& all() const { return batches_; }
  bool needs_input(const std::string& file_id) const;

 private:
  void step(Batch& batch, TimePoint at);
  void enter(Batch& batch, BatchState state, TimePoint at, Milliseconds lasts);
  void expire(Batch& batch);
  Batch& keep(Batch batch);
  bool can_run(const Batch& batch) const;
  BatchRules rules_for(const Batch& batch) const;
  void end(Batch& batch, TimePoint at);
  void run_as_fated(Batch& batch, double share, Rest rest);
  void run(Batch& batch, std::uint32_t requests, Rest rest);
  void measure(Execution& execution, std::uint32_t batch_number);
  void publish(Batch& batch, TimePoint at);
  std::string publish(Batch& batch, TimePoint at, ResultFile file);
  std::uint32_t share_done(const Batch& batch, TimePoint at) const;

  const Settings& settings_;
  FileStore& files_;
  Quota& quota_;
  Ledger& ledger_;
  IdMaker& ids_;
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Batch*> live_;
  std::unordered_map<std::string, Batch*> by_id_;
  std::unordered_set<std::string> used_inputs_;  ///< of batches that did not fail
};

}  // namespace sim
