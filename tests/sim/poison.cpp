#include "poison.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sim {
namespace {

constexpr std::array<std::pair<std::string_view, Poison>, 5> names = {{{"poison", Poison::line},
                                                                       {"poison_string", Poison::string_line},
                                                                       {"poison_silent", Poison::silent},
                                                                       {"poison_create", Poison::create},
                                                                       {"poison_upload", Poison::upload}}};

}  // namespace

std::vector<std::string> poison_names() {
  std::vector<std::string> out;
  for (const auto& [name, poison] : names) out.emplace_back(name);
  return out;
}

std::optional<Poison> poison_named(std::string_view kind) {
  for (const auto& [name, poison] : names) {
    if (name == kind) return poison;
  }
  return std::nullopt;
}

bool any(const std::vector<PoisonedLine>& lines, Poison poison) {
  return std::any_of(lines.begin(), lines.end(), [&](const PoisonedLine& one) { return one.poison == poison; });
}

std::vector<InputError> errors_of(const std::vector<PoisonedLine>& lines) {
  std::vector<InputError> errors;
  const auto add = [&](std::optional<std::int64_t> line, bool as_text) {
    InputError error{"invalid_request", "The request is not accepted by this model.", line, std::nullopt};
    error.line_as_text = as_text;
    error.asked_for = true;
    errors.push_back(std::move(error));
  };
  for (const auto& [poison, line] : lines) {
    if (poison == Poison::line || poison == Poison::string_line) add(line, poison == Poison::string_line);
  }
  if (any(lines, Poison::silent)) add(std::nullopt, false);
  return errors;
}

}  // namespace sim
