// Which requests a shard holds, against a plain list of them: every rank leads to its request and back, to the right flow, and
// nothing else has a rank; a bitmap remembers exactly what was set, through its stored bytes too; a multirange that is read is
// written and read again as the same. Input: a multirange as text up to a line break; gaps and lengths of ranges after it.
#include "core/members.hpp"
#include "harness.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <set>

namespace batchd::fuzz {
namespace {

void check_text(std::string_view text) {
  const auto ranges = parse_multirange(text);
  if (!ranges) return;
  std::string again = "{";
  for (const IdRange& range : *ranges) {
    holds(range.first <= range.last, "a range is not empty");
    again += (again.size() > 1 ? ",[" : "[") + std::to_string(range.first) + ',' + std::to_string(range.last + 1) + ')';
  }
  holds(parse_multirange(again + '}') == *ranges, "what is read is written and read again as the same");
}

struct Member {
  std::int64_t id;
  std::int64_t flow;
};

/// Chunks of ascending ranges; ids never occur twice.
std::vector<MemberChunk> make_chunks(FuzzedDataProvider& data, std::vector<Member>& all) {
  std::vector<MemberChunk> chunks;
  std::int64_t next = data.ConsumeIntegralInRange<std::int64_t>(1, INT64_MAX / 2);
  while (data.remaining_bytes() > 0 && all.size() < 400) {
    MemberChunk chunk{FlowId{data.ConsumeIntegralInRange<std::int64_t>(1, 9)}, {}};
    for (int ranges = data.ConsumeIntegralInRange<int>(0, 3); ranges > 0; --ranges) {
      const std::int64_t first = next + data.ConsumeIntegralInRange<std::int64_t>(0, 5);
      const std::int64_t last = first + data.ConsumeIntegralInRange<std::int64_t>(0, 20);
      for (std::int64_t id = first; id <= last; ++id) all.push_back({id, chunk.flow.value});
      chunk.ranges.push_back({first, last});
      next = last + 1;
    }
    chunks.push_back(std::move(chunk));
  }
  if (data.ConsumeBool()) {  // flows come in the order of the plan, not of their ids
    std::reverse(chunks.begin(), chunks.end());
    all.clear();
    for (const MemberChunk& chunk : chunks) {
      for (const IdRange& range : chunk.ranges) {
        for (std::int64_t id = range.first; id <= range.last; ++id) all.push_back({id, chunk.flow.value});
      }
    }
  }
  return chunks;
}

void check_members(const Members& members, const std::vector<Member>& all) {
  holds(members.size() == all.size(), "there are as many members as ids");
  std::set<std::int64_t> ids;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    ids.insert(all[rank].id);
    holds(members.at(rank) == RequestId{all[rank].id} && members.flow_at(rank) == FlowId{all[rank].flow},
          "a rank leads to its request");
    holds(members.rank(RequestId{all[rank].id}) == rank, "and a request to its rank");
  }
  for (const std::int64_t id : ids) {
    for (const std::int64_t near : {id - 1, id + 1}) {
      holds(ids.contains(near) || !members.rank(RequestId{near}), "nothing else has a rank");
    }
  }
}

void check_bitmap(std::size_t size, FuzzedDataProvider& data) {
  Bitmap bitmap(size);
  std::set<std::size_t> set;
  for (int i = 0; i < 64 && size > 0 && data.remaining_bytes() > 0; ++i) {
    const auto at = data.ConsumeIntegralInRange<std::size_t>(0, size - 1);
    bitmap.set(at);
    set.insert(at);
  }
  const Bitmap stored(bitmap.bytes(), size);
  holds(stored.count() == set.size() && bitmap.count() == set.size(), "as many bits as were set");
  for (std::size_t i = 0; i < size; ++i) holds(stored.test(i) == set.contains(i), "just those, through the stored bytes");
}

}  // namespace

void check(std::string_view input) {
  const auto line = std::min(input.find('\n'), input.size());
  check_text(input.substr(0, line));
  const std::string_view rest = input.substr(std::min(input.size(), line + 1));
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size());
  const auto bits = data.ConsumeIntegralInRange<std::size_t>(0, 200);
  check_bitmap(bits, data);
  std::vector<Member> all;
  auto chunks = make_chunks(data, all);
  check_members(Members(std::move(chunks)), all);
}

}  // namespace batchd::fuzz
