// read_output_line, which scans, against a slow reading of the same line as a tree (PROTOCOL.md 7 and 13): same id, same
// verdict, same outcome, status and usage; the stored answer is a slice of the line, byte for byte, and the same JSON as the
// line's response.body; what is stored can be stored (JSON in UTF-8, no U+0000 in a plain text, numbers that add up).
#include "core/output_line.hpp"
#include "core/json_scan.hpp"
#include "harness.hpp"
#include "reference_json.hpp"

#include <array>
#include <charconv>

namespace batchd::fuzz {
namespace {

namespace json = boost::json;

/// Absent and null are one.
const json::value* member(const json::value* of, std::string_view name) {
  const json::object* object = of ? of->if_object() : nullptr;
  const json::value* found = object ? object->if_contains(name) : nullptr;
  return found && !found->is_null() ? found : nullptr;
}

std::optional<std::string_view> text(const json::value* value) {
  if (!value || !value->is_string()) return std::nullopt;
  return std::string_view(value->get_string());
}

int status_of(const json::value* value) {
  std::int64_t status = 0;
  if (value && value->is_int64()) status = value->get_int64();
  if (const auto written = text(value)) {
    const auto [end, error] = std::from_chars(written->data(), written->data() + written->size(), status);
    if (error != std::errc{} || end != written->data() + written->size()) status = 0;
  }
  return status >= 0 && status < 1000 ? static_cast<int>(status) : 0;
}

bool about_account(const json::value* error) {
  for (const char* name : {"code", "type"}) {
    const auto code = text(member(error, name));
    for (const char* word : {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated"}) {
      if (code == word) return true;
    }
  }
  return false;
}

/// The last of the members of either name that is a plausible count.
std::optional<Tokens> count_of(const json::value* usage, std::string_view name, std::string_view other_name) {
  std::optional<Tokens> found;
  for (const auto& [key, value] : usage->get_object()) {
    const bool plausible = value.is_int64() && value.get_int64() >= 0 && value.get_int64() <= most_tokens;
    if ((key == name || key == other_name) && plausible) found = value.get_int64();
  }
  return found;
}

void check_storable(const Settlement& settled) {
  const std::string& id = settled.provider_request_id;
  holds(valid_utf8(id) && id.find('\0') == std::string::npos, "the request's id can be stored");
  holds(settled.response.empty() || valid_json(settled.response), "the answer can be read again as JSON");
  holds(settled.error.empty() || (valid_json(settled.error) && valid_utf8(settled.error)), "and so can the error");
}

void check_usage(const json::value* body, const std::optional<Usage>& usage) {
  const json::value* said = member(body, "usage");
  if (!said || !said->is_object()) return holds(!usage, "no usage comes from nowhere");
  const auto input = count_of(said, "prompt_tokens", "input_tokens");
  const auto output = count_of(said, "completion_tokens", "output_tokens");
  holds(usage.has_value() == (input || output), "usage is read when there is one");
  if (usage) holds(usage->input == input.value_or(0) && usage->output == output.value_or(0), "and as it stands");
}

/// `raw` is the slice that `said` was read from.
void check_error(const Settlement& settled, const json::value* said, std::optional<std::string_view> raw) {
  const Reference stored = read_reference(settled.error);
  holds(stored.value && stored.value->is_object() && valid_utf8(settled.error), "a stored error is a JSON object in UTF-8");
  const auto code = text(member(&*stored.value, "code"));
  const auto message = text(member(&*stored.value, "message"));
  holds(code && !code->empty() && message && !message->empty(), "with a code and a message");
  if (!said || !said->is_object() || said->get_object().size() != count_members(*raw)) return;  // of several codes any will do
  if (const auto own = text(member(said, "code")); own && !own->empty()) holds(*code == *own, "the provider's own code");
}

void check_answer(std::string_view line, const LineReading& reading, const json::value* response) {
  const Settlement& settled = reading.settlement;
  const int status = status_of(member(response, "status_code"));
  holds(settled.status_code == status, "the status is the line's");
  const json::value* body = member(response, "body");
  const bool answered = body && body->is_object() && !body->get_object().empty();
  holds(settled.response.empty() == !answered, "an answer is kept when there is one");
  if (answered) {
    holds(line.find(settled.response) != std::string_view::npos, "the answer is a slice of the line");
    holds(read_reference(settled.response).value == *body, "the answer is response.body");
  }
  check_usage(answered ? body : nullptr, settled.usage);
  const bool good = status >= 200 && status < 300;
  holds((reading.verdict == Verdict::success) == (good && answered), "a success is a 2xx with an answer");
  holds((settled.outcome == Outcome::succeeded) == (good && answered), "and nothing else has succeeded");
  if (good) return;
  const json::value* error = answered ? member(body, "error") : nullptr;
  const bool account = about_account(error);
  const bool passing = status < 400 || status == 408 || status == 409 || status == 429 || status >= 500;
  holds(reading.account == account, "an account's failure is known as one");
  holds(reading.verdict == (account   ? Verdict::free_retry
                            : passing ? Verdict::retry
                                      : Verdict::permanent),
        "the verdict is the status's");
  check_error(settled, error, find_member(settled.response, "error"));
}

void check_failure(std::string_view line, const LineReading& reading, const json::value* error) {
  const auto code = text(member(error, "code"));
  const bool free = about_account(error) || code == "batch_cancelled";
  holds(reading.verdict == (free ? Verdict::free_retry : Verdict::retry), "a line without an answer goes round again");
  holds((reading.settlement.outcome == Outcome::expired) == (code == "batch_expired"), "it expires when it says so");
  holds(reading.settlement.response.empty() && reading.settlement.outcome != Outcome::succeeded, "it is no answer");
  check_error(reading.settlement, error, find_member(line, "error"));
}

}  // namespace

void check(std::string_view input) {
  if (const LineResult result = read_output_line(input); result.reading) check_storable(result.reading->settlement);
  const std::string line = without_surrogates(input);  // for these have no tree
  const LineResult result = read_output_line(line);
  const Reference reference = read_reference(line);
  if (!reference.comparable) return;
  const json::value* tree = reference.value ? &*reference.value : nullptr;
  const auto custom_id = text(tree && tree->is_object() ? tree->get_object().if_contains("custom_id") : nullptr);
  if (!reference_utf8(line) || !custom_id) {
    return holds(!result.reading && result.fault == LineFault::corrupt, "what is no line is corrupt");
  }
  const auto id = parse_custom_id(*custom_id);
  holds(result.reading.has_value() == id.has_value(), "a line is read when its id is ours");
  if (!id) return holds(result.fault == LineFault::foreign, "and foreign otherwise");
  const LineReading& reading = *result.reading;
  holds(reading.id == *id && reading.settlement.request == id->request, "the id is the line's");
  const json::value* response = member(tree, "response");
  if (response && response->is_object()) {
    check_answer(line, reading, response);
  } else {
    check_failure(line, reading, member(tree, "error"));
  }
}

}  // namespace batchd::fuzz
