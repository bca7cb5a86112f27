// Answers of token services (PROTOCOL.md 14): a token that is taken can stand in a header and lives between nothing and 30 days;
// an answer without one is a failure that can be shown, is bounded, passes by itself when the service says that it is busy, and
// never repeats the secret that was sent. Input: service, status and a header as FuzzedDataProvider takes them; the body.
#include "harness.hpp"
#include "provider/token.hpp"
#include "reference_text.hpp"
#include "runtime/retry_after.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>

namespace batchd::fuzz {

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const auto service = data.ConsumeBool() ? TokenService::machine : TokenService::login;
  const int status = data.ConsumeIntegralInRange<int>(200, 599);
  HttpHeaders headers;
  if (data.ConsumeBool()) headers.emplace_back("Retry-After", data.ConsumeRandomLengthString(40));
  const std::string body = data.ConsumeRemainingBytesAsString();
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1'790'000'000)};
  if (const auto token = parse_token(body, now)) {
    const std::string& text = token->text;
    holds(!text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; }),
          "it can stand in a header");
    holds(token->life.count() >= 0 && token->life <= std::chrono::hours(30 * 24), "it does not live for ever");
  }
  const std::string secret = "kT9~zQ4w";
  const TokenFailure failure = token_failure(service, status, headers, body, secret, now);
  holds(failure.status == status && shown_on_one_line(failure.code) && shown_on_one_line(failure.message),
        "a failure can be shown");
  holds(!failure.message.empty() && failure.message.size() <= 500 && failure.code.size() <= 500, "and is bounded");
  holds(failure.message.find(secret) == std::string::npos && failure.code.find(secret) == std::string::npos,
        "it tells no secret");
  if (status == 408 || status == 429 || status >= 500 || status / 100 == 2)
    holds(!failure.lasting, "a busy service is asked again");
  holds(!failure.retry_after || (failure.retry_after->count() >= 0 && *failure.retry_after <= retry_after_cap),
        "after at most a day");
}

}  // namespace batchd::fuzz
