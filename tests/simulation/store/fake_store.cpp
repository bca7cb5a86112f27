#include "simulation/store/fake_store.hpp"

#include <type_traits>
#include <utility>

namespace batchd::simulation {
namespace {

[[noreturn]] void fail(std::string_view verb, std::string_view how) {
  throw StoreError("database: " + std::string(verb) + ": " + std::string(how));
}

/// Verbs that only look: one that arrives late changes nothing.
template <class Work>
constexpr bool only_looks = std::is_invocable_v<Work&, const FakeDatabase&>;

}  // namespace

// Verbs are plain functions that make a closure, and the coroutine owns it: so arguments live as long as they do with PgStore.
// What a closure holds by value is enough to run it late, when the store itself may be gone.
template <class Work>
Task<std::invoke_result_t<Work&, FakeDatabase&>> FakeStore::call(std::string_view verb, Work work) {
  using Result = std::invoke_result_t<Work&, FakeDatabase&>;
  const Passage there = co_await wire_.there(verb);
  if (there == Passage::refused) fail(verb, "no connection");
  if (there == Passage::lost) {
    wire_.arrives_late(verb, [&db = database_, restores = database_.restores(), work]() mutable {
      if (db.restores() == restores) static_cast<void>(work(db));
    });
    fail(verb, "no answer");
  }
  if constexpr (std::is_void_v<Result>) {
    work(database_);
    const Passage back = co_await wire_.back(verb);
    if (back != Passage::through) fail(verb, "no answer, and whether it was committed is not known");
  } else {
    Result result = work(database_);
    const Passage back = co_await wire_.back(verb);
    if (back != Passage::through) fail(verb, "no answer, and whether it was committed is not known");
    co_return result;
  }
}

void FakeStore::hint() {
  hinted_ = true;
  hints_.notify();
}

}  // namespace batchd::simulation
