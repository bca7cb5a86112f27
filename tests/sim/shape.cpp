#include "shape.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <ctime>
#include <span>
#include <string_view>

namespace sim {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// ---- one function for each rule: what it does to an item ----

std::string pascal(std::string_view status) {
  std::string out;
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i] == '_') continue;
    const bool first = i == 0 || status[i - 1] == '_';
    out += first ? static_cast<char>(std::toupper(static_cast<unsigned char>(status[i]))) : status[i];
  }
  return out;
}

void shape_status(object& item, std::string_view how) {
  auto* const member = item.if_contains("status");
  if (member == nullptr || !member->is_string()) return;
  std::string status(member->get_string());
  if (how == "capital") status[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(status[0])));
  if (how == "pascal") status = pascal(status);
  if (how == "spaced") std::replace(status.begin(), status.end(), '_', ' ');
  if (how == "upper")
    std::transform(status.begin(), status.end(), status.begin(), [](unsigned char c) { return std::toupper(c); });
  if (how == "american" && status.starts_with("cancell")) status.erase(6, 1);
  *member = status;
}

std::string iso(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.2491382+00:00", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text;
}

void shape_times(object& item, std::string_view how) {
  for (auto& member : item) {
    if (!member.key().ends_with("_at") || !member.value().is_int64()) continue;
    const auto seconds = member.value().get_int64();
    if (how == "iso") member.value() = iso(seconds);
    if (how == "float") member.value() = static_cast<double>(seconds) + 0.25;
    if (how == "text") member.value() = std::to_string(seconds);
    if (how == "null" && member.key() != "created_at") member.value() = nullptr;
  }
}

void shape_counts(object& item, std::string_view how) {
  auto* const member = item.if_contains("request_counts");
  if (member == nullptr) return;
  if (how == "absent") return void(item.erase("request_counts"));
  if (how == "null") return void(*member = nullptr);
  if (!member->is_object()) return;
  auto& counts = member->get_object();
  if (how == "zero") counts["total"] = counts["completed"] = counts["failed"] = 0;
  if (how == "nulls") counts["total"] = nullptr;
  if (how != "zero") counts["completed"] = counts["failed"] = nullptr;
}

void shape_errors(object& item, std::string_view how) {
  auto* const member = item.if_contains("errors");
  if (member == nullptr) return;
  if (how == "absent") return void(item.erase("errors"));
  if (how == "null") return void(*member = nullptr);
  auto* const list = member->if_object();
  auto* const data = list == nullptr ? nullptr : list->if_contains("data");
  if (data == nullptr || !data->is_array()) return;
  if (how == "empty") return void(*member = object());
  if (how == "no_data") return void(data->get_array().clear());
  if (how == "single" && !data->get_array().empty()) *data = value(data->get_array().front());
  if (how == "bare") *member = value(*data);
}

void shape_line(object& item, std::string_view how) {
  auto* const errors = item.if_contains("errors");
  auto* const list = errors == nullptr ? nullptr : errors->if_object();
  auto* const data = list == nullptr ? nullptr : list->if_contains("data");
  if (data == nullptr || !data->is_array()) return;
  for (auto& error : data->get_array()) {
    auto* const line = error.is_object() ? error.get_object().if_contains("line") : nullptr;
    if (line == nullptr) continue;
    if (how == "absent") {
      error.get_object().erase("line");
    } else if (how == "null") {
      *line = nullptr;
    } else if (how == "number" && line->is_string()) {
      *line = std::stoll(std::string(line->get_string()));
    } else if (how == "text" && line->is_int64()) {
      *line = std::to_string(line->get_int64());
    }
  }
}

void shape_ids(object& item, std::string_view how) {
  for (const char* const name : {"output_file_id", "error_file_id"}) {
    auto* const member = item.if_contains(name);
    if (member == nullptr || !member->is_null()) continue;
    if (how == "empty") *member = "";
    if (how == "absent") item.erase(name);
  }
}

struct Rule {
  std::string_view name;
  std::span<const std::string_view> choices;
  void (*apply)(object& item, std::string_view how);
};

constexpr std::array<std::string_view, 5> statuses = {"capital", "pascal", "spaced", "upper", "american"};
constexpr std::array<std::string_view, 4> times = {"iso", "float", "text", "null"};
constexpr std::array<std::string_view, 5> counts = {"absent", "null", "nulls", "partial", "zero"};
constexpr std::array<std::string_view, 6> errors = {"absent", "null", "empty", "no_data", "single", "bare"};
constexpr std::array<std::string_view, 4> lines = {"text", "number", "null", "absent"};
constexpr std::array<std::string_view, 2> ids = {"empty", "absent"};
/// In the order in which they are applied: the line is sought before the errors lose their form.
constexpr std::array<Rule, 6> rules = {{{"status", statuses, shape_status},
                                        {"times", times, shape_times},
                                        {"counts", counts, shape_counts},
                                        {"line", lines, shape_line},
                                        {"errors", errors, shape_errors},
                                        {"ids", ids, shape_ids}}};

