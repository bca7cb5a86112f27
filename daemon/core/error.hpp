// How a provider call can fail, in the only terms that decide what happens next.
#pragma once

#include "core/types.hpp"

#include <boost/system/result.hpp>

#include <optional>
#include <string>

namespace batchd {

/// What a failed call means for the caller. The adapter decides it once; stages never look at status codes.
enum class ErrorKind {
  not_sent,   ///< nothing left this machine (DNS, connect, TLS handshake): the effect certainly did not happen
  unknown,    ///< the request left and no readable answer came (cut, time-out, 408, 5xx, 2xx without an id): it may have happened
  throttled,  ///< 429 or an equivalent: did not happen, try again after `retry_after`
  quota,      ///< the enqueued-token quota is full (`token_limit_exceeded`): did not happen, wait for room
  not_ready,  ///< the input file is pending or not visible yet: did not happen, try again soon
  file_slots,  ///< the provider holds too many files: did not happen, files must be deleted first
  account,     ///< 401, 403, unknown deployment, out of credit: nothing on this lane can work until someone acts
  not_found,   ///< the named file or batch does not exist (404)
  cut_short,   ///< a file ended before the length that its provider gives, or inside a line: it is there
  conflict,    ///< 409: the object's state does not permit it; read it again
  permanent,   ///< any other well-formed 4xx: did not happen, and never will in this form
};

struct ProviderError {
  ErrorKind kind = ErrorKind::unknown;
  int status = 0;                           ///< HTTP status, 0 when there was no answer
  std::string code;                         ///< the provider's error code, "" when it gave none
  std::string message;                      ///< one line for people, never a secret or a prompt
  std::optional<Milliseconds> retry_after;  ///< as asked by the provider, already capped
};

template <class T>
using ProviderResult = boost::system::result<T, ProviderError>;

/// Lets boost::system::result<T, ProviderError>::value() throw something readable.
[[noreturn]] void throw_exception_from_error(const ProviderError& error, const boost::source_location& where);

std::string_view to_string(ErrorKind kind);

}  // namespace batchd
