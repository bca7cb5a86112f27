#include "cli/provider_calls.hpp"

#include "cli/commands.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <exception>
#include <optional>
#include <utility>

namespace batchd {
namespace {

std::string sentence_of(const std::exception_ptr& failure) {
  if (!failure) return "";
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "it failed for an unknown reason";
  }
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string where_the_key_is(const ProviderConfig& provider) {
  if (!provider.api_key_file.empty()) {
    return "put a valid key into " + provider.api_key_file + "; daemons read it again by themselves";
  }
  if (!provider.bearer_token_file.empty()) {
    return "have a valid token put into " + provider.bearer_token_file + "; daemons read it again by themselves";
  }
  if (!provider.secret.empty()) return "set " + api_key_variable(provider.name) + " to a valid key, and restart the daemons";
  return "check the identity that signs in to it";
}

std::string how_to_reach(const ProviderConfig& provider, std::string_view message) {
  const auto proxy = endpoint_proxy(provider);
  if (proxy && contains(message, "proxy " + proxy->shown())) {
    return "check the proxy and that it lets this machine through to " + provider.endpoint +
           "; it comes from the provider's key proxy, else from HTTPS_PROXY or ALL_PROXY, and proxy = \"none\" connects straight";
  }
  if (contains(message, "certificate") || contains(message, "TLS")) {
    return provider.ca_file.empty() ? "when its certificate is a private authority's, name that authority's file in ca_file"
                                    : "check that " + provider.ca_file + " holds the authority that signed its certificate";
  }
  return "check the endpoint " + provider.endpoint + ", name resolution and the firewalls on the way";
}

}  // namespace

ProviderCalls::ProviderCalls(const Config& config) try
    : log_(LogLevel::error, LogFormat::text), metrics_(BATCHD_VERSION), providers_(config, metrics_, log_) {
} catch (const std::runtime_error& error) {
  throw CommandError(exit_usage, error.what());
}

std::vector<ProviderCalls::End> ProviderCalls::run(std::vector<std::function<Task<void>()>> tasks, Milliseconds limit) {
  struct Running {
    explicit Running(asio::io_context& loop) : timer(loop) {}
    std::function<Task<void>()> body;
    asio::cancellation_signal stop;
    asio::steady_timer timer;
    End end;
    bool done = false;
  };
  std::deque<Running> all;
  for (auto& task : tasks) {
    Running& one = all.emplace_back(loop_);
    one.body = std::move(task);
    asio::co_spawn(loop_, one.body(), asio::bind_cancellation_slot(one.stop.slot(), [&one](std::exception_ptr failure) {
                     one.done = true;
                     one.timer.cancel();
                     if (!one.end.timed_out) one.end.failure = sentence_of(failure);
                   }));
    if (limit.count() == 0) continue;
    one.timer.expires_after(limit);
    one.timer.async_wait([&one](const boost::system::error_code& error) {
      if (error || one.done) return;
      one.end.timed_out = true;
      one.stop.emit(asio::cancellation_type::terminal);
    });
  }
  loop_.restart();
  loop_.run();
  std::vector<End> ends;
  for (Running& one : all) ends.push_back(std::move(one.end));
  return ends;
}

Advice advise(const ProviderConfig& provider, const ProviderError& error) {
  const std::string said = error.message + (error.status > 0 ? " (HTTP " + std::to_string(error.status) + ")" : "");
  switch (error.kind) {
    case ErrorKind::not_sent:
      return {"cannot be reached: " + said, how_to_reach(provider, error.message)};
    case ErrorKind::throttled:
      return {"asks for fewer calls: " + said, "nothing to do here: daemons wait as long as they are asked to", true};
    case ErrorKind::unknown:
      if (error.status >= 500) {
        return {"has trouble of its own: " + said, "nothing to do here: daemons go on trying", true};
      }
      return {"gives no answer that can be read: " + said, how_to_reach(provider, error.message)};
    default:
      break;
  }
  if (error.status == 401) return {"refuses the key: " + said, where_the_key_is(provider)};
  if (error.status == 403) {
    return {"denies access: " + said,
            "admit this machine in the resource's firewall, or give its identity a role that may use the resource "
            "(Cognitive Services OpenAI User)"};
  }
  if (error.status == 404) {
    return {"has no batches at " + provider.endpoint + ": " + said,
            "check endpoint, kind" + std::string(provider.api_version.empty() ? "" : " and api_version")};
  }
  if (error.status >= 300 && error.status < 400) {
    return {"answers with a redirect: " + said, "give the endpoint of the API itself"};
  }
  if (error.kind == ErrorKind::account) {
    return {"does not serve this account: " + said, "set the account right with the provider; daemons try again by themselves"};
  }
  return {"refuses the call: " + said, "check kind and api_version"};
}

}  // namespace batchd
