#include "db/acting.hpp"

#include "db/absent.hpp"
#include "db/queries.hpp"
#include "db/transaction.hpp"

namespace batchd {
namespace {

bool truth(Transaction& tx, const char* sql, std::string_view text) {
  return tx.run(sql, std::string(text))[0][0].as<bool>();
}

}  // namespace

bool Acting::knows_job(std::string_view job) {
  return transact(database_, [&](Transaction& tx) { return truth(tx, queries::knows_job, job); });
}

CancelCounts Acting::cancel_job(std::string_view job) {
  return transact(
      database_,
      [&](Transaction& tx) {
        CancelCounts counts;
        counts.concerned = tx.run(queries::cancel_job, std::string(job))[0][0].as<std::int64_t>();
        if (tx.run(queries::may_see_wishes)[0][0].as<bool>()) {
          counts.in_flight = tx.run(queries::wishes_made)[0][0].as<std::int64_t>();
        }
        return counts;
      },
      database_.settings().bulk_timeout);
}

bool Acting::cancel_request(RequestId id) {
  return transact(database_, [&](Transaction& tx) { return tx.run(queries::cancel_request, id.value)[0][0].as<bool>(); });
}

std::int64_t Acting::retry_job(std::string_view job) {
  return transact(
      database_, [&](Transaction& tx) { return tx.run(queries::retry_job, std::string(job))[0][0].as<std::int64_t>(); },
      database_.settings().bulk_timeout);
}

bool Acting::retry_request(RequestId id) {
  return transact(database_, [&](Transaction& tx) { return tx.run(queries::retry_request, id.value)[0][0].as<bool>(); });
}

bool Acting::pause(std::string_view scope) {
  return transact(database_, [&](Transaction& tx) {
    const bool was = truth(tx, queries::is_paused, scope);
    tx.run(queries::pause, std::string(scope));
    return !was;
  });
}

bool Acting::resume(std::string_view scope) {
  return transact(database_, [&](Transaction& tx) { return truth(tx, queries::resume, scope); });
}

std::vector<PauseLine> Acting::pauses() {
  return transact(database_, [](Transaction& tx) {
    std::vector<PauseLine> lines;
    for (const auto& row : tx.run(queries::pauses)) {
      lines.push_back({row[0].as<std::string>(), row[3].as<std::string>(), maybe_text(row[1]), maybe_text(row[2])});
    }
    return lines;
  });
}

std::vector<std::string> Acting::deployments() {
  return transact(database_, [](Transaction& tx) {
    std::vector<std::string> names;
    for (const auto& row : tx.run(queries::deployment_names)) names.push_back(row[0].as<std::string>());
    return names;
  });
}

bool Acting::adopt() {
  return transact(database_, [](Transaction& tx) { return tx.run(queries::adopt)[0][0].as<bool>(); });
}

AcceptedLoss Acting::accept_loss() {
  return transact(database_, [](Transaction& tx) {
    const auto rows = tx.run(queries::accept_loss);
    return AcceptedLoss{rows[0][0].as<std::int64_t>(), rows[0][1].as<std::int64_t>()};
  });
}

NewInstance Acting::adopt_as_new_instance(Milliseconds silence) {
  return transact(
      database_,
      [&](Transaction& tx) {
        const auto rows = tx.run(queries::adopt_as_new_instance, silence.count());
        return NewInstance{rows[0][0].as<std::string>(), rows[0][1].as<std::int64_t>(), rows[0][2].as<std::int64_t>()};
      },
      database_.settings().bulk_timeout);
}

}  // namespace batchd
