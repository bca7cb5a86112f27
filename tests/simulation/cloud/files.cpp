#include "simulation/cloud/files.hpp"

#include "core/json_scan.hpp"
#include "core/tokens.hpp"

#include <algorithm>
#include <charconv>

namespace batchd::simulation {
namespace {

struct Parts {
  std::string_view custom_id, method, url, body;
};

/// Nothing when it is not one JSON object.
std::optional<Parts> parts_of(std::string_view line) {
  Parts parts;
  JsonObjectReader reader(line);
  JsonMember member;
  while (reader.next(member)) {
    if (member.key == "custom_id") parts.custom_id = member.value;
    if (member.key == "method") parts.method = member.value;
    if (member.key == "url") parts.url = member.value;
    if (member.key == "body") parts.body = member.value;
  }
  if (!reader.ok()) return std::nullopt;
  return parts;
}

/// The raw value of a body's model, and in `rest` the body without that member: as producers wrote it.
std::string_view cut_model(std::string_view body, std::string& rest) {
  JsonObjectReader reader(body);
  JsonMember member;
  while (reader.next(member)) {
    if (member.key != "model") continue;
    auto from = static_cast<std::size_t>(member.key.data() - 1 - body.data());
    auto to = static_cast<std::size_t>(member.value.data() + member.value.size() - body.data());
    if (body[to] == ',') {
      ++to;
    } else if (body[from - 1] == ',') {
      --from;
    }
    rest.assign(body.substr(0, from)).append(body.substr(to));
    return member.value;
  }
  rest = body;
  return {};
}

std::string_view unquoted(std::string_view raw) {
  return is_json_string(raw) ? raw.substr(1, raw.size() - 2) : std::string_view{};
}

class InputReader {
 public:
  void take(std::string_view line) {
    ++number_;
    const auto parts = parts_of(line);
    if (!parts) return fault("invalid_json_line", "This line is not a JSON object.");
    if (!is_json_string(parts->custom_id) || unquoted(parts->method) != "POST" || !is_json_object(parts->body)) {
      return fault("invalid_request", "This line lacks a custom_id, a method or a body.");
    }
    InputLine& read = input_.lines.emplace_back();
    read.custom_id = unquoted(parts->custom_id);
    read.id = parse_custom_id(read.custom_id).value_or(CustomId{});
    const std::string_view model = unquoted(cut_model(parts->body, rest_));
    read.prompt = prompt_hash(rest_);
    read.tokens = estimate_tokens(rest_);
    input_.tokens += read.tokens;
    same(input_.deployment, model, "model_mismatch");
    same(input_.url, unquoted(parts->url), "url_mismatch");
    read.wish = wish_of(rest_);
    obey(read.wish);
  }

  Input finish() {
    if (number_ == 0) input_.errors.push_back({"empty_file", "The file has no requests.", std::nullopt});
    find_duplicates();
    return std::move(input_);
  }

 private:
  void fault(const char* code, const char* message) { input_.errors.push_back({code, message, number_}); }
  void same(std::string& known, std::string_view said, const char* code) {
    if (number_ == 1) {
      known = said;
    } else if (known != said) {
      fault(code, "This line differs from the first one.");
    }
  }
  void obey(BodyWish wish) {
    if (wish == BodyWish::poison) fault("invalid_request", "This request cannot be processed.");
    if (wish == BodyWish::poison_silent)
      input_.errors.push_back({"invalid_request", "A request cannot be processed.", std::nullopt});
    input_.poisons_create = input_.poisons_create || wish == BodyWish::poison_create;
    input_.poisons_upload = input_.poisons_upload || wish == BodyWish::poison_upload;
  }
  void find_duplicates() {
    std::vector<std::pair<std::string_view, std::int64_t>> ids;
    ids.reserve(input_.lines.size());
    for (const InputLine& line : input_.lines) ids.emplace_back(line.custom_id, static_cast<std::int64_t>(ids.size()) + 1);
    std::sort(ids.begin(), ids.end());
    for (std::size_t i = 1; i < ids.size(); ++i) {
      if (ids[i].first != ids[i - 1].first) continue;
      input_.errors.push_back({"duplicate_custom_id", "This custom_id stands on another line too.", ids[i].second});
    }
  }

  Input input_;
  std::int64_t number_ = 0;
  std::string rest_;
};

}  // namespace

Input read_input(std::string_view text) {
  InputReader reader;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    reader.take(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return reader.finish();
}

std::optional<std::size_t> number_of(std::string_view id, std::string_view prefix) {
  if (!id.starts_with(prefix)) return std::nullopt;
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(id.data() + prefix.size(), id.data() + id.size(), number);
  if (error != std::errc{} || end != id.data() + id.size()) return std::nullopt;
  return number;
}

const char* CloudFile::status(Milliseconds now) const {
  if (now >= processed_from) return end;
  return now >= running_from ? "running" : "pending";
}

CloudFile& Files::add(CloudFile file, Milliseconds created, Milliseconds skew) {
  file.shown.id.value = prefix_ + std::to_string(files_.size());
  file.shown.created_at = (created + skew).count() / 1000;
  return files_.emplace_back(std::move(file));
}

CloudFile* Files::find(const FileId& id) {
  const auto number = number_of(id.value, prefix_);
  return number && *number < files_.size() && files_[*number].shown.id == id ? &files_[*number] : nullptr;
}

}  // namespace batchd::simulation
