// Does on purpose what a sanitizer must find, one kind a run: a test under one that finds nothing proves nothing otherwise.
#include <climits>
#include <cstdio>
#include <string_view>
#include <thread>

namespace {

int shared = 0;

int undefined(int one) {
  return INT_MAX + one;
}

int address() {
  int* const gone = new int[4]{};
  delete[] gone;
  return *const_cast<volatile int*>(gone);
}

int leak() {
  const auto* volatile kept = new int[1000]{};
  const int first = kept[0];
  kept = nullptr;
  return first;
}

int race() {
  std::thread other([] { ++shared; });
  ++shared;
  other.join();
  return shared;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string_view kind = count > 1 ? arguments[1] : "";
  const int seen = kind == "undefined" ? undefined(count) : kind == "address" ? address() : kind == "leak" ? leak() : race();
  std::printf("%d\n", seen);
  return 0;
}
