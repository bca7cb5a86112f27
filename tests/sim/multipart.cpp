#include "multipart.hpp"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace sim {
namespace {

constexpr std::size_t longest_head = 8 * 1024;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The value of `name=` among the parameters of a header such as `form-data; name="file"`.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  auto at = header.find(';');
  while (at != std::string_view::npos) {
    auto rest = trimmed(header.substr(at + 1));
    const auto equals = rest.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    const bool wanted = lower(trimmed(rest.substr(0, equals))) == name;
    rest = trimmed(rest.substr(equals + 1));
    std::string value;
    std::size_t end = 0;
    if (rest.starts_with('"')) {
      for (end = 1; end < rest.size() && rest[end] != '"'; ++end) {
        if (rest[end] == '\\' && end + 1 < rest.size()) ++end;
        value += rest[end];
      }
    } else {
      end = std::min(rest.find(';'), rest.size());
      value = trimmed(rest.substr(0, end));
    }
    if (wanted) return value;
    header = rest;
    at = rest.find(';', end);
  }
  return std::nullopt;
}

/// How many bytes at the end of `text` could be the beginning of `delimiter`.
std::size_t partial_match(std::string_view text, std::string_view delimiter) {
  for (std::size_t size = std::min(text.size(), delimiter.size() - 1); size > 0; --size) {
    if (text.substr(text.size() - size) == delimiter.substr(0, size)) return size;
  }
  return 0;
}

/// Like text.find(delimiter), by way of memchr on its '\r', which JSONL hardly ever has.
std::size_t find_delimiter(std::string_view text, std::string_view delimiter) {
  std::size_t from = 0;
  while (from < text.size()) {
    const auto* const hit = static_cast<const char*>(std::memchr(text.data() + from, '\r', text.size() - from));
    if (hit == nullptr) break;
    from = static_cast<std::size_t>(hit - text.data());
    if (text.substr(from, delimiter.size()) == delimiter) return from;
    ++from;
  }
  return std::string_view::npos;
}

}  // namespace

std::optional<std::string> MultipartReader::boundary_of(const std::string& content_type) {
  if (!lower(content_type).starts_with("multipart/form-data")) return std::nullopt;
  auto boundary = parameter(content_type, "boundary");
  if (!boundary || boundary->empty() || boundary->size() > 70) return std::nullopt;
  return boundary;
}

MultipartReader::MultipartReader(const std::string& boundary, Events events)
    : events_(std::move(events)), delimiter_("\r\n--" + boundary) {}

void MultipartReader::feed(std::string_view bytes) {
  // What was held back is a few bytes of a delimiter or a part's head; only then are bytes copied.
  std::string joined;
  if (held_.empty()) {
    rest_ = bytes;
  } else {
    joined = std::move(held_);
    joined.append(bytes);
    rest_ = joined;
  }
  held_.clear();
  while (step()) {
  }
  if (state_ != State::failed && state_ != State::finished) held_.assign(rest_);
}

bool MultipartReader::fail(std::string reason) {
  if (!error_) error_ = std::move(reason);
  state_ = State::failed;
  return false;
}

/// False when more bytes are needed, or none.
bool MultipartReader::step() {
  switch (state_) {
    case State::preamble:
      return read_preamble();
    case State::after_boundary:
      return read_after_boundary();
    case State::head:
      return read_head();
    case State::data:
      return read_data();
    default:
      return false;
  }
}

bool MultipartReader::read_preamble() {
  const std::string_view first = std::string_view(delimiter_).substr(2);
  if (rest_.size() < first.size()) return false;
  if (!rest_.starts_with(first)) return fail("The form does not begin with its boundary.");
  rest_.remove_prefix(first.size());
  state_ = State::after_boundary;
  return true;
}

bool MultipartReader::read_after_boundary() {
  if (rest_.size() < 2) return false;
  if (rest_.starts_with("--")) {
    state_ = State::finished;
    return false;
  }
  if (!rest_.starts_with("\r\n")) return fail("A boundary of the form is not followed by a line break.");
  rest_.remove_prefix(2);
  state_ = State::head;
  return true;
}

bool MultipartReader::read_head() {
  const auto end = rest_.find("\r\n\r\n");
  if (end == std::string_view::npos) return rest_.size() > longest_head ? fail("A part's head is longer than 8 KiB.") : false;
  PartHead head;
  bool is_form_data = false;
  for (auto lines = rest_.substr(0, end + 2); !lines.empty();) {
    const auto line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(line.size() + 2);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) return fail("A part's head has a line without a colon.");
    const auto name = lower(line.substr(0, colon));
    const auto value = trimmed(line.substr(colon + 1));
    if (name == "content-type") head.content_type = value;
    if (name != "content-disposition") continue;
    is_form_data = lower(value).starts_with("form-data");
    head.name = parameter(value, "name").value_or("");
    head.filename = parameter(value, "filename");
  }
  if (!is_form_data || head.name.empty()) return fail("A part lacks a Content-Disposition of form-data with a name.");
  rest_.remove_prefix(end + 4);
  // A part may be empty: then its closing delimiter's line break is the one that ended the head.
  state_ = State::data;
  events_.part(head);
  return true;
}

bool MultipartReader::read_data() {
  const auto end = find_delimiter(rest_, delimiter_);
  if (end != std::string_view::npos) {
    if (end > 0) events_.data(rest_.substr(0, end));
    rest_.remove_prefix(end + delimiter_.size());
    events_.end_of_part();
    state_ = State::after_boundary;
    return true;
  }
  const auto undecided = partial_match(rest_, delimiter_);
  const auto sure = rest_.substr(0, rest_.size() - undecided);
  if (!sure.empty()) events_.data(sure);
  rest_.remove_prefix(sure.size());
  return false;
}

}  // namespace sim
