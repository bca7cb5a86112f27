#include "simulator.hpp"

#include "batch_calls.hpp"
#include "control_calls.hpp"
#include "error_style.hpp"
#include "fault_effects.hpp"
#include "file_calls.hpp"
#include "foreign.hpp"
#include "recording.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/parse.hpp>

#include <algorithm>
#include <iostream>
#include <stdexcept>

namespace sim {
namespace {

namespace asio = boost::asio;

Task<void> create_after(std::shared_ptr<World> world, Context context, std::string body, Milliseconds delay) {
  asio::steady_timer timer(co_await asio::this_coro::executor, delay);
  co_await timer.async_wait(asio::use_awaitable);
  world->batches.advance(now());
  BatchCalls(*world).create(context, body);
}

/// How a fault lets the call have another effect than usual.
Context changed(Context context, const Fault& fault) {
  if (fault.name == "list_lag" || fault.name == "file_invisible") context.hide = fault.delay;
  if (fault.name == "file_state") {
    context.file_pending = fault.delay;
    context.file_state = fault.state;
    context.file_details = fault.details;
  }
  context.fate = fault.fate;
  context.older = fault.name == "older";
  return context;
}

/// The connection breaks in the middle of the request's body.
Task<Reply> read_and_reset(BodyReader& body, std::uint64_t after) {
  std::vector<char> piece(64 * 1024);
  const std::span<char> into(piece);
  for (std::uint64_t got = 0; got < after;) {
    const auto more = co_await body.read(into);
    if (more == 0) break;
    got += more;
  }
  Reply reply;
  reply.delivery.reset = true;
  co_return reply;
}

}  // namespace

Simulator::Simulator(const Settings& settings, const TokenCounter& counter) : settings_(settings), counter_(counter) {
  reset();
}

void Simulator::reset() {
  auto fresh = std::make_shared<World>(settings_, counter_);
  for (const auto& text : settings_.rate_limits) {
    if (const auto fault = fresh->rates.add(text)) throw std::invalid_argument("--rate-limit: " + *fault);
  }
  for (const auto& text : settings_.faults) {
    boost::system::error_code error;
    const auto rule = boost::json::parse(text, error);
    const auto fault = error ? std::optional<std::string>("not JSON") : fresh->faults.add(rule);
    if (fault) throw std::invalid_argument("--fault " + text + ": " + *fault);
  }
  if (!settings_.shape.empty()) {
    boost::system::error_code error;
    const auto shape = boost::json::parse(settings_.shape, error);
    const auto fault = error ? std::optional<std::string>("not JSON") : read_shape(shape, fresh->shapes.all);
    if (fault) throw std::invalid_argument("--shape " + settings_.shape + ": " + *fault);
  }
  for (const char* const resource : {"azure", "openai"}) {
    ForeignWish wish;
    wish.resource = resource;
    wish.batches = wish.files = settings_.foreign;
    make_foreign(*fresh, wish);
  }
  world_ = std::move(fresh);
}

Task<Reply> Simulator::serve(const RequestHead& head, BodyReader& body) {
  world_->batches.advance(now());
  world_->files.expire(now(), settings_.file_expiry);
  if (head.path.starts_with("/sim/")) co_return co_await control(head, body);
  auto call = route(head, settings_.base_path);
  if (const auto login = Identity::operation_of(head)) call = Call{Dialect::azure, *login, {}, {}, false};
  if (!call || call->operation == Operation::none) {
    world_->ledger.called(Operation::none);
    world_->ledger.violation("no such path: " + head.method + ' ' + head.path);
    co_return error_reply(call ? call->dialect : Dialect::openai, resource_not_found());
  }
  world_->ledger.called(call->operation);
  Reply reply;
  try {
    RecordedBody recorded(body);
    BodyReader& heard = settings_.record.empty() ? body : recorded;
    reply = co_await api(*call, head, heard);
    if (!settings_.record.empty() && !call->login()) record_call(settings_.record, head, recorded.beginning(), reply.status);
  } catch (const boost::system::system_error&) {
    throw;  // the client left in the middle of its request
  } catch (const std::exception& error) {
    std::cerr << "batchd-sim: " << error.what() << '\n';
    reply = error_reply(call->dialect, {500, "internalFailure", error.what()});
  }
  restyle(reply, settings_.error_style);
  reply.headers.emplace_back(call->azure() ? "apim-request-id" : "x-request-id", world_->ids.request_id());
  const auto& delivery = reply.delivery;
  const int answered = delivery.reset || delivery.hang || delivery.half_open ? 0 : reply.status;
  world_->ledger.answered(call->operation, answered);
  if (settings_.log) std::cerr << head.method << ' ' << head.path << ' ' << answered << std::endl;
  co_return reply;
}

Task<Reply> Simulator::control(const RequestHead& head, BodyReader& body) {
  const auto text = co_await read_small(body);
  co_return ControlCalls(world_, [this] { reset(); }).serve(head, text.value_or(""));
}

bool Simulator::takes_key(const std::string& key) const {
  return settings_.keys.empty() || std::find(settings_.keys.begin(), settings_.keys.end(), key) != settings_.keys.end();
}

bool Simulator::takes_token(const RequestHead& head, const std::string& token) const {
  return head.api_key.empty() && world_->identity.accepts(token, now());
}

/// What is refused before the API looks at a call.
std::optional<Reply> Simulator::gateway(const Call& call, const RequestHead& head) {
  auto& world = *world_;
  if (call.login()) return std::nullopt;
  if (!version_known(call)) {
    world.ledger.violation("api-version '" + call.api_version + "' is " + (call.api_version.empty() ? "missing" : "unknown") +
                           ": " + head.path);
    return error_reply(call.dialect, resource_not_found());
  }
  const auto key = key_of(call, head);
  const bool accepted = key && (call.azure() && settings_.require_token ? takes_token(head, *key) : takes_key(*key));
  if (!accepted) {
    const std::string message =
        key ? "Access denied due to an invalid key." : "Access denied: no key was shown in the form that this API reads.";
    return error_reply(call.dialect, {401, "unauthorized", message, {}, key ? "invalid_api_key" : std::optional<std::string>()});
  }
  if (call.azure() && !head.api_key.empty() && !head.authorization.empty())
    world.ledger.violation("both api-key and Authorization were sent");
  if (call.wrong_method)
    return refuse(world, call, {405, "invalidPayload", head.method + " is not allowed on " + head.path + '.'});
  return std::nullopt;
}

Task<Reply> Simulator::api(const Call& call, const RequestHead& head, BodyReader& body) {
  const auto world = world_;  // so that a reset in the meantime harms nobody
  if (auto refusal = gateway(call, head)) co_return std::move(*refusal);
  Context context{call, call.azure() ? "azure" : "openai", {}};
  if (settings_.resource_per_host) context.resource += '@' + head.host.substr(0, head.host.rfind(':'));
  if (auto refusal = world->rates.refusal(call, context.resource, now())) co_return std::move(*refusal);
  const auto fault = world->faults.strike(call.operation);
  Reply reply;
  if (fault) {
    reply = co_await struck(context, *fault, head, body);
  } else {
    reply = co_await perform(context, head, body);
    reshape(reply, call.operation, world->shapes, {});
  }
  co_return reply;
}

/// A call that a fault strikes: before its effect, instead of it, or after.
Task<Reply> Simulator::struck(const Context& wanted, const Fault& fault, const RequestHead& head, BodyReader& body) {
  const auto world = world_;
  const auto& call = wanted.call;
  if (auto instead = reply_instead(fault, call)) co_return std::move(*instead);
  if (fault.name == "late") co_return co_await perform_late(wanted, body, fault.delay);
  if (fault.name == "reset_reading") co_return co_await read_and_reset(body, fault.at.value_or(0));
  if (fault.name == "insert") insert_foreign(wanted, fault.count);
  const Context context = changed(wanted, fault);
  RequestHead heard = head;
  if (fault.name == "repeat_page") heard.query.erase("after");
  Reply reply = co_await perform(context, heard, body);
  reshape(reply, call.operation, world->shapes, fault.shape);
  spoil(reply, fault, call);
  co_return reply;
}

Task<Reply> Simulator::perform(const Context& context, const RequestHead& head, BodyReader& body) {
  const auto world = world_;
  FileCalls files(*world);
  BatchCalls batches(*world);
  switch (context.call.operation) {
    case Operation::upload:
      co_return co_await files.upload(context, head, body);
    case Operation::list_files:
      co_return files.list(context, head);
    case Operation::get_file:
      co_return files.get(context);
    case Operation::download:
      co_return files.content(context);
    case Operation::delete_file:
      co_return files.erase(context);
    case Operation::list_batches:
      co_return batches.list(context, head);
    case Operation::get_batch:
      co_return batches.get(context);
    case Operation::cancel_batch:
      co_return batches.cancel(context);
    case Operation::imds:
      co_return world->identity.machine(head);
    default:
      break;
  }
  const auto text = co_await read_small(body);
  if (text && context.call.operation == Operation::token) co_return world->identity.log_in(head, *text);
  if (!text) co_return refuse(*world, context.call, {413, "invalidPayload", "The body is longer than 1 MiB."});
  world->batches.advance(now());
  co_return batches.create(context, *text);
}

/// Somebody else's batches appear between two pages of a list.
void Simulator::insert_foreign(const Context& context, std::uint32_t count) {
  ForeignWish wish;
  wish.resource = context.resource;
  wish.batches = count;
  make_foreign(*world_, wish);
}

/// The connection breaks now, and the batch is made all the same, later.
Task<Reply> Simulator::perform_late(const Context& context, BodyReader& body, Milliseconds delay) {
  const auto text = co_await read_small(body);
  if (context.call.operation == Operation::create_batch && text) {
    asio::co_spawn(co_await asio::this_coro::executor, create_after(world_, context, *text, delay), asio::detached);
  }
  Reply reply;
  reply.delivery.reset = true;
  co_return reply;
}

}  // namespace sim
