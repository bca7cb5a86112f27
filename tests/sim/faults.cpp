#include "faults.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace sim {
namespace {

using namespace std::string_view_literals;

constexpr std::array fault_names = {
    "reset_before"sv, "reset_after"sv, "500_before"sv, "500_after"sv,     "502_html"sv, "502_html_after"sv,
    "503"sv,          "408_after"sv,   "429"sv,        "401"sv,           "403"sv,      "404"sv,
    "hang"sv,         "hang_after"sv,  "truncate"sv,   "shorten"sv,       "slow"sv,     "empty"sv,
    "garbage"sv,      "late"sv,        "list_lag"sv,   "file_invisible"sv};

std::string text_of(const boost::json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_int64()) return std::to_string(value.get_int64());
  return {};
}

}  // namespace

std::optional<std::string> FaultBook::add(const boost::json::value& value) {
  if (!value.is_object()) return "a fault is a JSON object";
  Rule rule;
  bool has_probability = false, has_times = false;
  for (const auto& [key, member] : value.get_object()) {
    if (key == "operation") {
      rule.operation = operation_named(text_of(member));
      if (!rule.operation && text_of(member) != "any") return "unknown operation '" + text_of(member) + "'";
    } else if (key == "fault") {
      rule.fault.name = text_of(member);
      if (std::find(fault_names.begin(), fault_names.end(), rule.fault.name) == fault_names.end())
        return "unknown fault '" + rule.fault.name + "'";
    } else if (key == "nth" && member.is_int64() && member.get_int64() >= 1) {
      rule.wait = static_cast<std::uint64_t>(member.get_int64()) - 1;
    } else if (key == "times" && member.is_int64() && member.get_int64() >= 1) {
      rule.times = static_cast<std::uint64_t>(member.get_int64());
      has_times = true;
    } else if (key == "probability" && member.is_number()) {
      rule.probability = member.to_number<double>();
      has_probability = true;
    } else if (key == "retry_after") {
      rule.fault.retry_after = text_of(member);
    } else if (key == "retry_after_ms") {
      rule.fault.retry_after_ms = text_of(member);
    } else if (key == "delay") {
      try {
        rule.fault.delay = parse_duration(text_of(member));
      } catch (const std::invalid_argument& e) {
        return std::string("delay: ") + e.what();
      }
    } else {
      return "unknown or unusable member '" + std::string(key) + "'";
    }
  }
  if (rule.fault.name.empty()) return "member 'fault' is missing";
  if (has_probability && !has_times) rule.times = std::numeric_limits<std::uint64_t>::max();
  rules_.push_back(std::move(rule));
  return std::nullopt;
}

std::optional<Fault> FaultBook::strike(Operation operation) {
  std::optional<Fault> chosen;
  for (auto& rule : rules_) {
    if (rule.operation && *rule.operation != operation) continue;
    if (rule.wait > 0) {
      --rule.wait;
      continue;
    }
    if (chosen || rule.times == 0) continue;
    if (rule.probability < 1 && std::uniform_real_distribution<>()(random_) >= rule.probability) continue;
    --rule.times;
    ++struck_;
    chosen = rule.fault;
  }
  std::erase_if(rules_, [](const Rule& rule) { return rule.times == 0; });
  return chosen;
}

}  // namespace sim
