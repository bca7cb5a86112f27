// The frame of an upload, read back by a parser that follows RFC 7578: the same fields in the same order, then the file under its
// name, then the end; no name, value or file name can break out of its place. Input: texts, each as FuzzedDataProvider ends one.
#include "runtime/multipart.hpp"
#include "harness.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <optional>

namespace batchd::fuzz {
namespace {

constexpr std::string_view boundary = "batchd-0123456789abcdefghijklmnopqrstuv";

struct Part {
  std::string header;
  std::string content;
};

/// The parts of a body between its delimiters, nothing when it is no multipart body.
std::optional<std::vector<Part>> parts_of(std::string_view body) {
  const std::string first = "--" + std::string(boundary);
  const std::string delimiter = "\r\n" + first;
  if (!body.starts_with(first)) return std::nullopt;
  body.remove_prefix(first.size());
  std::vector<Part> parts;
  while (body.starts_with("\r\n")) {
    const auto head = body.find("\r\n\r\n");
    const auto end = body.find(delimiter, head == std::string_view::npos ? 0 : head + 2);
    if (head == std::string_view::npos || end == std::string_view::npos) return std::nullopt;
    const auto content = std::min(head + 4, end);
    parts.push_back({std::string(body.substr(2, head - 2)), std::string(body.substr(content, end - content))});
    body.remove_prefix(end + delimiter.size());
  }
  if (body != "--\r\n") return std::nullopt;
  return parts;
}

std::string undone(std::string_view quoted) {
  std::string out(quoted);
  for (const auto& [from, to] : {std::pair{"%22", "\""}, {"%0D", "\r"}, {"%0A", "\n"}}) {
    for (auto at = out.find(from); at != std::string::npos; at = out.find(from, at + 1)) out.replace(at, 3, to);
  }
  return out;
}

/// The value of a parameter up to its closing quote, which nothing inside can be.
std::string parameter(std::string_view header, std::string_view name) {
  const std::string opening = "; " + std::string(name) + "=\"";
  const auto from = header.find(opening);
  if (from == std::string_view::npos) return "(none)";
  const auto begin = from + opening.size();
  return std::string(header.substr(begin, header.find('"', begin) - begin));
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  std::vector<std::pair<std::string, std::string>> fields;
  for (int i = data.ConsumeIntegralInRange<int>(0, 3); i > 0; --i) {
    std::string name = data.ConsumeRandomLengthString(30);
    fields.emplace_back(std::move(name), data.ConsumeRandomLengthString(60));
  }
  const std::string filename = data.ConsumeRandomLengthString(60);
  const std::string bytes = data.ConsumeRemainingBytesAsString();
  if (input.find(boundary) != std::string_view::npos) return;  // 32 random letters do not occur
  const MultipartFrame frame = make_multipart(fields, "file", filename, "application/jsonl", boundary);
  holds(frame.content_type == "multipart/form-data; boundary=" + std::string(boundary), "the boundary is announced");
  const auto parts = parts_of(frame.head + bytes + frame.tail);
  holds(parts && parts->size() == fields.size() + 1, "as many parts as fields, and the file");
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const Part& part = (*parts)[i];
    holds(part.content == fields[i].second, "a field has its value");
    holds(undone(parameter(part.header, "name")) == undone(fields[i].first), "and its name");
    holds(part.header.find_first_of("\r\n") == std::string::npos, "on one line");
  }
  const Part& file = parts->back();
  holds(file.content == bytes && parameter(file.header, "name") == "file", "the file is whole");
  holds(undone(parameter(file.header, "filename")) == undone(filename), "under its name");
  holds(file.header.ends_with("\r\nContent-Type: application/jsonl"), "with its type");
}

}  // namespace batchd::fuzz
