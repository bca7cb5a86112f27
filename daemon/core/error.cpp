#include "core/error.hpp"

#include <boost/throw_exception.hpp>

#include <stdexcept>

namespace batchd {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_sent:
      return "not_sent";
    case ErrorKind::unknown:
      return "unknown";
    case ErrorKind::throttled:
      return "throttled";
    case ErrorKind::quota:
      return "quota";
    case ErrorKind::not_ready:
      return "not_ready";
    case ErrorKind::file_slots:
      return "file_slots";
    case ErrorKind::account:
      return "account";
    case ErrorKind::not_found:
      return "not_found";
    case ErrorKind::cut_short:
      return "cut_short";
    case ErrorKind::conflict:
      return "conflict";
    case ErrorKind::permanent:
      return "permanent";
  }
  return "unknown";
}

void throw_exception_from_error(const ProviderError& error, const boost::source_location& where) {
  boost::throw_exception(std::runtime_error(std::string(to_string(error.kind)) + ": " + error.message), where);
}

}  // namespace batchd
