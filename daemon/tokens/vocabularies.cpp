#include "tokens/vocabularies.hpp"

#include "tokens/encoding.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace batchd {

std::string find_vocabulary_dir(const std::string& configured) {
  if (configured == "none") return "";
  if (!configured.empty()) return configured;
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error).parent_path();
  for (const fs::path& dir : {program / "../share/batchd/vocabulary", fs::path("/usr/local/share/batchd/vocabulary"),
                              fs::path("/usr/share/batchd/vocabulary"), program / "vocabulary"}) {
    if (fs::is_directory(dir, error)) return dir.lexically_normal().string();
  }
  return "";
}

std::unique_ptr<const Vocabulary> Vocabularies::load(Encoding encoding) const {
  if (dir_.empty()) return nullptr;
  const std::string file = dir_ + "/" + std::string(to_string(encoding)) + ".tiktoken";
  try {
    std::ifstream in(file, std::ios::binary);
    if (!in) throw std::runtime_error("it cannot be read");
    std::ostringstream text;
    text << in.rdbuf();
    return std::make_unique<const Vocabulary>(encoding, text.view());
  } catch (const std::exception& error) {
    if (complain_) complain_(file + ": " + error.what());
    return nullptr;
  }
}

const Vocabulary* Vocabularies::get(Encoding encoding) const {
  Entry& entry = entries_[static_cast<std::size_t>(encoding)];
  std::call_once(entry.tried, [&] { entry.vocabulary = load(encoding); });
  return entry.vocabulary.get();
}

const Vocabulary* vocabulary_for(const Vocabularies* vocabularies, std::string_view model) {
  return vocabularies ? vocabularies->get(encoding_of(model)) : nullptr;
}

}  // namespace batchd
