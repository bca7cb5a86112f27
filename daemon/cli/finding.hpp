// What `doctor` finds out: lines of ok, warn or fail, with what to do. Examiners fill them; the command prints and judges.
#pragma once

#include <string>
#include <vector>

namespace batchd {

struct Finding {
  enum class Level { ok, warn, fail };
  Level level = Level::ok;
  std::string subject;   ///< "database", "provider eastus"
  std::string sentence;  ///< what is the case, without a full stop
  std::string remedy;    ///< what to do about it; "" where nothing need be done
};

inline Finding fine(std::string subject, std::string sentence) {
  return {Finding::Level::ok, std::move(subject), std::move(sentence), ""};
}
inline Finding warning(std::string subject, std::string sentence, std::string remedy) {
  return {Finding::Level::warn, std::move(subject), std::move(sentence), std::move(remedy)};
}
inline Finding failure(std::string subject, std::string sentence, std::string remedy) {
  return {Finding::Level::fail, std::move(subject), std::move(sentence), std::move(remedy)};
}

using Findings = std::vector<Finding>;

}  // namespace batchd
