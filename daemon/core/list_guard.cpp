#include "core/list_guard.hpp"

namespace batchd {
namespace {

constexpr int most_pages = 10'000;
/// One page of old entries may be the work of batches made meanwhile.
constexpr int most_barren = 3;

}  // namespace

bool ListGuard::fresh(std::string_view id) {
  const bool news = seen_.emplace(id).second;
  page_had_news_ = page_had_news_ || news;
  return news;
}

std::optional<std::string> ListGuard::next(const std::optional<std::string>& offered) {
  ++pages_;
  barren_ = page_had_news_ ? 0 : barren_ + 1;
  page_had_news_ = false;
  if (!offered) return std::nullopt;
  if (!cursors_.insert(*offered).second) {
    fault_ = "its list does not advance: the cursor " + *offered + " was given twice";
  } else if (barren_ >= most_barren) {
    fault_ = "its list repeats itself: " + std::to_string(barren_) + " pages in a row held nothing new";
  } else if (pages_ >= most_pages) {
    fault_ = "its list does not end after " + std::to_string(pages_) + " pages";
  }
  return fault_.empty() ? offered : std::nullopt;
}

}  // namespace batchd
