#include "stages/sent_lines.hpp"

#include "core/json_scan.hpp"
#include "core/request_line.hpp"

#include <algorithm>
#include <functional>
#include <limits>

namespace batchd {

void SentLines::feed(std::string_view bytes) {
  splitter_.feed(bytes, [this](const LineSplitter::Line& line) { take(line.text); });
}

void SentLines::end() {
  splitter_.end([this](const LineSplitter::Line& line) { take(line.text); });
  const auto before = [](const Line& a, const Line& b) { return a.id.request < b.id.request; };
  const auto twice = [](const Line& a, const Line& b) { return a.id.request == b.id.request; };
  std::stable_sort(lines_.begin(), lines_.end(), before);
  lines_.erase(std::unique(lines_.begin(), lines_.end(), twice), lines_.end());
}

void SentLines::take(std::string_view line) {
  const auto name = find_member(line, "custom_id");
  const auto id = name ? parse_custom_id(decode_json_string(*name)) : std::nullopt;
  if (!id) {
    damaged_ = true;
    return;
  }
  lines_.push_back({*id, std::hash<std::string_view>{}(line)});
  const auto body = find_member(line, "body");
  if (!body) return;
  if (model_.empty()) {
    if (const auto model = find_member(*body, "model")) model_ = decode_json_string(*model);
    if (const auto url = find_member(line, "url")) url_ = decode_json_string(*url);
  }
  if (!counter_) counter_.emplace(vocabulary_for(vocabularies_, model_), BodyKind{model_, url_});
  counter_->add(*body);
}

ShardContents SentLines::contents() const {
  MemberChunk chunk;
  for (const Line& line : lines_) {
    const std::int64_t id = line.id.request.value;
    if (!chunk.ranges.empty() && chunk.ranges.back().last + 1 == id) {
      chunk.ranges.back().last = id;
    } else {
      chunk.ranges.push_back({id, id});
    }
  }
  std::vector<MemberChunk> chunks;
  chunks.push_back(std::move(chunk));
  ShardContents contents;
  contents.members = Members(std::move(chunks));
  contents.decided = Bitmap(contents.members.size());
  return contents;
}

void SentLines::compare(RequestId request, std::string_view body) {
  const auto before = [](const Line& line, RequestId id) { return line.id.request < id; };
  const auto line = std::lower_bound(lines_.begin(), lines_.end(), request, before);
  if (line == lines_.end() || line->id.request != request) return;
  const LineTarget target{url_, model_, std::numeric_limits<Bytes>::max()};
  written_.clear();
  if (append_request_line(written_, line->id, target, body)) return;
  written_.pop_back();  // its newline
  line->same = std::hash<std::string_view>{}(written_) == line->digest;
}

std::vector<CustomId> SentLines::same() const {
  std::vector<CustomId> ids;
  for (const Line& line : lines_) {
    if (line.same) ids.push_back(line.id);
  }
  return ids;
}

}  // namespace batchd
