#include "stages/merger.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <numeric>

namespace batchd {

Merger::Merger(StageContext& context, const Shard& shard, ShardContents contents, ScratchFile set_aside,
               const MergeSettings& settings)
    : context_(context),
      shard_(shard),
      settings_(settings),
      contents_(std::move(contents)),
      seen_(contents_.decided),
      set_aside_(std::move(set_aside)),
      splitter_(settings.max_line),
      writing_(context.clock) {}

Task<void> Merger::feed(std::string_view bytes) {
  // In slices, so that a chunk never grows far beyond its bound however much arrives at once.
  constexpr std::size_t slice = 64 * 1024;
  while (!bytes.empty() && !lost_) {
    const std::string_view piece = bytes.substr(0, slice);
    bytes.remove_prefix(piece.size());
    splitter_.feed(piece, [this](const LineSplitter::Line& line) { take(line); });
    co_await write_when_full();
  }
}

Task<bool> Merger::end_of_file() {
  const std::int64_t corrupt_before = corrupt_;
  splitter_.end([this](const LineSplitter::Line& line) { take(line); });
  const bool whole = corrupt_ == corrupt_before;
  co_await write_when_full();
  co_return whole;
}

/// Every line failing alike in a way that no request causes (PROTOCOL.md 13, 19.9). A single 403 or 404 may well be about what
/// one request asks for; a 401 never is.
void Merger::weigh() {
  const int status = common_status_.value_or(0);
  const bool about_account = status == 401 || ((status == 403 || status == 404) && failures_ > 1);
  if (successes_ > 0 || !about_account) return;
  account_failure_ = ProviderError{ErrorKind::account, status, "every_line_alike", common_error_, std::nullopt};
}

Task<void> Merger::finish() {
  if (account_failure_) {
    const auto back = [this](RequestId request, int attempts) {
      return Return{request, attempts, Milliseconds{0}, common_error_};
    };
    const Decider decider = back;
    co_await decide_rest(decider, false);
    co_return;
  }
  co_await decide_failures();
  const auto unmentioned = [this](RequestId request, int attempts) {
    return decide(absent(request, attempts, shard_), attempts, settings_.round);
  };
  const Decider decider = unmentioned;
  co_await decide_rest(decider, false);
}

Task<void> Merger::decide_failures() {
  set_aside_.rewind();
  LineSplitter lines(settings_.max_line + 1);
  for (std::string_view bytes = set_aside_.read_some(); !bytes.empty() && !lost_; bytes = set_aside_.read_some()) {
    lines.feed(bytes, [this](const LineSplitter::Line& line) { take_failure(line.text); });
    co_await write_when_full();
  }
}

void Merger::take(const LineSplitter::Line& line) {
  if (line.too_long) {
    ++corrupt_;
    return;
  }
  if (line.text.find_first_not_of(" \t") == std::string_view::npos) return;  // blank lines are legal dirt
  LineResult result = read_output_line(line.text);
  if (!result.reading) {
    ++(result.fault == LineFault::corrupt ? corrupt_ : foreign_);
    return;
  }
  if (result.reading->verdict != Verdict::success) {
    if (only_successes_) return;
    weigh_failure(*result.reading);
    set_aside_.append(line.text);
    set_aside_.append("\n");
    return;
  }
  ++successes_;
  const auto rank = undecided_member(*result.reading);
  if (rank) decide_member(*rank, std::move(result.reading->settlement));
}

void Merger::weigh_failure(const LineReading& reading) {
  const int status = reading.settlement.status_code.value_or(0);
  if (reading.account && !unpaid_) {
    unpaid_ = ProviderError{ErrorKind::account, status, "account", reading.settlement.error, std::nullopt};
  }
  if (failures_++ == 0) {
    common_status_ = status;
    common_error_ = reading.settlement.error;
  } else if (common_status_ != status) {
    common_status_ = 0;
  }
}

void Merger::take_failure(std::string_view line) {
  LineResult result = read_output_line(line);
  if (!result.reading) return;
  const auto rank = undecided_member(*result.reading);
  if (!rank) return;
  const int attempts = attempts_before(result.reading->id.request);
  decide_member(*rank, decide(std::move(*result.reading), attempts, settings_.round));
}

std::optional<std::size_t> Merger::undecided_member(const LineReading& reading) {
  const auto rank = contents_.members.rank(reading.id.request);
  if (!rank || reading.id.attempt != attempts_before(reading.id.request) + 1) {
    ++foreign_;
    return std::nullopt;
  }
  if (seen_.test(*rank)) {
    ++duplicate_;
    return std::nullopt;
  }
  return rank;
}

void Merger::decide_member(std::size_t rank, Decision decision) {
  seen_.set(rank);
  if (auto* settled = std::get_if<Settlement>(&decision)) {
    chunk_bytes_ += settled->response.size() + settled->error.size();
    ++chunk_counts_.settled[static_cast<std::size_t>(settled->outcome)];
    if (contents_.tariff && settled->usage) settled->cost = cost_of(*settled->usage, contents_.tariff->prices);
    chunk_counts_.cost = add_money(chunk_counts_.cost, settled->cost);
    chunk_.settled.push_back(std::move(*settled));
  } else {
    auto& back = std::get<Return>(decision);
    chunk_bytes_ += back.error.size();
    ++chunk_counts_.returned;
    chunk_.returned.push_back(std::move(back));
  }
}

Task<void> Merger::decide_rest(const Decider& decider, bool at_once) {
  for (std::size_t rank = 0; rank < seen_.size() && !lost_; ++rank) {
    if (seen_.test(rank)) continue;
    const RequestId request = contents_.members.at(rank);
    decide_member(rank, decider(request, attempts_before(request)));
    if (!at_once) co_await write_when_full();
  }
  co_await write();
  co_await await_write();
}

Task<void> Merger::cut_off(std::int64_t count, bool trial) {
  std::vector<IdRange> part;
  for (std::size_t rank = 0; rank < seen_.size() && count > 0; ++rank) {
    if (seen_.test(rank)) continue;
    seen_.set(rank);
    --count;
    const std::int64_t id = contents_.members.at(rank).value;
    if (!part.empty() && part.back().last + 1 == id) {
      part.back().last = id;
    } else {
      part.push_back({id, id});
    }
  }
  contents_.decided = seen_;
  const bool held = co_await context_.store.split(shard_.lease, shard_.id, contents_, std::move(part), trial);
  if (!held) lost_ = true;
}

Task<void> Merger::write_when_full() {
  // What is written stays, and the rest is read again by whoever goes on.
  if (context_.session.handing_back()) throw boost::system::system_error(boost::asio::error::operation_aborted);
  const std::size_t rows = chunk_.settled.size() + chunk_.returned.size();
  if (rows >= settings_.chunk_rows || chunk_bytes_ >= settings_.chunk_bytes) co_await write();
}

Task<void> Merger::write() {
  co_await await_write();
  if (lost_ || (chunk_.settled.empty() && chunk_.returned.empty())) co_return;
  contents_.decided = seen_;
  writing_counts_ = std::exchange(chunk_counts_, Counts{});
  chunk_bytes_ = 0;
  SettleChunk chunk = std::exchange(chunk_, SettleChunk{});
  Task<bool> settling = context_.store.settle(shard_.lease, shard_.id, contents_, std::move(chunk));
  co_await writing_.start(std::move(settling));
}

Task<void> Merger::await_write() {
  const auto written = co_await writing_.join();
  if (!written) co_return;
  if (!*written) {
    lost_ = true;
    co_return;
  }
  for (std::size_t i = 0; i < writing_counts_.settled.size(); ++i) {
    if (writing_counts_.settled[i] > 0) context_.metrics.requests_settled(static_cast<Outcome>(i), writing_counts_.settled[i]);
    total_.settled[i] += writing_counts_.settled[i];
  }
  if (writing_counts_.returned > 0) context_.metrics.requests_returned(writing_counts_.returned);
  if (writing_counts_.cost > 0) context_.metrics.add_cost(shard_.deployment, writing_counts_.cost);
  total_.returned += writing_counts_.returned;
}

RequestId Merger::first_undecided() const {
  std::size_t rank = 0;
  while (seen_.test(rank)) ++rank;
  return contents_.members.at(rank);
}

int Merger::attempts_before(RequestId request) const {
  const auto found = contents_.attempts.find(request);
  return found == contents_.attempts.end() ? 0 : found->second;
}

void Merger::report() const {
  const auto count = [this](Outcome outcome) { return total_.settled[static_cast<std::size_t>(outcome)]; };
  context_.log.info("shard.answers", {{"shard", shard_.id.value},
                                      {"succeeded", count(Outcome::succeeded)},
                                      {"failed", count(Outcome::failed)},
                                      {"expired", count(Outcome::expired)},
                                      {"returned", total_.returned},
                                      {"corrupt", corrupt_},
                                      {"foreign", foreign_},
                                      {"duplicate", duplicate_}});
  if (corrupt_ > 0) context_.metrics.output_lines_ignored("corrupt", corrupt_);
  if (foreign_ > 0) context_.metrics.output_lines_ignored("unknown", foreign_);
  if (duplicate_ > 0) context_.metrics.output_lines_ignored("duplicate", duplicate_);
}

}  // namespace batchd
