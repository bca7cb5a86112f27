// What a conformance test of the provider port needs beside the port itself: an account with certain rules, trouble on the next
// call, time that goes by. The real adapter with batchd-sim behind it and the simulation's fake each implement it; tests are
// written once. It never judges: what must be true is said by the tests.
#pragma once

#include "provider/provider.hpp"
#include "support/run_task.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace batchd::conformance {

/// How the account is. Whatever is not said takes no time and has no limit.
struct AccountRules {
  enum class Room { ample, none, one_file };  ///< of the quota, measured in files with three lines as `line` makes them
  Room room = Room::ample;
  bool late_quota = false;  ///< what does not fit is accepted and fails, instead of being refused
  bool slow_files = false;  ///< files stay pending for an hour (Azure)
  bool unseen_files = false;
  bool slow_batches = false;  ///< in progress for an hour
  bool unlisted_batches = false;
  int max_files = 0;  ///< the ceiling, where there is one (Azure)
  int page_size = 0;  ///< 0: the provider's own
  int foreign_batches = 0;
};

enum class Verb {
  upload,
  create_batch,
  retrieve_batch,
  list_batches,
  cancel_batch,
  retrieve_file,
  download,
  delete_file,
  list_files
};
inline constexpr Verb all_verbs[] = {Verb::upload,       Verb::create_batch, Verb::retrieve_batch,
                                     Verb::list_batches, Verb::cancel_batch, Verb::retrieve_file,
                                     Verb::download,     Verb::delete_file,  Verb::list_files};
std::ostream& operator<<(std::ostream& out, Verb verb);

/// What happens to the next call of a verb.
enum class Trouble {
  lost_before,  ///< the connection breaks before anything was done
  lost_after,   ///< it was done, and the connection breaks
  busy_before,  ///< 5xx before anything was done
  busy_after,   ///< it was done, and the answer is a 5xx
  throttled,    ///< 429 with a time to wait, seven seconds
  unpaid,       ///< 401
  denied,       ///< 404
  cut,          ///< download: the body ends short of its length
  shortened,    ///< download: the body ends inside its last line, and that is its whole length
  empty_page,   ///< a list: no entries, and has_more
};
std::ostream& operator<<(std::ostream& out, Trouble trouble);

/// What becomes of the next batch.
enum class Fate { expires_halfway, fails_late };

/// What a line's request asks for.
enum class Ask { nothing, refusal, poison, silent_poison, poisoned_create, poisoned_upload };

class ProviderHarness {
 public:
  virtual ~ProviderHarness() = default;

  /// An account with these rules, and nothing of ours in it. Once for each harness.
  virtual void start(const AccountRules& rules) = 0;
  virtual Provider& provider() = 0;
  virtual bool is_azure() const = 0;

  virtual void trouble(Verb verb, Trouble trouble) = 0;
  virtual void fate(Fate fate) = 0;
  /// From now on nobody listens at the provider's address.
  virtual void stop_listening() = 0;
  /// What `may_call` answers from now on.
  virtual void allow_calls(bool allowed) = 0;
  /// A short time goes by; what takes no time is done after it.
  virtual void pass() = 0;

  /// The member, with a comma after it, by which a body asks for something.
  virtual std::string asking(Ask ask) const = 0;
  /// Whether an answer's body answers this request body, whose prompt is `prompt`.
  virtual bool answers(std::string_view response, std::string_view body, std::string_view prompt) const = 0;

  template <class T>
  ProviderResult<T> wait(Task<ProviderResult<T>> task) {
    return testing::run_task(io_, std::move(task));
  }

 protected:
  boost::asio::io_context io_;
};

struct ProviderCase {
  std::string label;
  std::function<std::unique_ptr<ProviderHarness>()> make;
};
void PrintTo(const ProviderCase& which, std::ostream* out);

/// Every adapter there is: the real one in each dialect, and the fake in each manner.
std::vector<ProviderCase> provider_cases();
/// The real one with a key, in each dialect.
std::vector<ProviderCase> http_cases();
/// The real one in each dialect, api-version and way to log in: for what these make a difference to.
std::vector<ProviderCase> account_cases();
std::vector<ProviderCase> cloud_cases();

}  // namespace batchd::conformance
