#include "core/money.hpp"

#include "core/json_scan.hpp"

#include <algorithm>

namespace batchd {
namespace {

__extension__ using Wide = __int128;

constexpr std::int64_t pico_per_nano = 1000;
/// Of a cap: less than that is worth a file only when no more will come back.
constexpr std::int64_t worthwhile_part = 50;

NanoDollars narrowed(Wide pico) {
  const Wide nano = (pico + pico_per_nano / 2) / pico_per_nano;
  return nano > most_money ? most_money : static_cast<NanoDollars>(nano);
}

/// What members of a body say about the length of its answers.
struct Asked {
  std::optional<Tokens> limit;
  std::int64_t choices = 1;
};

Asked read_asked(std::string_view body) {
  constexpr std::int64_t most_choices = 10'000;
  constexpr Tokens most_tokens = 1'000'000'000;
  Asked asked;
  JsonObjectReader reader(body);
  for (JsonMember member; reader.next(member);) {
    const bool limits = json_key_is(member.key, "max_tokens") || json_key_is(member.key, "max_completion_tokens") ||
                        json_key_is(member.key, "max_output_tokens");
    const bool choices = json_key_is(member.key, "n") || json_key_is(member.key, "best_of");
    if (!limits && !choices) continue;
    const auto number = json_integer(member.value);
    if (!number || *number < 1) continue;  // the provider refuses it or takes it for nothing
    if (limits) asked.limit = std::min<Tokens>(asked.limit.value_or(most_tokens), *number);
    if (choices) asked.choices = std::max(asked.choices, std::min<std::int64_t>(*number, most_choices));
  }
  return asked;
}

bool has_room(const std::optional<CapState>& cap, const MoneyWait& wait) {
  if (!cap) return true;
  if (cap->left() < wait.needs) return false;
  return !cap->outstanding || cap->left() >= std::min(wait.wants, cap->cap / worthwhile_part);
}

void note(bool& any, Shortage& shortage, NanoDollars bound) {
  shortage.needs = any ? std::min(shortage.needs, bound) : bound;
  shortage.wants = add_money(shortage.wants, bound);
  any = true;
}

std::string with_digits(NanoDollars amount, std::size_t digits) {
  const bool negative = amount < 0;
  const auto size = negative ? 0 - static_cast<std::uint64_t>(amount) : static_cast<std::uint64_t>(amount);
  std::string part = std::to_string(size % nano_per_dollar);
  part.insert(0, 9 - part.size(), '0');
  part.resize(digits);
  return (negative ? "-" : "") + std::to_string(size / nano_per_dollar) + (digits > 0 ? "." + part : "");
}

}  // namespace

NanoDollars add_money(NanoDollars a, NanoDollars b) {
  return a > most_money - b ? most_money : a + b;
}

std::string dollars(NanoDollars amount) {
  const std::string exact = with_digits(amount, 9);
  const std::size_t point = exact.find('.');
  const std::size_t first = exact.find_first_not_of("-0.");
  if (first == std::string::npos || first < point + 2) return with_digits(amount, 2);
  return with_digits(amount, std::min<std::size_t>(first - point + 1, 9));
}

std::string exact_dollars(NanoDollars amount) {
  std::string text = with_digits(amount, 9);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

NanoDollars cost_of(const Usage& usage, const Prices& prices) {
  const Tokens cached = std::clamp<Tokens>(usage.cached, 0, std::max<Tokens>(usage.input, 0));
  return narrowed(Wide{usage.input - cached} * prices.input + Wide{cached} * prices.cached_input +
                  Wide{usage.output} * prices.output);
}

std::optional<Tokens> declared_output(std::string_view body) {
  const Asked asked = read_asked(body);
  if (!asked.limit) return std::nullopt;
  return *asked.limit * asked.choices;
}

std::int64_t choices_of(std::string_view body) {
  return read_asked(body).choices;
}

NanoDollars bound_of(Tokens input, std::string_view body, bool embeds, const Tariff& tariff) {
  Usage most;
  most.input = input;
  if (!embeds) {
    const Asked asked = read_asked(body);
    const Tokens unlimited = tariff.max_output * asked.choices;
    const Tokens limit = asked.limit ? *asked.limit * asked.choices : unlimited;
    // What was learned is about whole answers, all their choices; what is assumed is about one.
    const Tokens usual = tariff.usual_output ? *tariff.usual_output : tariff.assumed_output * asked.choices;
    most.output = tariff.strict ? limit : asked.limit ? std::min(limit, usual) : usual;
  }
  return cost_of(most, tariff.prices);
}

bool must_wait(const MoneyWait& wait, const std::optional<CapState>& day, const std::optional<CapState>& job) {
  return !wait.above_cap && !(has_room(day, wait) && has_room(job, wait));
}

Purse::Purse(const Tariff& tariff) : tariff_(tariff), parts_(tariff.jobs.size()) {
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    parts_[i].taken.job = parts_[i].later.job = parts_[i].never.job = tariff.jobs[i].job;
    parts_[i].never.above_cap = true;
  }
}

Purse::Fit Purse::take(FlowId flow, NanoDollars bound) {
  const std::size_t place = tariff_.job_of.at(flow);
  Part& part = parts_[place];
  const std::optional<CapState>& day = tariff_.day;
  const std::optional<CapState>& job = tariff_.jobs[place].cap;
  if ((day && bound > day->cap) || (job && bound > job->cap)) {
    note(part.above, part.never, bound);
    return Fit::never;
  }
  const bool day_has = !day || bound == 0 || bound <= day->left() - total_;
  const bool job_has = !job || bound == 0 || bound <= job->left() - part.taken.bound;
  if (!day_has || !job_has) {
    note(part.wanting, part.later, bound);
    return Fit::later;
  }
  total_ = add_money(total_, bound);
  part.taken.least = part.any ? std::min(part.taken.least, bound) : bound;
  part.taken.bound = add_money(part.taken.bound, bound);
  part.any = true;
  return Fit::fits;
}

std::vector<JobBound> Purse::bounds() const {
  std::vector<JobBound> bounds;
  for (const Part& part : parts_) {
    if (part.any) bounds.push_back(part.taken);
  }
  return bounds;
}

std::vector<Shortage> Purse::shortages() const {
  std::vector<Shortage> shortages;
  for (const Part& part : parts_) {
    // One row a job: what may fit some day stops the planner, what never will does not.
    if (part.wanting) {
      shortages.push_back(part.later);
    } else if (part.above) {
      shortages.push_back(part.never);
    }
  }
  return shortages;
}

std::int64_t utc_day(Milliseconds since_epoch) {
  return std::chrono::floor<std::chrono::days>(since_epoch).count();
}

}  // namespace batchd
