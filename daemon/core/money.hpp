// What requests cost, and what may be spent on them: prices, the bound of a request's cost before it is sent, caps, and what
// still fits under them. Whole numbers only: prices are picodollars per token (a millionth of a dollar per million tokens), sums
// are nanodollars (64 bits hold nine billion dollars), rounded once, for each request.
#pragma once

#include "core/outcome.hpp"
#include "core/types.hpp"

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace batchd {

/// A billionth of a US dollar.
using NanoDollars = std::int64_t;
inline constexpr NanoDollars nano_per_dollar = 1'000'000'000;
/// What an amount is cut to that would leave 64 bits.
inline constexpr NanoDollars most_money = INT64_MAX / 4;

/// The sum, never more than `most_money`; neither may be negative.
NanoDollars add_money(NanoDollars a, NanoDollars b);
/// `12.34` for people: dollars with two digits after the point, and as many more as it takes to show two that are not zero.
std::string dollars(NanoDollars amount);
/// Exactly, without zeros at its end: `0.000000123`.
std::string exact_dollars(NanoDollars amount);

/// Of one model, at the batch rate; picodollars per token.
struct Prices {
  std::int64_t input = 0;
  std::int64_t cached_input = 0;
  std::int64_t output = 0;
  Tokens max_output = 0;  ///< the most that one answer of the model can have; 0: MoneyRules::max_output
  friend bool operator==(const Prices&, const Prices&) = default;
};

/// What the newest configuration says about money; whoever submits or merges goes by it.
struct MoneyRules {
  std::map<std::string, Prices> prices;  ///< by model, as producers name it
  std::optional<NanoDollars> daily;      ///< for all jobs and replicas together, each UTC day
  std::optional<NanoDollars> per_job;    ///< for each job, ever
  bool strict = false;                   ///< reserve what an answer can cost at most, not what answers usually do
  Tokens assumed_output = 0;             ///< of a request, before it is known what answers usually have
  Tokens max_output = 0;                 ///< of a request that sets no limit, for `strict`
  friend bool operator==(const MoneyRules&, const MoneyRules&) = default;
};

/// What a request that was answered has cost: half a nanodollar is rounded up.
NanoDollars cost_of(const Usage& usage, const Prices& prices);

/// A cap as it stands: `committed` is spent, reserved, or in files that wait to be submitted.
struct CapState {
  NanoDollars cap = 0;
  NanoDollars committed = 0;
  bool outstanding = false;  ///< some of that is not spent yet and may become less
  NanoDollars left() const { return cap - committed; }
};

/// Whose money it is, and its cap when there is one.
struct JobPurse {
  std::string job;
  std::optional<CapState> cap;
};

/// Everything that decides what the requests of one shard may cost. Only models with prices have one.
struct Tariff {
  Prices prices;
  bool strict = false;
  Tokens assumed_output = 0;
  Tokens max_output = 0;               ///< of this model
  std::optional<Tokens> usual_output;  ///< learned: 99 of 100 answers have no more
  std::optional<CapState> day;
  std::vector<JobPurse> jobs;
  std::map<FlowId, std::size_t> job_of;  ///< a flow's place in `jobs`
};

/// The most output tokens that a request's body lets its answers have, all of its choices together; nothing when it sets no
/// limit.
std::optional<Tokens> declared_output(std::string_view body);
/// How many choices a body asks for.
std::int64_t choices_of(std::string_view body);
/// What to reserve for a request: its input, and as much output as its answer may be expected to have at most. `embeds`: it has
/// none.
NanoDollars bound_of(Tokens input, std::string_view body, bool embeds, const Tariff& tariff);

/// What a job's part of a shard may cost, and the least of its requests.
struct JobBound {
  std::string job;
  NanoDollars bound = 0;
  NanoDollars least = 0;
  friend bool operator==(const JobBound&, const JobBound&) = default;
};

/// Requests that were left out of a file because a cap has no room for them.
struct Shortage {
  std::string job;
  NanoDollars needs = 0;   ///< the least of them
  NanoDollars wants = 0;   ///< all of them
  bool above_cap = false;  ///< each is above a whole cap: nothing helps but another cap
};

/// What waits for money, as the planner asks before it takes requests of that model and job.
struct MoneyWait {
  std::string model;
  std::string job;
  NanoDollars needs = 0;
  NanoDollars wants = 0;
  bool above_cap = false;
};

/// How long what waits for money waits at most before it is looked at again, should nothing seem to have changed: it may have
/// been cancelled, or something cheaper come.
inline constexpr Milliseconds look_again_for_money{900'000};
/// A request above a whole cap is due a little earlier, so that what is said of it has no gap.
inline constexpr Milliseconds above_cap_delay{840'000};
/// The code of the error that such a request waits with.
inline constexpr std::string_view above_cap_code = "above_budget";

/// True when it would only be left out again. Small remains are not cut into dust while more may come back: there must be room
/// for all that waits, or for a fiftieth of the cap, unless nothing is outstanding.
bool must_wait(const MoneyWait& wait, const std::optional<CapState>& day, const std::optional<CapState>& job);

/// What a file may still take on while its lines are written. Requests that do not fit are left out; cheaper ones behind them
/// may.
class Purse {
 public:
  enum class Fit { fits, later, never };

  explicit Purse(const Tariff& tariff);
  /// Counts the request when it fits; remembers it as wanting when it does not. `later`: above what is left now; `never`: above a
  /// whole cap.
  Fit take(FlowId flow, NanoDollars bound);

  /// By job, those with requests that fit.
  std::vector<JobBound> bounds() const;
  /// By job, those with requests that did not.
  std::vector<Shortage> shortages() const;
  NanoDollars total() const { return total_; }

 private:
  struct Part {
    bool any = false;
    JobBound taken;
    bool wanting = false;
    Shortage later;
    bool above = false;
    Shortage never;
  };
  const Tariff& tariff_;
  NanoDollars total_ = 0;
  std::vector<Part> parts_;  // as tariff_.jobs
};

/// Days since 1970-01-01 of a time in milliseconds since then, UTC; before it, too.
std::int64_t utc_day(Milliseconds since_epoch);

}  // namespace batchd
