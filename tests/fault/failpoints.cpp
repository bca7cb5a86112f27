#include "fault/failpoints.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <set>
#include <stdexcept>

namespace batchd::fault {
namespace {

// Each is passed right before it is done (`.before`: nothing was sent) and right after (`.after`: committed, or answered, and
// nobody knows it yet). What a save is called, and which verbs commit nothing and have no point, says failing_store.*
constexpr std::array store_verbs{
    "store.join",
    "store.heartbeat",
    "store.leave",
    "store.bury_dead",
    "store.hold_role",
    "store.matched",
    "store.publish",
    "store.backlog",
    "store.plan",
    "store.fail_unroutable",
    "store.expire_overdue",
    "store.maintain",
    "store.retire",
    "store.lease",
    "store.lease_one",
    "store.settle",
    "store.split",
    "store.place_wishes",
    "store.forget_wished",
    "store.note_status",
    "store.file_ceiling_reached",
    "store.retry_account",
    "store.pause_deployment",
    "store.suspect_orphans",
    "store.orphans_swept",
    "store.save.uploaded",
    "store.save.given_up",
    "store.save.file_lost",
    "store.save.intent",
    "store.save.created",
    "store.save.not_created",
    "store.save.refused",
    "store.save.looked",
    "store.save.fenced",
    "store.save.ended",
    "store.save.vanished",
    "store.save.not_run",
    "store.save.merged",
    "store.save.closed",
    "store.save.delayed",
    "store.save.postponed",
};

// A provider's call has one more point: `.sending`, when the lease was found to hold and the next thing is the network.
constexpr std::array provider_verbs{
    "provider.upload",       "provider.create_batch", "provider.retrieve_batch",
    "provider.list_batches", "provider.cancel_batch", "provider.retrieve_file",
    "provider.download",     "provider.delete_file",  "provider.list_files",
};

// In the middle of a stream, at each piece of it.
constexpr std::array middles{"provider.download.middle", "store.read_bodies.middle"};

const std::set<std::string, std::less<>>& known() {
  static const std::set<std::string, std::less<>> names = [] {
    const std::vector<std::string> all = all_points();
    return std::set<std::string, std::less<>>(all.begin(), all.end());
  }();
  return names;
}

double number(std::string_view text, std::string_view order) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value <= 0) {
    throw std::invalid_argument("failpoint order '" + std::string(order) + "': '" + std::string(text) + "' is no number above 0");
  }
  return value;
}

/// Cuts off what follows the first `mark` and returns it; "" when there is none.
std::string_view cut(std::string_view& text, char mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + 1);
  text = text.substr(0, at);
  return rest;
}

}  // namespace

std::vector<std::string> all_points() {
  std::vector<std::string> names;
  for (const std::string verb : store_verbs) {
    names.push_back(verb + ".before");
    names.push_back(verb + ".after");
  }
  for (const std::string verb : provider_verbs) {
    names.push_back(verb + ".before");
    names.push_back(verb + ".sending");
    names.push_back(verb + ".after");
  }
  names.insert(names.end(), middles.begin(), middles.end());
  return names;
}

Failpoints::Failpoints(std::string_view orders, std::uint64_t seed, const std::string& trace) : random_(seed) {
  while (!orders.empty()) {
    const std::string_view rest = cut(orders, ',');
    orders_.push_back(read(orders));
    orders = rest;
  }
  if (trace.empty()) return;
  trace_ = ::open(trace.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (trace_ < 0) throw std::invalid_argument("cannot write the trace " + trace);
}

Failpoints::~Failpoints() {
  if (trace_ >= 0) ::close(trace_);
}

Failpoints::Order Failpoints::read(std::string_view text) {
  const std::string_view whole = text;
  std::string_view action = cut(text, '=');
  Order order;
  const std::string_view chance = cut(action, '%');
  const std::string_view at = cut(action, '@');
  if (!chance.empty()) order.chance = number(chance, whole) / 100;
  if (!at.empty()) order.at = static_cast<std::uint64_t>(number(at, whole));
  if (action == "kill") {
    order.action = Action::kill;
  } else if (action == "stop") {
    order.action = Action::stop;
  } else if (action == "fail") {
    order.action = Action::fail;
  } else {
    throw std::invalid_argument("failpoint order '" + std::string(whole) + "': the action is kill, stop or fail");
  }
  order.prefix = text.ends_with('*');
  if (order.prefix) text.remove_suffix(1);
  order.name = text;
  const bool exists = order.prefix
                          ? std::any_of(known().begin(), known().end(), [&](const auto& n) { return n.starts_with(text); })
                          : known().contains(text);
  if (!exists) throw std::invalid_argument("failpoint order '" + std::string(whole) + "': there is no such point");
  return order;
}

bool Failpoints::due(Order& order, std::string_view name) {
  if (order.prefix ? !name.starts_with(order.name) : name != order.name) return false;
  if (order.chance > 0) return std::uniform_real_distribution<double>(0, 1)(random_) < order.chance;
  return ++order.passed == order.at;
}

bool Failpoints::pass(std::string_view verb, std::string_view when) {
  const std::string name = std::string(verb) + std::string(when);
  if (!known().contains(name)) throw std::logic_error("the point " + name + " is not in the list");
  const std::scoped_lock guard(mutex_);
  if (trace_ >= 0) {
    const std::string line = name + "\n";
    if (::write(trace_, line.data(), line.size()) < 0) throw std::logic_error("the trace cannot be written");
  }
  bool fail = false;
  for (Order& order : orders_) {
    if (!due(order, name)) continue;
    switch (order.action) {
      case Action::kill:
        ::kill(::getpid(), SIGKILL);
        break;
      case Action::stop:
        ::kill(::getpid(), SIGSTOP);
        break;
      case Action::fail:
        fail = true;
        break;
    }
  }
  return fail;
}

}  // namespace batchd::fault
