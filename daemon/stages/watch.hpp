// Looks for batches of ours at a provider that the books do not explain, and deals with them (P2, P8). A whole walk through the
// provider's list is judged page by page (core/recognition.hpp): a batch whose shard has none is taken over, one whose shard was
// lost with its commits gets it back, one too many is stopped and what it answered is used. What is not ours is never touched.
// One replica does this for a provider at a time.
#pragma once

#include "core/recognition.hpp"
#include "stages/denials.hpp"
#include "stages/sent_lines.hpp"
#include "stages/stage.hpp"

#include <map>
#include <unordered_map>
#include <unordered_set>

namespace batchd {

struct WatchSettings {
  Milliseconds interval{60'000};        ///< how often it asks whether there is something to do
  Milliseconds walk_interval{600'000};  ///< between whole walks while something may turn up
  bool delete_remote_files = true;
  Milliseconds remote_delay{0};
};

class WatchStage final : public Stage {
 public:
  WatchStage(StageContext& context, std::string provider_name, Provider& provider, Wakeup& bell, WatchSettings settings)
      : Stage("watch:" + provider_name, context, bell, settings.interval),
        provider_name_(std::move(provider_name)),
        provider_(provider),
        settings_(settings) {}

 private:
  /// A file that so many looks in a row do not find is gone; a new one may be invisible for a while (PROTOCOL.md 17).
  static constexpr int most_missing = 3;

  /// A batch that belongs to a shard without one.
  struct Candidate {
    Batch batch;
    BookEntry books;
    Recognition recognition = Recognition::lost;
  };
  /// What one walk found.
  struct Survey {
    bool rewound = false;  ///< commits are known to be lost: what the books know may be behind
    std::map<ShardId, Candidate> candidates;
    int unsettled = 0;  ///< has to be judged again by another walk
    int open = 0;       ///< the submit stage is after it
    int duplicates = 0;
    ShardId highest;  ///< shard named by a batch of this instance
  };

  Task<int> run_once() override;
  /// What is new is seen soon, however seldom there is something to do.
  Milliseconds pause() const override;
  bool due(const std::optional<Clock::TimePoint>& last, Milliseconds every) const;
  /// The provider, while its list has to be compared with the books.
  Task<std::optional<Unmatched>> unmatched();
  /// False when the list was not seen whole.
  Task<bool> walk(Survey& survey);
  /// The account refuses us: its lanes say so, until a walk succeeds.
  Task<void> pause_lanes(const ProviderError& error);
  Task<bool> lanes_paused();
  Task<bool> judge(std::vector<Batch> page, Survey& survey);
  Task<void> judge_one(Batch& batch, const BookEntry& books, Survey& survey);
  /// A batch that no announcement explains proves that commits are lost, whatever else the database shows.
  Task<void> note_loss(Survey& survey);
  /// Acts on the candidates; returns how many shards have their batch now.
  Task<int> settle(Survey& survey);
  Task<bool> take_over(Candidate& found);

  // Batches that do not say whose they are (watch_origin.cpp) ---------------------------------------------------------
  enum class Origin {
    same,    ///< it asks for what stands in the shard
    other,   ///< it asks for something else
    later,   ///< cannot be told now
    untold,  ///< its input file does not exist any more
  };
  /// Gives a batch that shows no metadata those that it must have been submitted with, when it is ours.
  Task<void> learn_origin(Batch& batch, Survey& survey);
  /// Finds the input file of a batch that shows none, when it still exists. False when that cannot be told now.
  Task<bool> learn_input(Batch& batch, const BookEntry& books);
  Task<Origin> compare(const Candidate& found, const Shard& shard);

  // Shards that the database has lost (watch_recover.cpp) ------------------------------------------------------------
  Task<bool> recover(Candidate& found);
  /// A batch that the books know has ended; whether its answers are still there.
  Task<void> look_for_answers(const Batch& batch, const BookEntry& books, Survey& survey);
  /// True when a result file of the batch stays missing; nothing when that cannot be told yet.
  Task<std::optional<bool>> answers_gone(const Batch& batch);
  enum class Learnt {
    all,
    later,  ///< not now
    gone,   ///< the input file does not exist any more
  };
  /// Reads a batch's input file, and compares its lines with what stands in the database today.
  Task<Learnt> read_sent(const BatchId& batch, const FileId& input, SentLines& lines);
  /// Reads the batch's input file: its model and tokens, and those of its lines whose requests are still what stands there.
  Task<Learnt> learn(FoundBatch& found);
  Task<void> record_lost(const Batch& batch, const BookEntry& books);
  /// Nothing tells what a batch of ours was asked for. False while it runs.
  Task<bool> give_up(const Batch& batch, const BookEntry& books);

  // Strays (watch_strays.cpp) ----------------------------------------------------------------------------------------
  Task<void> record_duplicate(const Batch& batch, const BookEntry& books);
  Task<void> tend_strays();
  Task<void> stop_stray(Stray& stray);
  Task<void> harvest(Stray& stray);
  Task<std::optional<std::vector<CustomId>>> usable(const Stray& stray, std::vector<CustomId> answered);
  Task<void> clear_away(Stray& stray);

  void warn(std::string_view event, const BatchId& batch, const ProviderError& error);

  std::string provider_name_;
  Provider& provider_;
  WatchSettings settings_;
  std::optional<Clock::TimePoint> tended_;           // when strays were last looked after
  std::optional<Clock::TimePoint> walked_;           // when the list was last walked
  std::string walked_for_;                           // the mark of the doubt that the last walk was about
  int refusals_ = 0;                                 // walks in a row that the account was not allowed
  bool look_again_ = false;                          // an open submission was met: another of its batches would show later
  Denials results_;                                  // of a batch's result files
  Denials inputs_;                                   // of its input file
  std::unordered_map<BatchId, int> damaged_inputs_;  // downloads of it that came damaged
  std::unordered_set<BatchId> strangers_;            // batches without metadata whose files are not ours
};

}  // namespace batchd
