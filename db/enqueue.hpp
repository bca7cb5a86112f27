// Enqueues many requests as a producer does, in bulk: for `batchd submit`. It speaks only the public contract (INSERT into
// batchd.request), in transactions of bounded size, and needs no more than the role batchd_producer.
#pragma once

#include "db/database.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace batchd {

/// A row for batchd.request.
struct NewRequest {
  std::string model;
  std::string endpoint;            ///< "" for the default, /v1/chat/completions
  std::optional<std::string> key;  ///< nothing: never deduplicated
  std::string body;                ///< JSON; must already be known to be valid
};

struct EnqueueOptions {
  std::string job = "default";
  int priority = 0;
  std::string deadline;                  ///< anything PostgreSQL reads as timestamptz, "" for none
  std::int64_t chunk_rows = 10'000;      ///< a transaction ends after so many rows ...
  Bytes chunk_bytes = 64 * 1024 * 1024;  ///< ... or so many bytes of bodies
};

struct EnqueueCounts {
  std::int64_t fresh = 0;  ///< enqueued now
  std::int64_t known = 0;  ///< (job, key) was there before: nothing done
};

/// Fills in the next request; false when there are no more.
using RequestSource = std::function<bool(NewRequest&)>;
/// Hears the counts so far after every committed chunk; may be empty.
using EnqueueProgress = std::function<void(const EnqueueCounts&)>;

/// Enqueues everything the source gives and returns the counts. Throws StoreError; chunks committed before stay enqueued
/// (their counts were told to `progress`), and with keys the same call again enqueues only the rest.
/// What `source` throws passes through, after which the chunk in hand is not enqueued.
EnqueueCounts enqueue(Database& database, const EnqueueOptions& options, const RequestSource& source,
                      const EnqueueProgress& progress = {});

}  // namespace batchd
