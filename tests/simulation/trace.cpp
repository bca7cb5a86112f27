#include "simulation/trace.hpp"

#include <cinttypes>
#include <cstdio>

namespace batchd::simulation {
namespace {

std::string text_of(const LogField& field) {
  std::string text(field.key);
  text += '=';
  if (const auto* string = std::get_if<std::string>(&field.value)) return text + *string;
  if (const auto* number = std::get_if<std::int64_t>(&field.value)) return text + std::to_string(*number);
  if (const auto* truth = std::get_if<bool>(&field.value)) return text + (*truth ? "yes" : "no");
  return text + std::to_string(std::get<double>(field.value));
}

}  // namespace

std::unique_ptr<Log> Trace::log(std::string who) {
  if (!out_) return std::make_unique<Log>(LogLevel::error, [](auto&&...) {});
  return std::make_unique<Log>(
      LogLevel::info,
      [this, name = std::move(who)](LogLevel, std::string_view event, std::initializer_list<LogField> fields, std::string_view) {
        std::string line(event);
        for (const LogField& field : fields) line += " " + text_of(field);
        write(name, line);
      },
      [this] { return std::chrono::steady_clock::time_point(world_.now()); });
}

void Trace::write(std::string_view who, std::string_view what) {
  char stamp[32];
  const std::int64_t us = world_.now().count();
  std::snprintf(stamp, sizeof stamp, "%8" PRId64 ".%03" PRId64 "  ", us / 1'000'000, us / 1000 % 1000);
  *out_ << stamp << who << std::string(who.size() < 10 ? 10 - who.size() : 1, ' ') << what << "\n";
}

}  // namespace batchd::simulation
