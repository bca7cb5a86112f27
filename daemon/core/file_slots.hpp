// The files that an account holds, against the number that it may hold. Values and pure decisions; who counts are the store,
// which knows what our shards hold, and the look through the provider's list, which sees everybody's.
#pragma once

#include "core/types.hpp"

#include <cstdint>

namespace batchd {

/// The files of one provider.
struct FileSlots {
  std::int64_t inputs = 0;                    ///< of shards that are not closed
  std::int64_t results = 0;                   ///< likewise
  std::int64_t coming = 0;                    ///< results that batches of such shards may still leave there: two each
  std::int64_t others = 0;                    ///< that no such shard holds: other people's, or kept; as last counted
  Milliseconds counted{Milliseconds::max()};  ///< ago; the maximum: never
};

/// What a provider's list showed. Whose a result is, its name does not say.
struct ListedFiles {
  std::int64_t results = 0;
  std::int64_t inputs = 0;  ///< and whatever else there is
};

/// The listed files that no shard holds; `before` and `after` are from before and after the list was read.
std::int64_t count_others(const ListedFiles& listed, const FileSlots& before, const FileSlots& after);

/// Whether one more input may be uploaded, with `sending` others under way. Its results must find a place too: whether they count
/// is said both ways (PROTOCOL.md 12). With nothing of ours there one may try while a place is left. Until others' files have
/// been counted, half of the places are theirs. 0: no ceiling.
bool may_upload(const FileSlots& slots, std::int64_t sending, std::int64_t ceiling);

}  // namespace batchd
