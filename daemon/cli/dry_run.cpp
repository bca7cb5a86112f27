#include "cli/dry_run.hpp"

#include "cli/context.hpp"
#include "cli/submit_lines.hpp"
#include "core/forecast.hpp"
#include "core/packer.hpp"
#include "core/request_line.hpp"
#include "core/tokens.hpp"
#include "db/forecasting.hpp"
#include "db/store.hpp"
#include "provider/dialect.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <ctime>
#include <map>
#include <optional>
#include <set>

namespace batchd {
namespace {

constexpr std::size_t keys_at_once = 5'000;
constexpr Bytes bodies_at_once = 64 << 20;

/// What would become of the requests of one model and endpoint.
struct LaneForecast {
  std::optional<PlanOrder> order;  // nothing when no deployment takes it
  std::optional<FileCounter> files;
  std::optional<Tariff> tariff;  // nothing without a price
  std::optional<Tokens> mean_output;
  Tokens limit = 0;
  Tokens ahead = 0;
  std::optional<Milliseconds> turnaround;
  std::int64_t requests = 0;
  Tokens tokens = 0;
  NanoDollars expected = 0;
  NanoDollars bound = 0;
};

/// The installation's answers, or none of them: what it does not say is assumed.
class Outlook {
 public:
  explicit Outlook(const CommonOptions& common) {
    try {
      database_.emplace(database_settings(common));
    } catch (const StoreError& error) {
      failed(error);
    }
  }
  template <class Question>
  void ask(Question question) {
    if (!database_) return;
    try {
      Forecasting forecasting(*database_);
      question(forecasting);
    } catch (const StoreError& error) {
      failed(error);
    }
  }

 private:
  void failed(const StoreError& error) {
    say(std::string("batchd: the database could not be asked, so that nothing learned is counted in: ") + error.what());
    database_.reset();
  }
  std::optional<Database> database_;
};

class DryRun {
 public:
  DryRun(const CommonOptions& common, const SubmitOptions& options)
      : options_(options),
        config_(require_config(common, ConfigScope::everything).config),
        rules_(money_rules(config_)),
        outlook_(common) {}

  void take(NewRequest request) {
    ++rows_;
    if (request.key) keys_.push_back(*request.key);
    held_bytes_ += static_cast<Bytes>(request.body.size());
    held_.push_back(std::move(request));
    if (held_.size() >= keys_at_once || held_bytes_ >= bodies_at_once) count_held();
  }

  void finish() {
    count_held();
    for (const auto& [lane, forecast] : lanes_) {
      if (!forecast.order) unserved_[lane.model] += forecast.requests;
      tokens_ += forecast.tokens;
      expected_ += forecast.expected;
      bound_ += forecast.bound;
      if (forecast.files) files_ += forecast.files->files();
      all_priced_ = all_priced_ && forecast.tariff.has_value();
      const auto done = finish_in(forecast.ahead, forecast.tokens, forecast.limit, forecast.turnaround);
      finish_known_ = finish_known_ && done.has_value();
      if (done) finish_ = std::max(finish_, *done);
    }
    outlook_.ask([this](Forecasting& database) { day_ = database.day(); });
    if (!day_ && rules_.daily) day_ = CapState{*rules_.daily, 0, false};
  }

  std::string json() const {
    boost::json::object out{{"job", options_.job}, {"dry_run", true},   {"rows", rows_},   {"new", rows_ - known_},
                            {"known", known_},     {"tokens", tokens_}, {"shards", files_}};
    out["cost_usd"] = priced() ? boost::json::value(usd(expected_)) : boost::json::value();
    out["most_usd"] = priced() ? boost::json::value(usd(bound_)) : boost::json::value();
    out["budget_left_usd"] = day_ ? boost::json::value(usd(day_->left())) : boost::json::value();
    out["expected_finish"] = maybe(finish_text());
    boost::json::object unserved;
    for (const auto& [model, requests] : unserved_) unserved[model] = requests;
    out["unserved"] = std::move(unserved);
    return boost::json::serialize(out) + "\n";
  }

  std::string text() const {
    std::string out = options_.job + ": " + grouped(rows_) + " rows (" + grouped(known_) + " known already), about " +
                      grouped(tokens_) + " input tokens in " + grouped(files_) + (files_ == 1 ? " file" : " files") +
                      "; nothing was enqueued\n";
    if (priced()) {
      out += "cost: about $" + dollars(expected_) + ", at most $" + dollars(bound_) + " set aside";
      if (day_) out += "; today's budget has $" + dollars(day_->left()) + " left";
      out += all_priced_ ? "\n" : " (some models have no price)\n";
    } else {
      out += "cost: not known, no model of these has a price ([prices])\n";
    }
    const auto finish = finish_text();
    out += finish ? "answered: by about " + *finish + "\n" : "answered: not known, no batch of these models has ended yet\n";
    for (const auto& [model, requests] : unserved_)
      out += "warning: no deployment takes " + grouped(requests) + " requests for " + model + "\n";
    return out;
  }

 private:
  static double usd(NanoDollars amount) { return static_cast<double>(amount) / static_cast<double>(nano_per_dollar); }
  bool priced() const {
    return std::any_of(lanes_.begin(), lanes_.end(), [](const auto& lane) { return lane.second.tariff.has_value(); });
  }

