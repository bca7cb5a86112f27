// A `batchd-sim` of the test's own: started on a free port, asked over HTTP, gone with the object.
#pragma once

#include "support/temp_dir.hpp"

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace batchd::testing {

class SimProcess {
 public:
  /// Starts it with these options besides --port and --port-file, and waits until it listens. The program is
  /// $BATCHD_SIM, or `batchd-sim` beside the running test. Throws when it does not come up.
  explicit SimProcess(std::vector<std::string> options = {});
  ~SimProcess();
  SimProcess(const SimProcess&) = delete;
  SimProcess& operator=(const SimProcess&) = delete;

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  TempDir dir_;
  pid_t pid_ = -1;
  std::uint16_t port_ = 0;
};

}  // namespace batchd::testing
