// classify() on any status, any operation, any body: what P2 hangs on (a POST whose answer is a 408, a 5xx or a 2xx without an id
// is never taken for refused, and an unreadable body says nothing about what the provider did), and that what it tells people
// can be shown, stored and is bounded. Input: operation, status and two headers as FuzzedDataProvider takes them; the body.
#include "harness.hpp"
#include "provider/classify.hpp"
#include "provider/wire.hpp"
#include "reference_text.hpp"
#include "runtime/retry_after.hpp"

#include <fuzzer/FuzzedDataProvider.h>

namespace batchd::fuzz {
namespace {

bool about_an_object(Operation operation) {
  return operation == Operation::retrieve_batch || operation == Operation::cancel_batch ||
         operation == Operation::retrieve_file || operation == Operation::download || operation == Operation::delete_file;
}

void check_kind(Operation operation, int status, const ErrorBody& said, ErrorKind kind) {
  holds(kind != ErrorKind::not_sent, "an answer is no proof that nothing was sent");
  const bool open = status == 408 || status >= 500 || status / 100 == 2;
  if (open && !about_an_object(operation)) holds(kind == ErrorKind::unknown, "it may have happened");
  if (open) holds(kind == ErrorKind::unknown || kind == ErrorKind::not_found, "it may have happened, unless the object is gone");
  if (kind == ErrorKind::quota || kind == ErrorKind::not_ready)
    holds(operation == Operation::create_batch, "only a create can say so");
  if (kind == ErrorKind::file_slots) holds(operation == Operation::upload, "only an upload can say so");
  if (kind == ErrorKind::not_found) holds(about_an_object(operation), "only what was named can be missing");
  if (kind == ErrorKind::permanent) {
    holds(said.readable || status == 413 || status == 431, "only the provider's own words refuse for ever");
  }
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  const auto operation = static_cast<Operation>(data.ConsumeIntegralInRange<int>(0, static_cast<int>(Operation::list_files)));
  const int status = data.ConsumeIntegralInRange<int>(200, 599);
  HttpHeaders headers;
  if (data.ConsumeBool()) headers.emplace_back("Retry-After", data.ConsumeRandomLengthString(40));
  if (data.ConsumeBool()) headers.emplace_back("retry-after-ms", data.ConsumeRandomLengthString(20));
  const std::string body = data.ConsumeRemainingBytesAsString();
  const ErrorBody said = parse_error_body(body);
  holds(said.readable || (said.code.empty() && said.message.empty() && said.type.empty() && said.inner_code.empty()),
        "what cannot be read says nothing");
  const std::chrono::system_clock::time_point now{std::chrono::seconds(1'790'000'000)};
  const ProviderError error = classify(operation, status, headers, body, now);
  check_kind(operation, status, said, error.kind);
  holds(error.status == status, "the status is the answer's");
  holds(shown_on_one_line(error.code) && shown_on_one_line(error.message), "code and message can be shown");
  holds(error.code.size() <= 500 && error.message.size() <= 500, "and are bounded");
  holds(!error.retry_after || (error.retry_after->count() >= 0 && *error.retry_after <= retry_after_cap), "so is the wait");
}

}  // namespace batchd::fuzz