  std::optional<std::string> finish_text() const {
    if (!finish_known_ || lanes_.empty()) return std::nullopt;
    const std::time_t then = std::time(nullptr) + static_cast<std::time_t>(finish_.count() / 1000);
    std::tm utc{};
    char text[32];
    if (gmtime_r(&then, &utc) == nullptr || std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
      return std::nullopt;
    return text;
  }

  void count_held() {
    std::set<std::string> known;
    if (!keys_.empty()) outlook_.ask([&](Forecasting& database) { known = database.known(options_.job, keys_); });
    keys_.clear();
    for (const NewRequest& request : held_) {
      // Enqueueing it would do nothing.
      const bool is_known = request.key && known.contains(*request.key);
      known_ += is_known ? 1 : 0;
      if (!is_known) count(request);
    }
    held_.clear();
    held_bytes_ = 0;
  }

  void count(const NewRequest& request) {
    const Lane lane{request.model, request.endpoint.empty() ? "/v1/chat/completions" : request.endpoint};
    const auto [place, fresh] = lanes_.try_emplace(lane);
    LaneForecast& forecast = place->second;
    if (fresh) begin(lane, forecast);
    const Tokens tokens = estimate_tokens(request.body);
    ++forecast.requests;
    forecast.tokens += tokens;
    if (forecast.files) forecast.files->add(static_cast<Bytes>(request.body.size()));
    if (!forecast.tariff) return;
    const bool embeds = bare_endpoint(lane.endpoint) == "/embeddings";
    const NanoDollars bound = bound_of(tokens, request.body, embeds, *forecast.tariff);
    Usage usual;
    usual.input = tokens;
    usual.output = embeds ? 0 : forecast.mean_output.value_or(0);
    forecast.bound = add_money(forecast.bound, bound);
    const bool learned = embeds || forecast.mean_output.has_value();
    forecast.expected = add_money(forecast.expected, learned ? std::min(bound, cost_of(usual, forecast.tariff->prices)) : bound);
  }

  void begin(const Lane& lane, LaneForecast& forecast) {
    ModelOutlook known;
    outlook_.ask([&](Forecasting& database) { known = database.model(lane.model); });
    forecast.ahead = known.ahead;
    forecast.turnaround = known.turnaround;
    if (known.sizes.usual()) forecast.mean_output = known.sizes.mean();
    if (const auto prices = rules_.prices.find(lane.model); prices != rules_.prices.end()) {
      Tariff tariff;
      tariff.prices = prices->second;
      tariff.strict = rules_.strict;
      tariff.assumed_output = rules_.assumed_output;
      tariff.max_output = prices->second.max_output > 0 ? prices->second.max_output : rules_.max_output;
      tariff.usual_output = known.sizes.usual();
      forecast.tariff = std::move(tariff);
    }
    choose_deployment(lane, forecast);
  }

  /// The files would be as large as the planner makes them when there is no end of requests.
  void choose_deployment(const Lane& lane, LaneForecast& forecast) {
    std::vector<PackTarget> targets;
    for (const DeploymentConfig& deployment : config_.deployments) {
      if (deployment.model != lane.model) continue;
      const auto provider = std::find_if(config_.providers.begin(), config_.providers.end(),
                                         [&](const ProviderConfig& p) { return p.name == deployment.provider; });
      const auto dialect = find_dialect(provider->kind, provider->api_version);
      if (!dialect) continue;
      PackTarget target;
      target.load.name = deployment.name;
      target.load.model = deployment.model;
      target.load.limit = target.load.room.limit = target.load.room.believed = deployment.enqueued_token_limit;
      target.max_requests = std::min(config_.planner.max_requests, dialect->max_requests_per_file);
      target.max_bytes = std::min(config_.planner.max_bytes, dialect->max_file_bytes);
      target.bytes_per_request =
          line_overhead({line_url(*dialect, lane.endpoint), dialect->model_is_deployment ? deployment.name : deployment.model,
                         target.max_bytes});
      target.endpoints.assign(dialect->endpoints.begin(), dialect->endpoints.end());
      if (has_endpoint(target.endpoints, lane.endpoint)) forecast.limit += deployment.enqueued_token_limit;
      targets.push_back(std::move(target));
    }
    Flow endless;
    endless.lane = lane;
    endless.requests = 1'000'000'000;
    forecast.order = next_order({endless}, targets, PackPolicy{});
    if (forecast.order)
      forecast.files.emplace(forecast.order->max_requests, forecast.order->max_bytes, forecast.order->bytes_per_request);
  }

  const SubmitOptions& options_;
  const Config config_;
  const MoneyRules rules_;
  Outlook outlook_;
  std::vector<NewRequest> held_;
  Bytes held_bytes_ = 0;
  std::vector<std::string> keys_;
  std::map<Lane, LaneForecast> lanes_;
  std::map<std::string, std::int64_t> unserved_;
  std::int64_t rows_ = 0, known_ = 0, files_ = 0;
  Tokens tokens_ = 0;
  NanoDollars expected_ = 0, bound_ = 0;
  bool all_priced_ = true, finish_known_ = true;
  Milliseconds finish_{0};
  std::optional<CapState> day_;
};

}  // namespace

int dry_submit(const CommonOptions& common, const SubmitOptions& options, const InputFile& input) {
  DryRun dry(common, options);
  SubmitLines lines(input, {options.model, options.endpoint});
  try {
    for (NewRequest request; lines.next(request);) dry.take(std::move(request));
  } catch (const BadLine& error) {
    say(error.what());
    const auto bad = 1 + lines.complain(1);
    throw CommandError(exit_failure, grouped(bad) + " bad lines: `batchd submit` would enqueue nothing of a file with any");
  }
  dry.finish();
  print(options.json ? dry.json() : dry.text());
  return exit_ok;
}

}  // namespace batchd
