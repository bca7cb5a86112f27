#include "local/postgres_processes.hpp"

#include <dirent.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string_view>
#include <thread>

namespace batchd {
namespace {

constexpr std::chrono::milliseconds between_looks{50};

/// The arguments, each ended by a NUL. Everyone may read this of every process, whoever runs it.
std::string command_line(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_server(std::string_view arguments, const std::string& data_directory) {
  const std::string_view program = arguments.substr(0, arguments.find('\0'));
  const std::string named = std::string(1, '\0') + "-D" + std::string(1, '\0') + data_directory + std::string(1, '\0');
  return program.ends_with("/postgres") && arguments.find(named) != std::string_view::npos;
}

void send(const std::vector<pid_t>& processes, int number) {
  for (const pid_t pid : processes) kill(pid, number);
}

}  // namespace

PostgresProcesses find_postgres_processes(const std::string& data_directory, const std::string& cluster_name) {
  PostgresProcesses found;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), &closedir);
  if (!proc) return found;
  while (const dirent* entry = readdir(proc.get())) {
    pid_t pid = 0;
    const char* end = entry->d_name + std::strlen(entry->d_name);
    if (std::from_chars(entry->d_name, end, pid).ptr != end || pid <= 0 || pid == getpid()) continue;
    const std::string arguments = command_line(pid);
    if (is_server(arguments, data_directory)) {
      found.servers.push_back(pid);
    } else if (arguments.starts_with("postgres: " + cluster_name + ": ")) {
      found.children.push_back(pid);
    }
  }
  return found;
}

bool end_postgres_processes(const std::string& data_directory, const std::string& cluster_name,
                            std::chrono::milliseconds patience) {
  using Clock = std::chrono::steady_clock;
  const auto gone_within = [&](std::chrono::milliseconds time, int number) {
    for (const auto until = Clock::now() + time;;) {
      const PostgresProcesses found = find_postgres_processes(data_directory, cluster_name);
      if (found.empty()) return true;
      // Children go with their server; without one they notice its death by themselves, but not while a statement runs.
      send(found.servers, number);
      if (found.servers.empty()) send(found.children, number == SIGINT ? SIGTERM : number);
      if (Clock::now() >= until) return false;
      std::this_thread::sleep_for(between_looks);
    }
  };
  const std::chrono::milliseconds insist{5'000};
  return gone_within(patience, SIGINT) || gone_within(insist, SIGQUIT) || gone_within(insist, SIGKILL);
}

}  // namespace batchd