// ---- members by name, of items and of lists ----

void set_members(object& item, const object& wanted, const char* rule) {
  if (const auto* const set = wanted.if_contains(rule)) {
    for (const auto& [name, member] : set->get_object()) item[name] = member;
  }
}

void drop_members(object& item, const object& wanted, const char* rule) {
  if (const auto* const drop = wanted.if_contains(rule)) {
    for (const auto& name : drop->get_array()) item.erase(name.get_string());
  }
}

void keep_only(object& item, const object& wanted) {
  const auto* const only = wanted.if_contains("only");
  if (only == nullptr) return;
  object kept;
  for (const auto& name : only->get_array()) {
    if (const auto* const member = item.if_contains(name.get_string())) kept[name.get_string()] = *member;
  }
  item = std::move(kept);
}

void shape_item(object& item, const Shape& shape) {
  const auto& wanted = shape.rules;
  for (const auto& rule : rules) {
    if (const auto* const how = wanted.if_contains(rule.name)) rule.apply(item, how->get_string());
  }
  drop_members(item, wanted, "drop");
  set_members(item, wanted, "set");
  keep_only(item, wanted);
}

void shape_list(object& list, const Shape& shape) {
  const auto& wanted = shape.rules;
  auto* const entries = list.if_contains("data");
  if (wanted.contains("cursor") && entries != nullptr && entries->is_array()) {
    for (auto& item : entries->get_array()) {
      item.as_object()["first_id"] = list["first_id"];
      item.as_object()["last_id"] = list["last_id"];
    }
    list.erase("first_id");
    list.erase("last_id");
  }
  drop_members(list, wanted, "list_drop");
  set_members(list, wanted, "list_set");
  if (const auto* const key = wanted.if_contains("list_key"); key != nullptr && list.contains("data")) {
    value data = list["data"];
    list.erase("data");
    list[key->get_string()] = std::move(data);
  }
}

void shape_by_id(object& item, const Shapes& shapes, const Shape& call) {
  const auto* const id = item.if_contains("id");
  const auto own = id == nullptr ? shapes.by_id.end() : shapes.by_id.find(std::string(id->as_string()));
  shape_item(item, shapes.all);
  if (own != shapes.by_id.end()) shape_item(item, own->second);
  shape_item(item, call);
}

bool all_strings(const value& member) {
  if (!member.is_array()) return false;
  const auto& names = member.get_array();
  return std::all_of(names.begin(), names.end(), [](const value& name) { return name.is_string(); });
}

bool acceptable(std::string_view key, const value& member) {
  if (key == "set" || key == "list_set") return member.is_object();
  if (key == "drop" || key == "list_drop" || key == "only") return all_strings(member);
  if (!member.is_string()) return false;
  const std::string_view text = member.get_string();
  if (key == "list_key") return !text.empty();
  if (key == "cursor") return text == "in_items";
  const auto rule = std::find_if(rules.begin(), rules.end(), [&](const Rule& one) { return one.name == key; });
  return rule != rules.end() && std::find(rule->choices.begin(), rule->choices.end(), text) != rule->choices.end();
}

}  // namespace

std::optional<std::string> read_shape(const value& from, Shape& into) {
  if (!from.is_object()) return "a shape is a JSON object";
  for (const auto& [key, member] : from.get_object()) {
    if (!acceptable(key, member)) return "shape: unknown or unusable member '" + std::string(key) + "'";
  }
  into.rules = from.get_object();
  return std::nullopt;
}

void reshape(Reply& reply, Operation operation, const Shapes& shapes, const Shape& call) {
  const bool list = operation == Operation::list_batches || operation == Operation::list_files;
  const bool other = operation == Operation::download || operation == Operation::delete_file || operation == Operation::none;
  if (other || reply.status >= 300 || (shapes.none() && call.rules.empty())) return;
  boost::system::error_code error;
  auto body = boost::json::parse(reply.body, error);
  if (error || !body.is_object()) return;
  if (list) {
    for (auto& item : body.get_object()["data"].as_array()) shape_by_id(item.as_object(), shapes, call);
    shape_list(body.get_object(), shapes.all);
    shape_list(body.get_object(), call);
  } else {
    shape_by_id(body.get_object(), shapes, call);
  }
  reply.body = boost::json::serialize(body);
}

}  // namespace sim
