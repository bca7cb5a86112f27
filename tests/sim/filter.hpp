// The OData text of Azure's preview versions: `$filter` and `$orderby` of the list of batches (PROTOCOL.md 8).
#pragma once

#include "batch.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sim {

class BatchFilter {
 public:
  /// Reads the two parameters; either may be empty. Returns what is wrong with them.
  std::optional<std::string> read(const std::string& filter, const std::string& order);
  /// Takes away what does not match, and sorts; the rest keeps its order when none is asked for.
  void apply(std::vector<Batch*>& batches) const;

 private:
  struct Condition {
    std::string comparison;  ///< gt, ge, lt, le, eq, ne
    std::optional<BatchState> state;
    std::int64_t created = 0;  ///< unless `state` is asked for
  };

  std::optional<std::string> read_condition(const std::string& text);
  static bool holds(const Condition& condition, const Batch& batch);

  std::vector<Condition> conditions_;
  std::optional<bool> ascending_;
};

}  // namespace sim
