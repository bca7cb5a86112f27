// doctor's look at the database: the server, the schema, what this user may do, and how the installation stands.
#pragma once

#include "cli/finding.hpp"
#include "config.hpp"
#include "db/database.hpp"

#include <map>
#include <string>
#include <unordered_set>

namespace batchd {

struct DatabaseExamination {
  Findings findings;
  bool schema_mismatch = false;
  std::string instance;                                          ///< "" when it could not be asked
  std::map<std::string, std::unordered_set<std::string>> files;  ///< that our shards know of, by provider
};

/// Ends within the time-outs of `settings`, unless a server falls silent in the middle of an answer. Throws nothing of the
/// database's.
DatabaseExamination examine_database(const DatabaseSettings& settings, const Config& config);

}  // namespace batchd
