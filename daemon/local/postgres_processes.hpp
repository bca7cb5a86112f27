// The processes of one PostgreSQL cluster, found by what the kernel says runs and not by a pid file, which may be stale or gone:
// the server has its data directory on its command line, and its children carry the cluster's name in their titles.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace batchd {

struct PostgresProcesses {
  std::vector<pid_t> servers;   ///< postmasters: one at most, unless something is very wrong
  std::vector<pid_t> children;  ///< backends and helpers, which may outlive a killed server for a moment
  bool empty() const { return servers.empty() && children.empty(); }
};

PostgresProcesses find_postgres_processes(const std::string& data_directory, const std::string& cluster_name);

/// Ends them: asks the server to close down in order, and insists after `patience`. True when nothing is left.
bool end_postgres_processes(const std::string& data_directory, const std::string& cluster_name,
                            std::chrono::milliseconds patience);

}  // namespace batchd
