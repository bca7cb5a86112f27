#include "support/sim_process.hpp"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

namespace batchd::testing {
namespace {

std::string sim_program() {
  if (const char* given = std::getenv("BATCHD_SIM")) return given;
  return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "batchd-sim";
}

pid_t start(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that crashes leaves nothing running
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return pid;
}

}  // namespace

SimProcess::SimProcess(std::vector<std::string> options) {
  const auto port_file = dir_.path() / "port";
  std::vector<std::string> words{sim_program(), "--port", "0", "--port-file", port_file, "--dir", dir_.path()};
  if (const char* const file = std::getenv("BATCHD_SIM_RECORD")) words.insert(words.end(), {"--record", file});
  words.insert(words.end(), options.begin(), options.end());
  pid_ = start(words);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!(std::ifstream(port_file) >> port_)) {
    if (::waitpid(pid_, nullptr, WNOHANG) != 0 || std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("'" + words[0] + "' did not start; is BATCHD_SIM right?");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

SimProcess::~SimProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

}  // namespace batchd::testing
