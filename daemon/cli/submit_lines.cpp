#include "cli/submit_lines.hpp"

#include "cli/context.hpp"

namespace batchd {

bool SubmitLines::next(NewRequest& request) {
  while (reader_.next(line_)) {
    if (line_.find_first_not_of(" \t") == std::string::npos) continue;
    auto wrong =
        reader_.too_long() ? std::optional<std::string>("longer than 200 MB") : read_submit_line(line_, defaults_, request);
    if (wrong) throw BadLine("line " + std::to_string(reader_.number()) + ": " + *wrong);
    ++requests_;
    return true;
  }
  return false;
}

std::int64_t SubmitLines::complain(std::int64_t already) {
  std::int64_t bad = 0;
  for (NewRequest request;;) {
    try {
      if (!next(request)) break;
    } catch (const BadLine& error) {
      if (already + ++bad <= most_complaints) say(error.what());
    }
  }
  if (already + bad > most_complaints) say("… and " + grouped(already + bad - most_complaints) + " more");
  return bad;
}

}  // namespace batchd
