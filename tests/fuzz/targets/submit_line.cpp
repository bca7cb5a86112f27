// A file given to `submit` or `run`, line by line, up to the line that would be sent: a line is taken or there is a sentence
// about it, never an exception; what is taken can be stored and its body is a slice of the line and a JSON object; the line that
// is sent for it, submitted in turn, is the same request. Input: the file.
#include "cli/submit_line.hpp"
#include "cli/line_reader.hpp"
#include "core/json_scan.hpp"
#include "core/request_line.hpp"
#include "harness.hpp"
#include "memory_file.hpp"
#include "reference_text.hpp"

#include <algorithm>

namespace batchd::fuzz {
namespace {

constexpr std::size_t longest = 3000;

/// With the model as it is, a body is sent as it is, but for the model's spelling.
void check_sent_again(const NewRequest& request) {
  std::string line;
  const LineTarget target{"/v1/chat/completions", request.model, 1'000'000};
  if (const auto rejection = append_request_line(line, CustomId{RequestId{7}, 1}, target, request.body)) {
    return holds(rejection->code == "streaming_not_supported" && line.empty(), "an object is only refused for what it asks");
  }
  line.pop_back();
  NewRequest again;
  // A line is one level deeper than its body.
  if (std::count_if(line.begin(), line.end(), [](char c) { return c == '[' || c == '{'; }) > 500) return;
  holds(!read_submit_line(line, {}, again), "a line that is sent could be submitted");
  holds(again.key == "7-1" && again.endpoint == "/v1/chat/completions", "under its id");
  holds(again.model == request.model, "for the same model");
  std::string once_more;
  holds(!append_request_line(once_more, CustomId{RequestId{7}, 1}, target, again.body), "and be sent again");
  holds(once_more == line + '\n', "as the same line");
}

void check_taken(std::string_view line, const NewRequest& request) {
  holds(line.find(request.body) != std::string_view::npos, "a body is a slice of the line");
  holds(request.body.front() == '{' && request.body.back() == '}', "without what stands around it");
  holds(is_json_object(request.body) && valid_json(request.body) && reference_utf8(request.body), "and a JSON object in UTF-8");
  holds(storable(request.model) && !request.model.empty() && request.model.size() <= 200, "a model can be stored");
  holds(storable(request.endpoint) && request.endpoint.size() <= 200, "an endpoint can be stored");
  holds(!request.key || (storable(*request.key) && !request.key->empty() && request.key->size() <= 512), "a key can be stored");
  check_sent_again(request);
}

}  // namespace

void check(std::string_view input) {
  static const MemoryFile file;
  file.fill(input);
  LineReader reader(file.fd(), longest);
  std::string line;
  while (reader.next(line)) {
    holds(line.size() <= longest, "a line is kept within its bound");
    if (reader.too_long()) continue;
    NewRequest request;
    const SubmitDefaults defaults{"a-model", ""};
    const auto wrong = read_submit_line(line, defaults, request);
    if (wrong) {
      holds(!wrong->empty() && shown_on_one_line(*wrong), "what is wrong is a sentence");
    } else {
      check_taken(line, request);
    }
  }
}

}  // namespace batchd::fuzz
