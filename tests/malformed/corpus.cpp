#include "malformed/corpus.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <optional>
#include <set>
#include <stdexcept>

namespace batchd::testing {
namespace {

const std::filesystem::path folder = BATCHD_MALFORMED_CASES;

const std::map<std::string_view, std::string_view> names{
    {"", ""},
    {"LT", "<"},
    {"NUL", {"\0", 1}},
    {"SP", " "},
    {"TAB", "\t"},
    {"LF", "\n"},
    {"CR", "\r"},
    {"CRLF", "\r\n"},
    {"BOM", "\xef\xbb\xbf"},
    {"LS", "\xe2\x80\xa8"},
    {"PS", "\xe2\x80\xa9"},
    {"NEL", "\xc2\x85"},
};

std::optional<std::string> hex_bytes(std::string_view text) {
  std::string bytes;
  for (; !text.empty(); text.remove_prefix(std::min<std::size_t>(text.size(), 3))) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + std::min<std::size_t>(text.size(), 2), value, 16);
    if (error != std::errc{} || end != text.data() + 2 || (text.size() > 2 && text[2] != ' ')) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string expanded(std::string_view text);

/// `10000*[`, `64M*a`, `3*{"a":`, `12*x<CRLF>`: K and M are 1024 and its square.
std::optional<std::string> repetition(std::string_view text) {
  std::size_t count = 0;
  const char* const end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc{} || at == end) return std::nullopt;
  if (*at == 'K') count <<= 10, ++at;
  if (*at == 'M') count <<= 20, ++at;
  if (*at != '*') return std::nullopt;
  const std::string piece = expanded({at + 1, static_cast<std::size_t>(end - at - 1)});
  const std::size_t size = count * piece.size();
  std::string out = piece.substr(0, size);
  out.reserve(size);
  while (out.size() < size) out.append(out, 0, size - out.size());  // twice as long each time: giants are many bytes
  return out;
}

/// Where the `>` stands that belongs to the `<` at `open`.
std::size_t matching(std::string_view text, std::size_t open) {
  int depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    if (text[at] == '<') ++depth;
    if (text[at] == '>' && --depth == 0) return at;
  }
  return std::string_view::npos;
}

std::string expanded(std::string_view text) {
  std::string out;
  for (;;) {
    const auto open = text.find('<');
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const auto close = matching(text, open);
    if (close == std::string_view::npos) throw std::runtime_error("a '<' without its '>': write <LT>");
    const std::string_view inner = text.substr(open + 1, close - open - 1);
    text.remove_prefix(close + 1);
    const auto named = names.find(inner);
    const auto bytes = named != names.end() ? std::optional(std::string(named->second)) : hex_bytes(inner);
    const auto piece = bytes ? bytes : repetition(inner);
    if (!piece) throw std::runtime_error("<" + std::string(inner) + "> is neither a name, nor bytes, nor a repetition");
    out += *piece;
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// Up to the next blank that stands outside of `<` and `>`.
std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  int depth = 0;
  const auto end = std::find_if(text.begin(), text.end(), [&depth](char c) {
    if (c == '<') ++depth;
    if (c == '>' && depth > 0) --depth;
    return depth == 0 && (c == ' ' || c == '\t');
  });
  const std::string_view word = text.substr(0, static_cast<std::size_t>(end - text.begin()));
  text = trimmed(text.substr(word.size()));
  return word;
}

class KindReader {
 public:
  explicit KindReader(MalformedKind& kind) : kind_(kind) {}

  void read(std::string_view line, int number) {
    std::string_view rest = trimmed(line);
    if (rest.empty() || rest.front() == '#') return;
    const std::string_view first = take_word(rest);
    if (first == "verdict") {
      const std::string_view word = take_word(rest);
      kind_.verdicts[std::string(word)] = rest;
    } else if (first == "let") {
      const std::string_view name = take_word(rest);
      if (take_word(rest) != "=") throw std::runtime_error("expected: let NAME = TEXT");
      fragments_.emplace_back("<$" + std::string(name) + ">", filled(rest));
    } else if (first == "prefixes") {
      const std::string_view name = take_word(rest);
      MalformedCase whole = read_case(name, rest, number);
      for (whole.cut = 1; whole.cut < expanded(whole.notation).size(); ++whole.cut) add(whole);
    } else {
      add(read_case(first, rest, number));
    }
  }

 private:
  MalformedCase read_case(std::string_view name, std::string_view rest, int number) {
    MalformedCase found;
    found.name = name;
    found.verdict = expanded(take_word(rest));
    found.notation = filled(rest);
    found.line = number;
    if (found.verdict.empty() || rest.empty()) throw std::runtime_error("expected: NAME VERDICT INPUT");
    if (!kind_.verdicts.contains(std::string(verdict_word(found.verdict)))) {
      throw std::runtime_error("the verdict '" + found.verdict + "' is not explained at the head of the file");
    }
    if (!seen_.insert(found.name).second) throw std::runtime_error("a second case of the name " + found.name);
    return found;
  }
  void add(MalformedCase found) {
    if (found.cut != std::string::npos) found.name += "[" + std::to_string(found.cut) + "]";
    kind_.cases.push_back(std::move(found));
  }
  std::string filled(std::string_view text) const {
    std::string out(text);
    for (const auto& [mark, value] : fragments_) {
      for (auto at = out.find(mark); at != std::string::npos; at = out.find(mark, at + value.size())) {
        out.replace(at, mark.size(), value);
      }
    }
    return out;
  }

  MalformedKind& kind_;
  std::vector<std::pair<std::string, std::string>> fragments_;
  std::set<std::string> seen_;
};

}  // namespace

std::string MalformedCase::input() const {
  return expanded(notation).substr(0, cut);
}

std::string_view verdict_word(std::string_view verdict) {
  return verdict.substr(0, verdict.find_first_of(":,"));
}

MalformedKind read_kind(const std::string& kind) {
  MalformedKind out;
  out.file = folder / (kind + ".txt");
  std::ifstream in(out.file);
  if (!in) throw std::runtime_error("cannot read " + out.file.string());
  KindReader reader(out);
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    try {
      reader.read(line, ++number);
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(out.file.string() + ":" + std::to_string(number) + ": " + error.what());
    }
  }
  return out;
}

std::vector<std::string> malformed_kinds() {
  std::vector<std::string> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) kinds.push_back(entry.path().stem().string());
  std::sort(kinds.begin(), kinds.end());
  return kinds;
}

void expect_verdicts(const std::string& kind, const std::function<std::string(const MalformedCase&)>& judge) {
  const MalformedKind read = read_kind(kind);
  ASSERT_FALSE(read.cases.empty());
  const char* const limit = std::getenv("BATCHD_MALFORMED_LARGEST");
  const std::size_t largest = limit != nullptr ? std::stoul(limit) : std::string::npos;
  std::size_t left_out = 0;
  for (const MalformedCase& tested : read.cases) {
    if (limit != nullptr && tested.input().size() > largest) {
      ++left_out;
      continue;
    }
    const std::string verdict = judge(tested);
    if (verdict == tested.verdict) continue;
    ADD_FAILURE_AT(read.file.c_str(), tested.line) << tested.name << " ends as " << verdict << ", not as " << tested.verdict;
  }
  if (left_out > 0) std::cout << kind << ": " << left_out << " larger than " << largest << " bytes left out\n";
}

}  // namespace batchd::testing
