// Judges a schedule by what really happened: the providers' own ledgers against what producers asked for and what the database
// says in the end. It never asks the daemon.
#pragma once

#include "simulation/cloud/cloud.hpp"
#include "simulation/schedule.hpp"
#include "simulation/store/fake_database.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace batchd::simulation {

/// What a campaign adds up, to show that its schedules met what they were made for.
struct Tally {
  std::int64_t requests = 0, succeeded = 0, failed = 0, cancelled = 0, expired = 0;
  std::int64_t batches = 0, billed = 0;
  std::int64_t duplicates = 0;  ///< runs of requests that had been answered and paid for
  std::int64_t deaths = 0, restores = 0;
  void add(const Tally& other);
};

class Oracle {
 public:
  Oracle(const Schedule& schedule, const FakeDatabase& database, const std::vector<std::unique_ptr<FakeCloud>>& clouds)
      : schedule_(schedule), database_(database), clouds_(clouds) {}

  void enqueued(RequestId id, const std::string& body);
  /// The database has just gone back. What producers enqueued in between is gone with it.
  void restored(Milliseconds now, bool new_timeline);
  /// A person is about to ask again for what was cancelled or has expired.
  void retrying();
  /// Somebody was there who could tell that commits are lost, and has told.
  void must_be_noticed();
  void died() { ++tally_.deaths; }
  /// A person said that what is lost may be paid for again.
  void loss_accepted(Milliseconds now) {
    if (!loss_accepted_) loss_accepted_ = now;
  }

  /// The whole of a batch's answers was handed out.
  void answers_read(std::size_t cloud, std::size_t batch);
  /// Nobody will read the answers of this duplicate any more.
  void stray_used(const BatchId& batch);

  /// While the schedule runs: what must hold at any time. "" when it does.
  std::string check_now() const;
  /// What has not come to its end yet, "" when everything has.
  std::string unfinished() const;
  /// When it has come to its end. "" when everything held.
  std::string check_end();
  const Tally& tally() const { return tally_; }

 private:
  struct Run {
    std::size_t cloud = 0;
    const LineRun* line = nullptr;
    const BatchEntry* batch = nullptr;
  };
  using Runs = std::map<RequestId, std::vector<Run>>;

  Runs runs() const;
  std::string check_posts() const;
  std::string check_fences() const;
  std::string check_inputs() const;
  bool is_of_a_lost_past(const BatchEntry& batch) const;
  std::string check_quota() const;
  std::string check_requests(const Runs& runs);
  std::string check_answer(RequestId id, const RequestView& view) const;
  std::string check_billing(RequestId id, const std::vector<Run>& runs);
  std::string check_paid(RequestId id, const RequestView& view, const std::vector<Run>& runs) const;
  bool waits(RequestId id) const;
  bool lenient(const Run& run, const BatchEntry* again) const;
  bool left_open(const Run& first, const BatchEntry& again) const;
  bool unclosable(const BatchEntry& batch) const;

  const Schedule& schedule_;
  const FakeDatabase& database_;
  const std::vector<std::unique_ptr<FakeCloud>>& clouds_;
  std::map<RequestId, std::uint64_t> prompts_;
  std::optional<Milliseconds> restored_at_;
  std::optional<std::pair<Milliseconds, Milliseconds>> unnoticed_;  ///< when nothing but memories told of the last loss
  std::map<RequestId, ShardId> from_backup_;                        ///< which requests were in which live shards in it
  std::set<RequestId> planned_unawares_;                ///< which ones were put into shards before anybody told of the loss
  std::set<RequestId> asked_again_;                     ///< by a person, after they were cancelled or had expired
  std::map<BatchId, std::vector<RequestId>> answered_;  ///< which of those that were read waited for an answer then
  std::string wasted_;                                  ///< the first answer that was passed over, in words
  bool must_be_noticed_ = false;
  std::optional<Milliseconds> loss_accepted_;
  Tally tally_;
};

}  // namespace batchd::simulation
