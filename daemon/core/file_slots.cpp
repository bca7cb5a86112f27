#include "core/file_slots.hpp"

#include <algorithm>

namespace batchd {
namespace {

constexpr std::int64_t files_of_a_batch = 3;  // its input and two results

}  // namespace

std::int64_t count_others(const ListedFiles& listed, const FileSlots& before, const FileSlots& after) {
  const std::int64_t inputs = std::max(before.inputs, after.inputs);
  const std::int64_t results = std::max(before.results + before.coming, after.results + after.coming);
  return std::max<std::int64_t>(0, listed.inputs - inputs) + std::max<std::int64_t>(0, listed.results - results);
}

bool may_upload(const FileSlots& slots, std::int64_t sending, std::int64_t ceiling) {
  if (ceiling == 0) return true;
  const std::int64_t others = slots.counted == Milliseconds::max() ? ceiling / 2 : slots.others;
  const std::int64_t ours = slots.inputs + slots.results + slots.coming + sending * files_of_a_batch;
  return ours == 0 ? others < ceiling : ours + others + files_of_a_batch <= ceiling;
}

}  // namespace batchd
