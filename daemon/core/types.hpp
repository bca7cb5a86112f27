// The small values every layer speaks in: identities, sizes, times.
// Identities are types of their own, so that a shard's id can never be passed where a request's is wanted.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace batchd {

/// A 64-bit identity given out by the database; `Tag` keeps the kinds apart.
template <class Tag>
struct Id {
  std::int64_t value = 0;
  friend auto operator<=>(const Id&, const Id&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Id& id) { return out << id.value; }
};

using RequestId = Id<struct RequestTag>;
using ShardId = Id<struct ShardTag>;
/// One FIFO of the queue: requests of the same lane, job, priority and deadline class.
using FlowId = Id<struct FlowTag>;
/// The fencing token of one life of one replica: random, never reused, carried by every write.
using Term = Id<struct TermTag>;

/// An opaque name given out by a provider; never parsed, never empty when held in an optional.
template <class Tag>
struct RemoteId {
  std::string value;
  friend auto operator<=>(const RemoteId&, const RemoteId&) = default;
  friend std::ostream& operator<<(std::ostream& out, const RemoteId& id) { return out << id.value; }
};

using BatchId = RemoteId<struct BatchTag>;
using FileId = RemoteId<struct FileTag>;

using Tokens = std::int64_t;
using Bytes = std::int64_t;
using Milliseconds = std::chrono::milliseconds;

/// What may share one file: a model as producers name it, and an endpoint such as `/v1/chat/completions`.
struct Lane {
  std::string model;
  std::string endpoint;
  friend auto operator<=>(const Lane&, const Lane&) = default;
};

}  // namespace batchd

template <class Tag>
struct std::hash<batchd::Id<Tag>> {
  std::size_t operator()(const batchd::Id<Tag>& id) const noexcept { return std::hash<std::int64_t>{}(id.value); }
};
template <class Tag>
struct std::hash<batchd::RemoteId<Tag>> {
  std::size_t operator()(const batchd::RemoteId<Tag>& id) const noexcept { return std::hash<std::string>{}(id.value); }
};
