// `cancel` and `retry`: orders about a job, or about one request of it.
#include "cli/context.hpp"
#include "db/acting.hpp"
#include "db/reading.hpp"

#include <boost/json.hpp>

namespace batchd {
namespace {

std::string requests(std::int64_t count) {
  return grouped(count) + (count == 1 ? " request" : " requests");
}

/// What a request is called in sentences: as the operator named it.
std::string name_of(const OrderOptions& options) {
  if (options.request) return "request " + std::to_string(*options.request);
  return "the request '" + *options.key + "' of job '" + *options.job + "'";
}

void check_options(const char* command, const OrderOptions& options) {
  const std::string usage = std::string("give `batchd ") + command + "` a JOB, a JOB with --key, or --request";
  if (!options.job && options.key) throw CommandError(exit_usage, "--key names a request within its job: " + usage);
  if (options.request && (options.job || options.key)) {
    throw CommandError(exit_usage, "--request names one request by its id, without a job: " + usage);
  }
  if (!options.request && !options.job) throw CommandError(exit_usage, "nothing to " + std::string(command) + ": " + usage);
}

bool one_request(const OrderOptions& options) {
  return options.request || options.key;
}

RequestState require_request(Reading& reading, const OrderOptions& options) {
  const auto found = options.request ? reading.request(RequestId{*options.request}) : reading.request(*options.job, *options.key);
  if (!found) throw CommandError(exit_failure, name_of(options) + " is not there: it was never enqueued, or is no longer kept");
  return *found;
}

void require_job(Acting& acting, const std::string& job) {
  if (!acting.knows_job(job)) {
    throw CommandError(exit_failure, "no request is kept under the job '" + job + "'; `batchd status` lists the jobs");
  }
}

/// Prints a JSON object or a sentence.
void tell(const OrderOptions& options, boost::json::object object, const std::string& sentence) {
  if (!options.json) {
    print(sentence + "\n");
    return;
  }
  boost::json::object out;
  if (options.job) out["job"] = *options.job;
  if (options.key) out["key"] = *options.key;
  for (auto& [key, value] : object) out[key] = std::move(value);
  print(boost::json::serialize(out) + "\n");
}

constexpr const char* paid_wins = "not sent again, but answered if that is paid for already";

int cancel_one(Database& database, const OrderOptions& options) {
  Reading reading(database);
  const RequestState before = require_request(reading, options);
  const bool done = Acting(database).cancel_request(before.request);
  const RequestState after = require_request(reading, options);
  const bool in_flight = done && after.state != "cancelled";
  std::string sentence = name_of(options);
  if (!done) {
    sentence += " is settled already: " + after.state;
  } else {
    sentence += in_flight ? std::string(" is in flight: ") + paid_wins : " is cancelled";
  }
  tell(options,
       {{"request", before.request.value},
        {"state", after.state},
        {"cancelled", done && !in_flight ? 1 : 0},
        {"in_flight", in_flight ? 1 : 0}},
       sentence);
  return exit_ok;
}

int cancel_whole(Database& database, const OrderOptions& options) {
  Acting acting(database);
  require_job(acting, *options.job);
  const CancelCounts counts = acting.cancel_job(*options.job);
  const std::int64_t in_flight = counts.in_flight.value_or(0);
  std::string sentence = *options.job + ": ";
  if (counts.concerned == 0) {
    sentence += "nothing to cancel: every request is settled, or is to be cancelled already";
  } else if (!counts.in_flight) {
    sentence += requests(counts.concerned) + " cancelled; of those in flight, none is sent again";
  } else {
    sentence += requests(counts.concerned - in_flight) + " cancelled";
    if (in_flight > 0) sentence += ", " + grouped(in_flight) + " in flight: " + paid_wins;
  }
  boost::json::object object{{"concerned", counts.concerned}};
  object["cancelled"] = counts.in_flight ? boost::json::value(counts.concerned - in_flight) : boost::json::value();
  object["in_flight"] = counts.in_flight ? boost::json::value(in_flight) : boost::json::value();
  tell(options, std::move(object), sentence);
  return exit_ok;
}

int retry_one(Database& database, const OrderOptions& options) {
  Reading reading(database);
  const RequestState before = require_request(reading, options);
  const bool done = Acting(database).retry_request(before.request);
  const RequestState after = require_request(reading, options);
  std::string sentence = name_of(options);
  if (done) {
    sentence += " is queued again; its result (" + before.state + ") is in batchd.result_history";
  } else if (after.state == "succeeded") {
    sentence += " has succeeded: there is nothing to try again";
  } else {
    sentence += " is not settled: it is " + (after.state == "in_flight" ? std::string("in flight") : after.state);
  }
  tell(options, {{"request", before.request.value}, {"state", after.state}, {"queued", done ? 1 : 0}}, sentence);
  return exit_ok;
}

int retry_whole(Database& database, const OrderOptions& options) {
  Acting acting(database);
  require_job(acting, *options.job);
  const std::int64_t queued = acting.retry_job(*options.job);
  tell(options, {{"queued", queued}},
       *options.job + ": " +
           (queued > 0 ? requests(queued) + " queued again" : "nothing to retry: no request was settled without success"));
  return exit_ok;
}

}  // namespace

int run_cancel(const CommonOptions& common, const OrderOptions& options) {
  check_options("cancel", options);
  Database database(database_settings(common));
  return one_request(options) ? cancel_one(database, options) : cancel_whole(database, options);
}

int run_retry(const CommonOptions& common, const OrderOptions& options) {
  check_options("retry", options);
  Database database(database_settings(common));
  return one_request(options) ? retry_one(database, options) : retry_whole(database, options);
}

}  // namespace batchd
