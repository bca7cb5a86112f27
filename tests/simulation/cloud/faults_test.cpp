// Every fault that the cloud knows does what it says: what it shows is not there without it, and is there with it.
#include "core/output_line.hpp"
#include "core/refusal.hpp"
#include "simulation/cloud/bench.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>

namespace batchd::simulation {
namespace {

using namespace std::chrono_literals;
using Shows = bool (*)(Bench&);

constexpr Milliseconds long_enough = 24h;

bool has(const std::string& text, std::string_view what) {
  return text.find(what) != std::string::npos;
}

long lines_in(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

bool listed(Bench& bench, const BatchId& id) {
  const auto page = Bench::must(bench.cloud.list_batches(std::nullopt));
  return std::any_of(page.batches.begin(), page.batches.end(), [&](const Batch& batch) { return batch.id == id; });
}

/// The first two pages of a list of 30 batches, twenty on a page; the fault strikes the second.
std::pair<BatchPage, BatchPage> two_pages(Bench& bench) {
  const CloudFaults faults = std::exchange(bench.cloud.faults(), CloudFaults());
  const FileId file = bench.upload(bench.lines(1));
  for (int i = 1; i <= 30; ++i) bench.create(file, i);
  BatchPage first = Bench::must(bench.cloud.list_batches(std::nullopt));
  bench.cloud.faults() = faults;
  BatchPage second = Bench::must(bench.cloud.list_batches(first.next));
  return {std::move(first), std::move(second)};
}

/// What stands in a batch's files of lines that are read as answers, by their verdict.
struct Tally {
  std::map<Verdict, int> verdicts;
  int account = 0, corrupt = 0, foreign = 0;
};
Tally tally(Bench& bench) {
  const Batch batch = bench.ran();
  Tally found;
  std::string text = (batch.output_file_id ? bench.output(batch) : "") + bench.failures(batch);
  for (std::string_view left = text; !left.empty(); left.remove_prefix(left.find('\n') + 1)) {
    const LineResult line = read_output_line(left.substr(0, left.find('\n')));
    if (line.reading) {
      ++found.verdicts[line.reading->verdict];
      found.account += line.reading->account;
      found.foreign += line.reading->id.request.value > 10 || line.reading->id.attempt != 1;
    } else {
      ++(line.fault == LineFault::corrupt ? found.corrupt : found.foreign);
    }
  }
  return found;
}

const std::map<CloudFault, Shows>& scenarios() {
  static const std::map<CloudFault, Shows> all{
      {CloudFault::no_effect,
       [](Bench& b) { return Bench::kind(b.cloud.upload(b.lines(1), "a.jsonl")) == ErrorKind::unknown && b.cloud.files() == 0; }},
      {CloudFault::no_answer,
       [](Bench& b) { return Bench::kind(b.cloud.upload(b.lines(1), "a.jsonl")) == ErrorKind::unknown && b.cloud.files() == 1; }},
      {CloudFault::throttled,
       [](Bench& b) {
         return Bench::kind(b.cloud.upload(b.lines(1), "a.jsonl")) == ErrorKind::throttled && b.cloud.files() == 0;
       }},
      {CloudFault::account_outage,
       [](Bench& b) {
         const bool refused = Bench::kind(b.cloud.list_files(std::nullopt)) == ErrorKind::account;
         b.cloud.faults() = {};
         const bool lasts = Bench::kind(b.cloud.list_files(std::nullopt)) == ErrorKind::account;
         b.pass(b.cloud.settings().outage.most);
         return refused && lasts && b.cloud.list_files(std::nullopt).has_value();
       }},
      {CloudFault::file_unseen,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         const bool denied = Bench::kind(b.cloud.retrieve_file(file)) == ErrorKind::not_found;
         const bool not_ready = Bench::kind(b.cloud.create_batch(Bench::order(file))) == ErrorKind::not_ready;
         const bool unlisted = Bench::must(b.cloud.list_files(std::nullopt)).files.empty();
         b.cloud.delete_file(file);
         const bool stays = b.cloud.files() == 1;
         b.pass(b.cloud.settings().unseen.most);
         return denied && not_ready && unlisted && stays && b.cloud.retrieve_file(file).has_value();
       }},
      {CloudFault::file_slow,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         b.pass(b.cloud.settings().processing.most);
         const std::string status = Bench::must(b.cloud.retrieve_file(file)).status;
         b.pass(b.cloud.settings().slow_processing.most);
         return status == "running" && Bench::must(b.cloud.retrieve_file(file)).status == "processed";
       }},
      {CloudFault::file_stuck,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         b.pass(long_enough);
         return Bench::must(b.cloud.retrieve_file(file)).status == "running" &&
                Bench::kind(b.cloud.create_batch(Bench::order(file))) == ErrorKind::not_ready;
       }},
      {CloudFault::file_bad,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         b.pass(b.cloud.settings().processing.most);
         const std::string status = Bench::must(b.cloud.retrieve_file(file)).status;
         return (status == "error" || status == "deleted") &&
                Bench::kind(b.cloud.create_batch(Bench::order(file))) == ErrorKind::permanent;
       }},
      {CloudFault::input_taken,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         b.pass(b.cloud.settings().taken.most);
         return Bench::kind(b.cloud.create_batch(Bench::order(file))) == ErrorKind::not_ready;
       }},
      {CloudFault::quota_refused,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         b.pass(b.cloud.settings().processing.most);
         return Bench::kind(b.cloud.create_batch(Bench::order(file))) == ErrorKind::quota && b.cloud.living() == 0;
       }},
      {CloudFault::listed_late,
       [](Bench& b) {
         const BatchId id = b.create();
         b.pass(b.cloud.settings().late_listing.least - 1ms);
         const bool hidden = !listed(b, id) && b.batch(id).id == id && !b.cloud.ledger().batches[0].first_listed;
         b.pass(b.cloud.settings().late_listing.most);
         return hidden && listed(b, id) && b.cloud.ledger().batches[0].first_listed == b.now;
       }},
      {CloudFault::quota_failed,
       [](Bench& b) {
         const Batch batch = b.ran();
         return batch.status == BatchStatus::failed && batch.errors[0].code == "token_limit_exceeded" &&
                b.cloud.ledger().runs.empty();
       }},
      {CloudFault::validation_failed,
       [](Bench& b) {
         const Batch batch = b.ran();
         return batch.status == BatchStatus::failed && b.cloud.ledger().runs.empty() &&
                (batch.errors.empty() || batch.errors[0].code == "internal_error");
       }},
      {CloudFault::account_failed,
       [](Bench& b) {
         const Batch batch = b.ran();
         return batch.status == BatchStatus::failed && fault_of(batch) == Fault::account && b.cloud.ledger().runs.empty();
       }},
      {CloudFault::stuck_validating,
       [](Bench& b) {
         const BatchId id = b.create();
         b.pass_a_batch();
         const bool stuck = b.batch(id).status == BatchStatus::validating;
         b.pass(b.cloud.settings().stuck.most);
         return stuck && b.batch(id).status == BatchStatus::completed;
       }},
      {CloudFault::stuck_finalizing,
       [](Bench& b) {
         const BatchId id = b.create();
         b.pass_a_batch();
         const bool stuck = b.batch(id).status == BatchStatus::finalizing;
         b.pass(b.cloud.settings().stuck.most);
         return stuck && b.batch(id).status == BatchStatus::completed;
       }},
      {CloudFault::expires,
       [](Bench& b) {
         const Batch batch = b.ran(100);
         const std::size_t ran = b.cloud.ledger().runs.size();
         return batch.status == BatchStatus::expired && ran > 0 && ran < 100 && has(b.failures(batch), "batch_expired");
       }},
      {CloudFault::cancelled_by_others,
       [](Bench& b) {
         for (int i = 0; i < 20; ++i) b.create();
         b.pass_a_batch();
         b.pass(b.cloud.settings().cancelling.most);
         const auto& batches = b.cloud.ledger().batches;
         return std::any_of(batches.begin(), batches.end(), [](const BatchEntry& batch) {
           return batch.end == BatchStatus::cancelled && batch.ran > 0 && batch.ran < 10;
         });
       }},
      {CloudFault::fails_late,
       [](Bench& b) {
         const Batch batch = b.ran(100);
         return batch.status == BatchStatus::failed && batch.output_file_id && lines_in(b.output(batch)) < 100;
       }},
      {CloudFault::all_alike,
       [](Bench& b) {
         const Batch batch = b.ran();
         const auto& runs = b.cloud.ledger().runs;
         return !batch.output_file_id &&
                std::all_of(runs.begin(), runs.end(), [](const LineRun& run) { return run.status == 401; });
       }},
      {CloudFault::vanishes,
       [](Bench& b) {
         const BatchId id = b.create();
         b.pass(long_enough);
         return Bench::kind(b.cloud.retrieve_batch(id)) == ErrorKind::not_found &&
                Bench::kind(b.cloud.cancel_batch(id)) == ErrorKind::not_found && !listed(b, id) &&
                b.cloud.ledger().billed() == 10 && !b.cloud.readable(b.cloud.ledger().runs[0]);
       }},
      {CloudFault::no_output,
       [](Bench& b) {
         const Batch batch = b.ran();
         return batch.status == BatchStatus::completed && !batch.output_file_id && b.cloud.ledger().billed() == 10 &&
                !b.cloud.readable(b.cloud.ledger().runs[0]);
       }},
      {CloudFault::output_unseen,
       [](Bench& b) {
         const BatchId id = b.create();
         while (!is_terminal(b.batch(id).status)) b.pass(100ms);
         const FileId output = b.batch(id).output_file_id.value();
         const bool denied = Bench::kind(b.cloud.download(output)) == ErrorKind::not_found;
         b.pass(b.cloud.settings().unseen.most);
         return denied && b.cloud.download(output).has_value();
       }},
      {CloudFault::output_taken,
       [](Bench& b) {
         const Batch batch = b.ran();
         b.pass(b.cloud.settings().taken.most);
         return Bench::kind(b.cloud.download(*batch.output_file_id)) == ErrorKind::not_found &&
                !b.cloud.readable(b.cloud.ledger().runs[0]);
       }},
      {CloudFault::no_counts, [](Bench& b) { return !b.ran().counts; }},
      {CloudFault::no_metadata, [](Bench& b) { return b.ran().metadata.empty(); }},
      {CloudFault::no_input_id, [](Bench& b) { return !b.ran().input_file_id; }},
      {CloudFault::cancel_ignored,
       [](Bench& b) {
         const BatchId id = b.create();
         b.pass(b.cloud.settings().validating.most);
         const BatchStatus at_first = Bench::must(b.cloud.cancel_batch(id)).status;
         b.pass(b.cloud.settings().cancelling.most);
         b.pass_a_batch();
         return at_first == BatchStatus::cancelling && b.batch(id).status == BatchStatus::completed;
       }},
      {CloudFault::input_needed,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(3));
         const BatchId id = b.create(file);
         b.cloud.delete_file(file);
         return b.batch(id).status == BatchStatus::failed && b.cloud.ledger().batches[0].ran == 0;
       }},
      {CloudFault::older_state,
       [](Bench& b) {
         const Batch batch = b.ran();
         return batch.status == BatchStatus::finalizing && !batch.output_file_id;
       }},
      {CloudFault::unknown_state, [](Bench& b) { return b.ran().status == BatchStatus::unknown; }},
      {CloudFault::denied,
       [](Bench& b) {
         const FileId file = b.upload(b.lines(1));
         const BatchId id = b.create(file);
         return Bench::kind(b.cloud.retrieve_batch(id)) == ErrorKind::not_found &&
                Bench::kind(b.cloud.cancel_batch(id)) == ErrorKind::not_found &&
                Bench::kind(b.cloud.retrieve_file(file)) == ErrorKind::not_found && b.cloud.living() == 1;
       }},
      {CloudFault::page_repeats,
       [](Bench& b) {
         const auto [first, second] = two_pages(b);
         return second.batches.front().id == first.batches[first.batches.size() - 3].id;
       }},
      {CloudFault::page_stuck,
       [](Bench& b) {
         const auto [first, second] = two_pages(b);
         return second.next == first.next;
       }},
      {CloudFault::page_empty,
       [](Bench& b) {
         b.create();
         return Bench::kind(b.cloud.list_batches(std::nullopt)) == ErrorKind::unknown;
       }},
      {CloudFault::page_hollow,
       [](Bench& b) {
         const auto [first, second] = two_pages(b);
         b.cloud.faults() = {};
         return second.batches.empty() && second.next && Bench::must(b.cloud.list_batches(second.next)).batches.size() == 10;
       }},
      {CloudFault::page_inserts,
       [](Bench& b) {
         const std::size_t before = b.cloud.files(false);
         Bench::must(b.cloud.list_files(std::nullopt));
         Bench::must(b.cloud.list_batches(std::nullopt));
         return b.cloud.files(false) == before + 2 && b.cloud.ledger().batches.size() == 1 && b.cloud.files() == 0;
       }},
      {CloudFault::download_cut, [](Bench& b) { return Bench::must(b.cloud.download(b.ran().output_file_id.value())).cut; }},
      {CloudFault::download_short,
       [](Bench& b) {
         const Batch batch = b.ran();
         const Download download = Bench::must(b.cloud.download(*batch.output_file_id));
         const std::string_view got(download.content->data(), download.size);
         return !download.cut && got.back() != '\n' && std::count(got.begin(), got.end(), '\n') == 9 &&
                Bench::must(b.cloud.retrieve_file(*batch.output_file_id)).bytes == static_cast<Bytes>(download.content->size());
       }},
      {CloudFault::download_denied,
       [](Bench& b) { return Bench::kind(b.cloud.download(b.ran().output_file_id.value())) == ErrorKind::not_found; }},
      {CloudFault::line_throttled,
       [](Bench& b) { return tally(b).verdicts[Verdict::retry] == 10 && b.cloud.ledger().runs[0].status == 429; }},
      {CloudFault::line_failed,
       [](Bench& b) { return tally(b).verdicts[Verdict::retry] == 10 && b.cloud.ledger().runs[0].status >= 500; }},
      {CloudFault::line_refused, [](Bench& b) { return tally(b).verdicts[Verdict::permanent] == 10; }},
      {CloudFault::line_timeout,
       [](Bench& b) { return tally(b).verdicts[Verdict::retry] == 10 && b.cloud.ledger().runs[0].status == 0; }},
      {CloudFault::line_unpaid, [](Bench& b) { return tally(b).account == 10; }},
      {CloudFault::line_missing,
       [](Bench& b) {
         return tally(b).verdicts.empty() && b.cloud.ledger().billed() == 10 && !b.cloud.ledger().runs[0].written;
       }},
      {CloudFault::line_twice,
       [](Bench& b) { return tally(b).verdicts[Verdict::success] == 20 && b.cloud.ledger().billed() == 10; }},
      {CloudFault::line_in_both,
       [](Bench& b) {
         auto verdicts = tally(b).verdicts;
         return verdicts[Verdict::success] == 10 && verdicts[Verdict::retry] == 10 && b.cloud.ledger().billed() == 10;
       }},
      {CloudFault::line_garbled,
       [](Bench& b) { return tally(b).corrupt == 10 && b.cloud.ledger().billed() == 10 && !b.cloud.ledger().runs[0].written; }},
      {CloudFault::line_dirt,
       [](Bench& b) {
         const Tally found = tally(b);
         return found.corrupt == 10 && found.verdicts.at(Verdict::success) == 10;
       }},
      {CloudFault::line_foreign, [](Bench& b) { return tally(b).foreign == 10 && b.cloud.ledger().billed() == 10; }},
      {CloudFault::line_empty,
       [](Bench& b) { return tally(b).verdicts[Verdict::retry] == 10 && !b.cloud.ledger().runs[0].written; }},
  };
  return all;
}

class CloudFaultsTest : public ::testing::TestWithParam<std::size_t> {};

TEST_P(CloudFaultsTest, ShowsOnlyWhenItStrikes) {
  const auto fault = static_cast<CloudFault>(GetParam());
  const auto scenario = scenarios().find(fault);
  ASSERT_NE(scenario, scenarios().end()) << to_string(fault) << " has no scenario: nothing shows that it does anything";

  Bench honest;
  bool shown = false;
  try {
    shown = scenario->second(honest);
  } catch (const std::exception&) {
    // what the fault is about is not there: no such id, no such answer
  }
  EXPECT_FALSE(shown) << "without the fault";
  EXPECT_EQ(honest.cloud.struck(fault), 0u);

  CloudSettings settings = CloudSettings::azure_like();
  settings.faults[fault] = 1;
  Bench struck(settings);
  EXPECT_TRUE(scenario->second(struck));
  EXPECT_GT(struck.cloud.struck(fault), 0u);
}

INSTANTIATE_TEST_SUITE_P(Cloud, CloudFaultsTest, ::testing::Range(std::size_t{0}, cloud_faults),
                         [](const auto& which) { return std::string(to_string(static_cast<CloudFault>(which.param))); });

}  // namespace
}  // namespace batchd::simulation
