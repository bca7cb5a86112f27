#include "provider/classify.hpp"

#include "core/lowered.hpp"
#include "provider/printable.hpp"
#include "provider/wire.hpp"
#include "runtime/retry_after.hpp"

#include <algorithm>
#include <array>
#include <initializer_list>

namespace batchd {
namespace {

/// An answer, ready to be asked what it says. Codes and texts are compared in lower case: their case varies (2.3, 9).
class Refusal {
 public:
  Refusal(Operation operation, int status, const ErrorBody& error, bool has_body)
      : operation_(operation),
        status_(status),
        readable_(error.readable),
        has_body_(has_body),
        code_(lowered(error.code)),
        inner_code_(lowered(error.inner_code)),
        text_(code_ + ' ' + inner_code_ + ' ' + lowered(error.type) + ' ' + lowered(error.message)) {}

  ErrorKind kind() const {
    if (status_ / 100 == 2) return names_an_object() && says_gone() ? ErrorKind::not_found : ErrorKind::unknown;
    if (status_ == 408 || status_ >= 500) return ErrorKind::unknown;
    if (status_ < 300) return ErrorKind::unknown;  // no status that ends a call
    if (status_ < 400) return ErrorKind::account;  // a redirect: the endpoint is not the provider's own
    if (operation_ == Operation::create_batch && says_quota()) return ErrorKind::quota;
    if (operation_ == Operation::create_batch && says_file_not_ready()) return ErrorKind::not_ready;
    if (operation_ == Operation::upload && says_too_many_files()) return ErrorKind::file_slots;
    if (says_account()) return ErrorKind::account;
    if (status_ == 404 || status_ == 410) return kind_of_404();
    if (status_ == 409 || (operation_ == Operation::cancel_batch && is_code({"conflict", "unexpectedentitystate"}))) {
      return ErrorKind::conflict;
    }
    if (status_ == 429 || is_code({"quotaexceeded", "toomanyrequests", "rate_limit_exceeded"})) return ErrorKind::throttled;
    if (status_ == 413 || status_ == 431) return ErrorKind::permanent;
    // Not the provider's own words: some proxy's page. Nothing follows from it about what the provider did.
    return readable_ ? ErrorKind::permanent : ErrorKind::unknown;
  }

 private:
  bool says(std::string_view words) const { return text_.find(words) != std::string::npos; }
  bool is_code(std::initializer_list<std::string_view> codes) const {
    return std::any_of(codes.begin(), codes.end(), [this](auto code) { return code_ == code || inner_code_ == code; });
  }
  bool names_an_object() const {
    return operation_ == Operation::retrieve_batch || operation_ == Operation::cancel_batch ||
           operation_ == Operation::retrieve_file || operation_ == Operation::download || operation_ == Operation::delete_file;
  }
  /// A batch past its retention answers 200 with an error object (6).
  bool says_gone() const {
    return readable_ &&
           (is_code({"404", "notfound", "not_found"}) || says("not found") || says("no such") || says("does not exist"));
  }
  /// In the code, the message or the inner error; the shape is not documented (11).
  bool says_quota() const {
    return says("token_limit_exceeded") || says("enqueued token limit") || (is_code({"quotaexceeded"}) && says("token"));
  }
  /// "input file '…' is in 'pending' state; only files with status 'Processed' are accepted" (2.3), or not visible yet.
  bool says_file_not_ready() const {
    if (says("cannot find file")) return true;
    const bool unfinished = says("pending") || says("running") || says("not processed");
    return says("file") && unfinished && (says("state") || says("status") || says("processed"));
  }
  bool says_too_many_files() const {
    if (is_code({"quotaexceeded"})) return true;
    const bool many = says("number of files") || says("too many files") || says("file count") || says("storage");
    return many && (says("limit") || says("exceed") || says("maximum") || says("quota"));
  }
  bool says_account() const {
    if (status_ == 401 || status_ == 402 || status_ == 403 || status_ == 405 || status_ == 407) return true;
    if (is_code({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated",
                 "invalid_api_key", "unauthorized", "forbidden", "model_not_found", "deploymentnotfound",
                 "invalid_organization"})) {
      return true;
    }
    if (says("insufficient_quota") || says("billing") || says("api version") || says("api-version")) return true;
    const bool missing = says("not exist") || says("not found") || says("not be found");
    return missing && (says("deployment") || says("the model"));
  }
  ErrorKind kind_of_404() const {
    if (!names_an_object()) return ErrorKind::account;  // the collection itself is missing: wrong endpoint or api-version
    // An unreadable body is some proxy's page; no body at all may well be the provider's own 404.
    return readable_ || !has_body_ ? ErrorKind::not_found : ErrorKind::unknown;
  }

  Operation operation_;
  int status_;
  bool readable_;
  bool has_body_;
  std::string code_;
  std::string inner_code_;
  std::string text_;
};

std::string describe(int status, const ErrorBody& error, std::string_view body) {
  if (!error.message.empty()) return error.message;
  if (!error.code.empty()) return error.code;
  std::string out = "HTTP ";
  out += std::to_string(status);
  if (status / 100 == 2) {
    out += " without a usable body";
  } else if (body.empty()) {
    out += " without a body";
  }
  if (!body.empty()) {
    out += ": ";
    out += body.substr(0, 200);
  }
  return out;
}

/// A server may know better than its status what another try is good for, and the official clients believe it (13). What may have
/// happened stays unknown, and what waits for something else (room, a file, a person) goes on waiting for that.
ErrorKind overruled(ErrorKind kind, std::optional<bool> should_retry) {
  const bool final = kind == ErrorKind::permanent || kind == ErrorKind::conflict || kind == ErrorKind::not_found;
  if (should_retry == true && final) return ErrorKind::throttled;
  if (should_retry == false && kind == ErrorKind::throttled) return ErrorKind::account;
  return kind;
}

std::string describe_redirect(int status, const HttpHeaders& headers) {
  const std::string_view target = find_header(headers, "location").value_or("nowhere");
  const std::string shown(target.substr(0, std::min(target.find_first_of("?#"), target.size())));
  return "HTTP " + std::to_string(status) + ", a redirect to " + printable_message(shown, "") +
         ", which is not followed: credentials go to the endpoint only";
}

}  // namespace

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::upload:
      return "upload";
    case Operation::create_batch:
      return "create_batch";
    case Operation::retrieve_batch:
      return "retrieve_batch";
    case Operation::list_batches:
      return "list_batches";
    case Operation::cancel_batch:
      return "cancel_batch";
    case Operation::retrieve_file:
      return "retrieve_file";
    case Operation::download:
      return "download";
    case Operation::delete_file:
      return "delete_file";
    case Operation::list_files:
      return "list_files";
  }
  return "unknown";
}

std::optional<bool> should_retry(const HttpHeaders& headers) {
  const auto said = find_header(headers, "x-should-retry");
  if (said == "true") return true;
  if (said == "false") return false;
  return std::nullopt;
}

ProviderError classify(Operation operation, int status, const HttpHeaders& headers, std::string_view body,
                       std::chrono::system_clock::time_point now) {
  const ErrorBody said = parse_error_body(body);
  ProviderError error;
  error.kind = overruled(Refusal(operation, status, said, !body.empty()).kind(), should_retry(headers));
  error.status = status;
  error.code = printable_message(said.code.empty() ? said.inner_code : said.code, "");
  error.message = printable_message(describe(status, said, body), "");
  error.retry_after = parse_retry_after(headers, now);
  if (status / 100 == 3) error.message = describe_redirect(status, headers);
  return error;
}

}  // namespace batchd
