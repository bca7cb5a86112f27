#include "db/reading.hpp"

#include "db/absent.hpp"
#include "db/bulk.hpp"
#include "db/queries.hpp"
#include "db/transaction.hpp"

namespace batchd {
namespace {

JobStatus to_job(const pqxx::row& row) {
  JobStatus job;
  job.job = row[0].as<std::string>();
  job.accepted = row[1].as<std::int64_t>();
  job.queued = row[2].as<std::int64_t>();
  job.in_flight = row[3].as<std::int64_t>();
  job.succeeded = row[4].as<std::int64_t>();
  job.failed = row[5].as<std::int64_t>();
  job.cancelled = row[6].as<std::int64_t>();
  job.expired = row[7].as<std::int64_t>();
  job.input_tokens = row[8].as<Tokens>();
  job.output_tokens = row[9].as<Tokens>();
  job.started = row[10].as<std::string>();
  job.last_settled = maybe_text(row[11]);
  job.estimated_finish = maybe_text(row[12]);
  job.cost = row[13].as<NanoDollars>();
  job.waits_for_money = row[14].as<bool>();
  return job;
}

std::optional<RequestState> to_request(const pqxx::result& rows) {
  if (rows.empty()) return std::nullopt;
  const pqxx::row row = rows[0];
  RequestState request;
  request.request = RequestId{row[0].as<std::int64_t>()};
  request.job = row[1].as<std::string>();
  request.key = maybe_text(row[2]);
  request.state = row[3].as<std::string>();
  request.attempts = row[4].as<int>();
  if (!row[5].is_null()) request.shard = row[5].as<std::int64_t>();
  request.batch = maybe_text(row[6]);
  request.last_error = maybe_text(row[7]);
  return request;
}

Outcome to_outcome(std::string_view text) {
  for (const Outcome outcome : {Outcome::succeeded, Outcome::failed, Outcome::cancelled, Outcome::expired}) {
    if (to_string(outcome) == text) return outcome;
  }
  throw StoreError("database: unknown outcome " + std::string(text));
}

ResultRow to_result(const CopyRow& row) {
  ResultRow result;
  result.request = RequestId{row.int8(0)};
  result.key = maybe_text(row, 1);
  result.outcome = to_outcome(row.text(2));
  if (!row.null(3)) result.status_code = row.int4(3);
  result.response = maybe_text(row, 4);
  result.error = maybe_text(row, 5);
  result.provider_request_id = maybe_text(row, 6);
  return result;
}

}  // namespace

std::optional<JobStatus> Reading::job(std::string_view name) {
  return transact(database_, [&](Transaction& tx) {
    const auto rows = tx.run(queries::one_job, std::string(name));
    return rows.empty() ? std::nullopt : std::optional(to_job(rows[0]));
  });
}

std::vector<JobStatus> Reading::jobs(int most) {
  return transact(database_, [&](Transaction& tx) {
    std::vector<JobStatus> jobs;
    for (const auto& row : tx.run(queries::some_jobs, most)) jobs.push_back(to_job(row));
    return jobs;
  });
}

void Reading::results(std::string_view job, const ResultSink& sink) {
  BulkTransaction tx(database_, Milliseconds{0});  // a job may have millions: as long as the reader likes
  // COPY takes no parameters: the job's name goes in as a quoted literal.
  const std::unique_ptr<char, decltype(&PQfreemem)> quoted(PQescapeLiteral(tx.raw(), job.data(), job.size()), &PQfreemem);
  if (!quoted) throw StoreError("the job's name is not valid UTF-8");
  CopyOut rows(
      tx,
      "COPY (SELECT q.id, q.key, r.outcome, r.status_code, r.response, r.error, r.provider_request_id FROM batchd.request q"
      " JOIN batchd.result r ON r.request_id = q.id WHERE q.job = " +
          std::string(quoted.get()) + " ORDER BY q.id) TO STDOUT (FORMAT binary)");
  while (const CopyRow* row = rows.next()) {
    if (!sink(to_result(*row))) return;
  }
  tx.commit();
}

std::optional<RequestState> Reading::request(RequestId id) {
  return transact(database_, [&](Transaction& tx) { return to_request(tx.run(queries::request_by_id, id.value)); });
}

std::optional<RequestState> Reading::request(std::string_view job, std::string_view key) {
  return transact(database_, [&](Transaction& tx) {
    return to_request(tx.run(queries::request_by_key, std::string(job), std::string(key)));
  });
}

std::vector<ShardLine> Reading::shards(int most, const std::string& deployment) {
  return transact(database_, [&](Transaction& tx) {
    std::vector<ShardLine> lines;
    for (const auto& row : tx.run(queries::shard_lines, deployment, most)) {
      lines.push_back({row[0].as<std::int64_t>(), row[1].as<std::string>(), row[2].as<std::string>(), row[3].as<std::string>(),
                       row[4].as<std::string>(), row[5].as<int>(), row[6].as<std::int64_t>(), maybe_text(row[7]),
                       row[8].as<std::string>(), row[9].as<std::int64_t>(), row[10].as<bool>(), maybe_text(row[11]),
                       row[12].as<std::string>()});
    }
    return lines;
  });
}

}  // namespace batchd
