// One provider account in virtual time: its files, batches, quota and lists, with every fault of PROTOCOL.md 19 on demand.
// Owned by a schedule and shared by its replicas. It has no timers: what became of a batch is worked out whenever somebody
// asks. Calls may come in any order and at any time, as they do when one is delivered late.
#pragma once

#include "provider/provider.hpp"
#include "simulation/cloud/batches.hpp"
#include "simulation/cloud/files.hpp"
#include "simulation/cloud/ledger.hpp"
#include "simulation/cloud/settings.hpp"
#include "simulation/dice.hpp"

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace batchd::simulation {

/// What a download gives: the first `size` bytes of `content`, and then its end, or a cut.
struct Download {
  std::shared_ptr<const std::string> content;
  std::size_t size = 0;
  bool cut = false;
};

class FakeCloud {
 public:
  FakeCloud(std::function<Milliseconds()> now, Dice dice, CloudSettings settings);
  FakeCloud(const FakeCloud&) = delete;
  FakeCloud& operator=(const FakeCloud&) = delete;

  const CloudSettings& settings() const { return settings_; }

  // The calls, as the port has them.
  ProviderResult<RemoteFile> upload(std::string content, const std::string& filename);
  ProviderResult<CreatedBatch> create_batch(const NewBatch& order);
  ProviderResult<Batch> retrieve_batch(const BatchId& id);
  ProviderResult<BatchPage> list_batches(const std::optional<std::string>& after);
  ProviderResult<Batch> cancel_batch(const BatchId& id);
  ProviderResult<RemoteFile> retrieve_file(const FileId& id);
  ProviderResult<Download> download(const FileId& id);
  ProviderResult<void> delete_file(const FileId& id);
  ProviderResult<FilePage> list_files(const std::optional<std::string>& after);

  // What a schedule decrees.
  /// From now on everything goes well: all chances are zero, and what lasts (an outage, a stuck file or batch) ends.
  void calm();
  /// How likely each fault is from now on.
  CloudFaults& faults() { return settings_.faults; }
  /// The next time that its chance is asked, this fault strikes.
  void strike_next(CloudFault fault) { due_[static_cast<std::size_t>(fault)] = true; }
  /// A batch of somebody else with an input file; `metadata` as that somebody writes them.
  BatchId add_foreign_batch(std::map<std::string, std::string> metadata, std::string filename = "notes.jsonl");
  FileId add_foreign_file(std::string filename);
  /// As a person does in the portal; neither strikes a fault nor is a violation.
  void cancel_by_hand(const BatchId& id);
  void delete_by_hand(const FileId& id);
  void vanish(const BatchId& id);

  /// Told when the whole of a batch's answers has been handed out, with the batch's place in the ledger.
  std::function<void(std::size_t)> on_answers_read;

  // What an oracle asks.
  /// The books, brought up to now.
  const Ledger& ledger();
  /// Batches of ours that are not over by now.
  std::size_t living();
  /// Whether the answer of a run could still be downloaded now.
  bool readable(const LineRun& run) const;
  /// Files that are there, ours or all.
  std::size_t files(bool ours_only = true) const;
  /// How often a fault has struck.
  std::uint32_t struck(CloudFault fault) const { return struck_[static_cast<std::size_t>(fault)]; }

 private:
  struct Outage {
    Milliseconds until{0};
    int status = 401;
    std::string code;
    bool on_create_only = false;
  };
  /// Room of a batch that is over, not yet given back.
  struct Lagging {
    Milliseconds until;
    std::string deployment;
    Tokens tokens;
  };

  Milliseconds now() const { return now_(); }
  Milliseconds within(const Span& span) { return dice_.between(span.least, span.most); }
  bool strikes(CloudFault fault);
  void note(Trespass what, const std::string& object);

  /// What keeps a call from being looked at: an outage, throttling, trouble of the provider's own.
  std::optional<ProviderError> at_the_door(bool is_create);
  ProviderError unanswered();
  template <class T, class Effect>
  ProviderResult<T> call(Effect effect, bool is_create = false);
  template <class Page, class Entry>
  ProviderResult<Page> page(const std::optional<std::string>& after, std::size_t count, std::size_t first, Entry entry);
  /// Where a list goes on after that cursor.
  std::size_t position(const std::optional<std::string>& after, std::size_t count, const std::string& prefix) const;

  ProviderResult<RemoteFile> take_file(std::string content, const std::string& filename);
  void draw_processing(CloudFile& file);
  bool ceiling_reached() const;
  RemoteFile shown(const CloudFile& file) const;
  void lose(CloudFile& file);

  ProviderResult<CreatedBatch> accept(const NewBatch& order);
  std::optional<ProviderError> refusal_of(const NewBatch& order, const CloudFile* file);
  std::size_t enter(const NewBatch& order, const CloudFile& file);
  CloudBatch* find(const BatchId& id);
  BatchEntry& entry_of(const CloudBatch& batch) { return ledger_.batches[index_of(batch)]; }
  std::size_t index_of(const CloudBatch& batch) const { return static_cast<std::size_t>(&batch - batches_.data()); }
  Batch seen(const CloudBatch& batch);
  ProviderResult<Batch> cancel(CloudBatch& batch, Milliseconds at);

  bool has_room(const std::string& deployment, Tokens tokens);
  void draw_life(CloudBatch& batch, const NewBatch& order);
  void draw_manners(CloudBatch& batch);
  /// Why it fails validation, which may be for no reason at all.
  std::optional<std::vector<BatchError>> draw_refusal(const CloudBatch& batch, const NewBatch& order);
  /// Brings what lives up to now.
  void settle();
  void settle(std::size_t index);
  void finish(std::size_t index);
  FileId publish(const CloudBatch& batch, std::string& text, bool answers);
  void run_lines(std::size_t index);
  void run_line(std::size_t index, const InputLine& line);
  bool fail_line(CloudBatch& batch, const InputLine& line, LineRun& run);
  void answer_line(CloudBatch& batch, const InputLine& line, LineRun& run);
  void append_foreign(CloudBatch& batch, const InputLine& line);

  std::function<Milliseconds()> now_;
  Dice dice_;
  CloudSettings settings_;
  std::string batch_prefix_;  ///< of ids: no other account gives out the same
  Files files_;
  std::vector<CloudBatch> batches_;  ///< the n-th is ledger_.batches[n]
  std::vector<std::size_t> live_;    ///< of ours
  std::vector<Lagging> lagging_;
  Ledger ledger_;
  Outage outage_;
  std::array<std::uint32_t, cloud_faults> struck_{};
  std::array<bool, cloud_faults> due_{};
};

}  // namespace batchd::simulation
