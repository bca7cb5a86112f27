#include "cli/run_input.hpp"

#include "core/request_line.hpp"

namespace batchd {

RunInput::RunInput(const InputFile& file, SubmitDefaults defaults, std::function<void(const std::string&)> complain)
    : reader_(file.fd(), longest_input_line), defaults_(std::move(defaults)), complain_(std::move(complain)) {}

bool RunInput::next(InputLine& line) {
  while (reader_.next(text_)) {
    if (text_.find_first_not_of(" \t") == std::string::npos) continue;
    line.number = reader_.number();
    if (const auto wrong = what_is_wrong(line)) {
      ++bad_;
      complain_("line " + std::to_string(line.number) + ": " + *wrong);
      continue;
    }
    ++good_;
    return true;
  }
  return false;
}

std::optional<std::string> RunInput::what_is_wrong(InputLine& line) {
  if (reader_.too_long()) return "longer than 200 MB";
  if (auto wrong = read_submit_line(text_, defaults_, line.request)) return wrong;
  // What the daemon would refuse to send is known here already: only the provider's spelling of names is not.
  const LineTarget target{line.request.endpoint, line.request.model, static_cast<Bytes>(longest_input_line)};
  built_.clear();
  const CustomId any{};
  if (const auto rejection = append_request_line(built_, any, target, line.request.body)) return rejection->message;
  return std::nullopt;
}

}  // namespace batchd
