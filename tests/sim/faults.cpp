#include "faults.hpp"

#include "error_style.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <stdexcept>
#include <string_view>

namespace sim {
namespace {

using namespace std::string_view_literals;

constexpr std::array names = {
    // without effect
    "reset_before"sv, "500_before"sv, "502_html"sv, "503"sv, "429"sv, "401"sv, "403"sv, "404"sv, "hang"sv, "half_open"sv,
    "respond"sv, "reset_reading"sv,
    // after the effect
    "reset_after"sv, "500_after"sv, "502_html_after"sv, "408_after"sv, "hang_after"sv, "respond_after"sv, "empty"sv, "garbage"sv,
    "headers"sv, "shape"sv,
    // on the way
    "truncate"sv, "shorten"sv, "slow"sv, "stall"sv,
    // of certain operations
    "late"sv, "list_lag"sv, "file_invisible"sv, "file_state"sv, "fate"sv, "insert"sv, "older"sv, "empty_page"sv, "repeat_page"sv};

std::string text_of(const boost::json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_int64()) return std::to_string(value.get_int64());
  return {};
}

std::optional<std::string> read_duration(const boost::json::value& member, Milliseconds& into) {
  try {
    into = parse_duration(text_of(member));
    return std::nullopt;
  } catch (const std::invalid_argument& e) {
    return e.what();
  }
}

std::optional<std::string> read_retry_after(const boost::json::value& member, Fault& fault) {
  Milliseconds unused{};
  fault.retry_after = text_of(member);
  return fault.retry_after.starts_with("in ") ? read_duration(boost::json::value(fault.retry_after.substr(3)), unused)
                                              : std::nullopt;
}

bool is_count(const boost::json::value& member) {
  return member.is_int64() && member.get_int64() >= 1;
}

std::optional<std::string> read_headers(const boost::json::value& member, Fault& fault) {
  if (!member.is_object()) return "headers: expected an object";
  for (const auto& [name, text] : member.get_object()) fault.headers.emplace_back(name, text_of(text));
  return std::nullopt;
}

std::optional<std::string> read_style(const boost::json::value& member, Fault& fault) {
  fault.style = text_of(member);
  const auto& all = error_styles();
  if (std::find(all.begin(), all.end(), fault.style) != all.end()) return std::nullopt;
  return "unknown style '" + fault.style + "'";
}

/// What the fault does; who it strikes is the rule's.
std::optional<std::string> read_fault_member(std::string_view key, const boost::json::value& member, Fault& fault) {
  if (key == "fault") {
    fault.name = text_of(member);
    const bool known = std::find(names.begin(), names.end(), fault.name) != names.end();
    return known ? std::nullopt : std::optional("unknown fault '" + fault.name + "'");
  }
  if (key == "retry_after") return read_retry_after(member, fault);
  if (key == "retry_after_ms") return fault.retry_after_ms = text_of(member), std::nullopt;
  if (key == "delay") return read_duration(member, fault.delay);
  if (key == "fate") return read_fate(member, fault.fate);
  if (key == "shape") return read_shape(member, fault.shape);
  if (key == "headers") return read_headers(member, fault);
  if (key == "state") return fault.state = text_of(member), std::nullopt;
  if (key == "details") return fault.details = text_of(member), std::nullopt;
  if (key == "style") return read_style(member, fault);
  if (key == "body") return fault.body = member, std::nullopt;
  if (key == "body_file") return fault.body_file = text_of(member), std::nullopt;
  if (key == "at" && member.is_int64() && member.get_int64() >= 0)
    return fault.at = static_cast<std::uint64_t>(member.get_int64()), std::nullopt;
  if (key == "status" && member.is_int64() && member.get_int64() >= 200 && member.get_int64() <= 599)
    return fault.status = static_cast<int>(member.get_int64()), std::nullopt;
  if (key == "count" && is_count(member)) return fault.count = static_cast<std::uint32_t>(member.get_int64()), std::nullopt;
  return "unknown or unusable member '" + std::string(key) + "'";
}

}  // namespace

std::vector<std::string> fault_names() {
  return {names.begin(), names.end()};
}

std::optional<std::string> FaultBook::add(const boost::json::value& value) {
  if (!value.is_object()) return "a fault is a JSON object";
  Rule rule;
  bool has_probability = false, has_times = false;
  for (const auto& [key, member] : value.get_object()) {
    if (key == "operation") {
      rule.operation = operation_named(text_of(member));
      if (!rule.operation && text_of(member) != "any") return "unknown operation '" + text_of(member) + "'";
    } else if (key == "nth" && is_count(member)) {
      rule.wait = static_cast<std::uint64_t>(member.get_int64()) - 1;
    } else if (key == "times" && is_count(member)) {
      rule.times = static_cast<std::uint64_t>(member.get_int64());
      has_times = true;
    } else if (key == "probability" && member.is_number()) {
      rule.probability = member.to_number<double>();
      has_probability = true;
    } else if (auto fault = read_fault_member(key, member, rule.fault)) {
      return fault;
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
