// What is not about one group of tables: making a database, restoring one, looking rows up.
#include "simulation/store/fake_database.hpp"

#include <algorithm>
#include <bit>

namespace batchd::simulation {
namespace {

/// Finds a row by its key in a table that is kept ascending.
template <class Table, class Key, class KeyOf>
auto* find_in(Table& table, const Key& key, KeyOf key_of) {
  const auto at =
      std::lower_bound(table.begin(), table.end(), key, [&](const auto& row, const Key& k) { return key_of(row) < k; });
  return at != table.end() && key_of(*at) == key ? &*at : nullptr;
}

ShardId shard_id_of(const ShardRow& row) {
  return row.shard.id;
}

auto place_in(std::vector<ShardRow>& shards, ShardId id) {
  return std::lower_bound(shards.begin(), shards.end(), id, [](const ShardRow& row, ShardId i) { return row.shard.id < i; });
}

}  // namespace

Milliseconds to_milliseconds(Instant span) {
  const std::int64_t half = span.count() < 0 ? -500 : 500;
  return Milliseconds{(span.count() + half) / 1000};
}

std::int64_t bit_count(std::string_view bitmap) {
  std::int64_t set = 0;
  for (const char c : bitmap) set += std::popcount(static_cast<unsigned char>(c));
  return set;
}

FakeDatabase::FakeDatabase(std::function<Milliseconds()> now, Dice& dice)
    : server_(std::make_shared<FakeServer>(std::move(now), dice)) {
  instance_.id = new_name();
  instance_.identity = server_->identity();
  instance_.timeline = server_->timeline();
  clock_seen_ = server_->clock();
}

FakeDatabase& FakeDatabase::operator=(const FakeDatabase& backup) {
  if (this == &backup) return *this;
  auto server = server_;
  *this = FakeDatabase(backup);
  server_ = std::move(server);
  server_->restored();
  return *this;
}

std::string FakeDatabase::new_name() {
  std::string name;
  for (int i = 0; i < 12; ++i) name += "0123456789abcdef"[server_->dice().between(std::int64_t{0}, std::int64_t{15})];
  return name;
}

RequestRow* FakeDatabase::find_request(RequestId id) {
  return find_in(requests_, id, [](const RequestRow& row) { return row.id; });
}

ShardRow* FakeDatabase::find_live(ShardId id) {
  return find_in(live_, id, shard_id_of);
}

ShardRow* FakeDatabase::find_shard(ShardId id) {
  if (ShardRow* const row = find_live(id)) return row;
  return find_in(closed_, id, shard_id_of);
}

ShardId FakeDatabase::next_shard() {
  const ShardId id{++shard_sequence_};
  check_new(id);
  return id;
}

void FakeDatabase::check_new(ShardId id) const {
  if (find_shard(id) != nullptr) server_->violated("shard_pkey: shard " + std::to_string(id.value) + " exists already");
}

ShardRow& FakeDatabase::insert_shard(ShardRow row) {
  check_shard(row.shard);
  return *live_.insert(place_in(live_, row.shard.id), std::move(row));
}

void FakeDatabase::close(ShardId id) {
  const auto at = place_in(live_, id);
  closed_.insert(place_in(closed_, id), std::move(*at));
  live_.erase(at);
}

DeploymentRow* FakeDatabase::find_deployment(std::string_view name) {
  return find_in(deployments_, name, [](const DeploymentRow& row) -> std::string_view { return row.name; });
}

ReplicaRow* FakeDatabase::find_replica(Term term) {
  const auto at = std::find_if(replicas_.begin(), replicas_.end(), [term](const ReplicaRow& row) { return row.term == term; });
  return at == replicas_.end() ? nullptr : &*at;
}

}  // namespace batchd::simulation
