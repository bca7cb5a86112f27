// Judges the pages of a provider's list: which entries are new, and whether there is any sense in asking for another page.
// Pure; lists have been seen whose cursor does not move, whose pages repeat, and whose entries shift from page to page while
// new ones arrive (PROTOCOL.md 8).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

namespace batchd {

class ListGuard {
 public:
  /// False for an entry that an earlier page held already.
  bool fresh(std::string_view id);
  /// Called after a page's entries: the cursor to go on with; nothing when the list is over, or leads nowhere.
  std::optional<std::string> next(const std::optional<std::string>& offered);
  /// Why the walk ended before the list did; "" when it did not.
  const std::string& fault() const { return fault_; }

 private:
  std::unordered_set<std::string> seen_;
  std::unordered_set<std::string> cursors_;
  bool page_had_news_ = false;
  int pages_ = 0;
  int barren_ = 0;  // pages in a row that brought nothing new
  std::string fault_;
};

}  // namespace batchd
