// The store harness on PostgreSQL (store_harness.hpp says what it is for).
#pragma once

#include "conformance/store_harness.hpp"
#include "support/pg_fixture.hpp"

#include "db/pg_store.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace batchd::conformance {

class PgStoreHarness final : public StoreHarness {
 public:
  PgStoreHarness();
  ~PgStoreHarness() override;

  Store& store(std::size_t replica) override { return stores_.at(replica); }

  std::vector<RequestId> enqueue(const std::vector<Prompt>& prompts) override;
  bool cancel_request(RequestId id) override;
  std::int64_t cancel_job(std::string_view job) override;
  bool retry_request(RequestId id) override;
  std::int64_t retry_job(std::string_view job) override;
  std::int64_t set_priority(std::string_view job, int priority) override;
  void pause(std::string_view scope) override;
  bool resume(std::string_view scope) override;
  AcceptedLoss accept_loss() override;
  void move() override;
  void adopt() override;

  void pass(Milliseconds time) override;
  void set_clock(Milliseconds by) override;
  std::chrono::steady_clock::time_point now() override { return std::chrono::steady_clock::now() + went_by_; }
  Burial bury_dead(Milliseconds ttl, std::optional<std::chrono::steady_clock::time_point> last) override;
  void backup() override;
  void restore() override;
  void promote() override;

  Picture picture() override;
  std::string check() override;

 private:
  void copy_to(const std::string& schema);
  void copy_from(const std::string& schema);
  void age(Milliseconds time);
  static std::string deadlines_moved(Milliseconds time);

  const std::string name_;
  testing::Sql sql_{testing::PgCluster::instance().url(name_)};
  Metrics metrics_{"test"};
  BlockingPool pool_{2};
  Database database_{
      {.url = testing::PgCluster::instance().pooled_url(name_), .listen_url = testing::PgCluster::instance().url(name_)}};
  std::array<PgStore, 2> stores_{PgStore(database_, pool_, metrics_), PgStore(database_, pool_, metrics_)};
  std::string began_;  ///< as the server writes it
  std::vector<std::string> tables_;
  std::vector<std::string> dated_;  ///< statements that age a table, `{}` standing for the time
  Milliseconds aged_{0};            ///< by how much what is dated was made older
  Milliseconds went_by_{0};         ///< of that, because time went by
  Milliseconds aged_at_backup_{0};
  // Where the server is and what it has gone through is not in a backup.
  int moves_ = 0, moves_at_backup_ = 0;
  int promotions_ = 0, promotions_at_backup_ = 0;
};

}  // namespace batchd::conformance
