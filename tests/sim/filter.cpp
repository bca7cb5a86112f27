#include "filter.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <sstream>
#include <string_view>

namespace sim {
namespace {

/// 'InProgress', 'Completed' or 'in_progress' as a state.
std::optional<BatchState> state_of(const std::string& literal) {
  if (literal.size() < 3 || literal.front() != '\'' || literal.back() != '\'') return std::nullopt;
  const auto bare = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c != '_') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    return out;
  };
  const auto wanted = bare(std::string_view(literal).substr(1, literal.size() - 2));
  for (const auto name : batch_state_names) {
    if (bare(name) == wanted) return batch_state_named(name);
  }
  return std::nullopt;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

}  // namespace

std::optional<std::string> BatchFilter::read(const std::string& filter, const std::string& order) {
  const auto words = words_of(filter);
  if (words.size() % 4 != 3 && !words.empty()) return "$filter: expected 'FIELD COMPARISON VALUE', joined by 'and': " + filter;
  for (std::size_t i = 0; i < words.size(); i += 4) {
    if (i > 0 && words[i - 1] != "and") return "$filter: conditions are joined by 'and', not '" + words[i - 1] + "'";
    if (auto fault = read_condition(words[i] + ' ' + words[i + 1] + ' ' + words[i + 2])) return fault;
  }
  const auto ordered = words_of(order);
  if (ordered.empty()) return std::nullopt;
  const bool known = ordered.size() <= 2 && ordered[0] == "created_at";
  const std::string direction = ordered.size() == 2 ? ordered[1] : "asc";
  if (!known || (direction != "asc" && direction != "desc"))
    return "$orderby: expected 'created_at asc' or 'created_at desc': " + order;
  ascending_ = direction == "asc";
  return std::nullopt;
}

std::optional<std::string> BatchFilter::read_condition(const std::string& text) {
  const auto words = words_of(text);
  Condition condition;
  condition.comparison = words[1];
  const auto among = [&](std::initializer_list<std::string_view> known) {
    return std::find(known.begin(), known.end(), words[1]) != known.end();
  };
  if (words[0] == "status") {
    condition.state = state_of(words[2]);
    if (!among({"eq", "ne"}) || !condition.state) return "$filter: expected status eq or ne a state in quotes: " + text;
  } else if (words[0] == "created_at") {
    const auto [end, error] = std::from_chars(words[2].data(), words[2].data() + words[2].size(), condition.created);
    const bool number = error == std::errc() && end == words[2].data() + words[2].size();
    if (!among({"gt", "ge", "lt", "le"}) || !number) return "$filter: expected created_at gt, ge, lt or le unix seconds: " + text;
  } else {
    return "$filter: unknown field '" + words[0] + "'";
  }
  conditions_.push_back(std::move(condition));
  return std::nullopt;
}

bool BatchFilter::holds(const Condition& condition, const Batch& batch) {
  const auto& how = condition.comparison;
  if (condition.state) return (batch.state == *condition.state) == (how == "eq");
  const auto created = unix_seconds(*batch.entered[0]);
  if (how == "gt") return created > condition.created;
  if (how == "ge") return created >= condition.created;
  return how == "lt" ? created < condition.created : created <= condition.created;
}

void BatchFilter::apply(std::vector<Batch*>& batches) const {
  std::erase_if(batches, [&](const Batch* batch) {
    return !std::all_of(conditions_.begin(), conditions_.end(), [&](const Condition& one) { return holds(one, *batch); });
  });
  if (!ascending_) return;
  std::sort(batches.begin(), batches.end(),
            [&](const Batch* a, const Batch* b) { return *ascending_ ? a->number < b->number : a->number > b->number; });
}

}  // namespace sim
