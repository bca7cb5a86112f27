// Bearer tokens as token services give them: the port to such a service, and the reading of its answers (PROTOCOL.md 14).
// A source makes one exchange when it is asked and keeps nothing; when to ask, and what to keep, is the cache's affair.
#pragma once

#include "core/types.hpp"
#include "runtime/http.hpp"
#include "runtime/task.hpp"

#include <boost/system/result.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace batchd {

struct Token {
  std::string text;
  Milliseconds life{};  ///< from the moment when the exchange began
};

/// Why an exchange gave no token.
struct TokenFailure {
  bool called = true;    ///< false: the service was not even asked, for want of anything to prove oneself with
  bool lasting = false;  ///< true: nothing will change until someone acts; false: worth another try soon
  int status = 0;        ///< of the answer, 0 when there was none
  std::string code;      ///< `AADSTS7000215`, or the service's `error`; "" when it named none
  std::string message;   ///< one line for people, without secret or token
  std::optional<Milliseconds> retry_after;
};
[[noreturn]] void throw_exception_from_error(const TokenFailure& failure, const boost::source_location& where);

using TokenResult = boost::system::result<Token, TokenFailure>;

class TokenSource {
 public:
  virtual ~TokenSource() = default;
  /// One exchange, at most about ten seconds long.
  virtual Task<TokenResult> fetch() = 0;
  /// True when what the source proves itself with (a secret's or an assertion's file) has changed since it was last asked.
  virtual bool proof_changed() { return false; }
};

/// Reads a 200: `access_token` with `expires_in` or `expires_on`, each a number or a text. Nothing when it has no token that
/// can stand in a header. Without a readable time the token counts as good for five minutes.
std::optional<Token> parse_token(std::string_view body, std::chrono::system_clock::time_point now);

/// The two services differ in what passes by itself: at the login a 404 is a wrong address, at the machine's identity
/// endpoint 404 and 410 mean that it is starting or being upgraded (14.5).
enum class TokenService { login, machine };

/// Judges an answer without a token, by its status, `error` and `error_codes`, never by its description. `secret` is blotted
/// out of the description should it be repeated there.
TokenFailure token_failure(TokenService service, int status, const HttpHeaders& headers, std::string_view body,
                           std::string_view secret, std::chrono::system_clock::time_point now);

}  // namespace batchd
