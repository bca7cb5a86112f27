// read_output_line, which scans, against a slow reading of the same line as a tree (PROTOCOL.md 7 and 13): same id, same
// verdict, same outcome, status and usage; the stored answer is a slice of the line, byte for byte, and the same JSON as the
// line's response.body; what is stored can be stored (JSON in UTF-8, no U+0000 in a plain text, numbers that add up).
#include "core/output_line.hpp"
#include "core/json_scan.hpp"
#include "harness.hpp"
#include "reference_json.hpp"

#include <algorithm>
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

/// A whole number from 0 to `most` as a number or as digits in a text. Nothing for a fraction: how exactly it is read is not
/// the tree's strength, and so it is not compared.
std::optional<std::int64_t> count_of(const json::value& value, std::int64_t most) {
  if (value.is_double()) return std::nullopt;
  std::int64_t count = value.is_int64() ? value.get_int64() : -1;
  if (const auto written = text(&value)) {
    if (written->find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
    const auto [end, error] = std::from_chars(written->data(), written->data() + written->size(), count);
    if (error != std::errc{}) count = -1;
  }
  return count >= 0 && count <= most ? count : -1;
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

/// True when nothing in it stands for U+0000 or for half a character, of which PostgreSQL makes no text.
bool without_odd_escapes(std::string_view valid) {
  return storable_json(valid) == valid;
}

void check_storable(const Settlement& settled) {
  const std::string& id = settled.provider_request_id;
  holds(valid_utf8(id) && id.find('\0') == std::string::npos, "the request's id can be stored");
  holds(settled.response.empty() || valid_json(settled.response), "the answer can be read again as JSON");
  holds(settled.error.empty() || (valid_json(settled.error) && valid_utf8(settled.error)), "and so can the error");
  holds(without_odd_escapes(settled.error), "and every text in it");
}

void check_usage(const json::value* body, const std::optional<Usage>& usage) {
  constexpr std::int64_t most = 1'000'000'000;
  const json::value* said = member(body, "usage");
  if (!said || !said->is_object()) return holds(!usage, "no usage comes from nowhere");
  Tokens input = -1;
  Tokens output = -1;
  for (const auto& [key, value] : said->get_object()) {  // in the line's order: of several the last one counts
    const bool of_input = key == "prompt_tokens" || key == "input_tokens";
    if (!of_input && key != "completion_tokens" && key != "output_tokens") continue;
    const auto count = count_of(value, most);
    if (!count)
      return holds(!usage || (usage->input >= 0 && usage->input <= most && usage->output <= most), "in any case a count");
    if (*count >= 0) (of_input ? input : output) = *count;
  }
  holds(usage.has_value() == (input >= 0 || output >= 0), "usage is read when there is one");
  if (usage)
    holds(usage->input == std::max<Tokens>(input, 0) && usage->output == std::max<Tokens>(output, 0), "and as it stands");
}

/// `raw` is the slice that `said` was read from.
void check_error(const Settlement& settled, const json::value* said, std::optional<std::string_view> raw) {
  const Reference stored = read_reference(settled.error);
  holds(stored.value && stored.value->is_object() && valid_utf8(settled.error), "a stored error is a JSON object in UTF-8");
  const auto code = text(member(&*stored.value, "code"));
  const auto message = text(member(&*stored.value, "message"));
  holds(code && !code->empty() && message && !message->empty(), "with a code and a message");
  if (!said || !said->is_object() || said->get_object().size() != count_members(*raw)) return;  // of several codes any will do
  if (const auto own = text(member(said, "code")); own && !own->empty() && own->find('\0') == std::string_view::npos) {
    holds(*code == *own, "the provider's own code");
  }
}

void check_answer(std::string_view line, const LineReading& reading, const json::value* response) {
  const Settlement& settled = reading.settlement;
  const int status = settled.status_code.value_or(-1);
  const json::value* written = member(response, "status_code");
  if (const auto count = written ? count_of(*written, 999) : -1)
    holds(status == std::max<std::int64_t>(*count, 0), "the line's status");
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
  std::string line = without_surrogates(input);  // for these have no tree
  const LineResult result = read_output_line(line);
  if (line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
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
