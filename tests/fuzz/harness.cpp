// The side of a fuzz target that libFuzzer sees. It measures each input in processor time, which a busy machine does not
// lengthen as it does the wall clock that libFuzzer's own -timeout goes by, and ends the run at the first one above the limit.
#include "harness.hpp"

#include <ctime>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace {

constexpr double limit_ms = 1000;
double slowest_ms = 0;

double processor_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

}  // namespace

void batchd::fuzz::holds(bool property, const char* what, std::source_location where) {
  if (property) return;
  std::fprintf(stderr, "PROPERTY BROKEN: %s (%s:%u)\n", what, where.file_name(), static_cast<unsigned>(where.line()));
  std::abort();
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  std::atexit([] { std::fprintf(stderr, "stat::slowest_unit_processor_ms: %.1f\n", slowest_ms); });
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const double before = processor_ms();
  batchd::fuzz::check({reinterpret_cast<const char*>(data), size});
  const double used = processor_ms() - before;
  if (used > slowest_ms) slowest_ms = used;
  batchd::fuzz::holds(used < limit_ms, "an input takes less than a second of processor time");
  return 0;
}
