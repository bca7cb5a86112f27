#include "control_batches.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <stdexcept>

namespace sim {
namespace {

Reply shown(const Batch& batch) {
  return json_reply(200, describe(batch, now()));
}

Reply cancel(World& world, Batch& batch, const boost::json::value& wish) {
  Fate fate;
  if (const auto fault = read_fate(wish, fate)) return complaint(400, *fault);
  if (batch.over()) return complaint(409, "the batch is over");
  world.batches.cancel(batch, now(), fate);
  return shown(batch);
}

Reply end(World& world, Batch& batch, const boost::json::value& wish) {
  Fate fate;
  if (const auto fault = read_fate(wish, fate)) return complaint(400, *fault);
  if (!fate.end) return complaint(400, "'end' is missing: completed, failed, expired or cancelled");
  if (batch.over()) return complaint(409, "the batch is over");
  world.batches.end(batch, fate, now());
  return shown(batch);
}

/// {"hold": true | STATE, "for": D} or {"release": true}.
Reply state(World& world, Batch& batch, const boost::json::object& wish) {
  if (wish.contains("release")) {
    world.batches.release(batch, now());
    world.batches.advance(now());
    return shown(batch);
  }
  const auto* const hold = wish.if_contains("hold");
  if (hold == nullptr) return complaint(400, "expected 'hold' or 'release'");
  boost::json::object as_fate = wish;
  if (hold->is_bool()) as_fate["hold"] = name_of(batch.state);
  Fate fate;
  if (const auto fault = read_fate(as_fate, fate)) return complaint(400, *fault);
  world.batches.hold(batch, *fate.hold, fate.hold_for, now());
  return shown(batch);
}

Reply vanish(Batch& batch, const boost::json::object& wish) {
  const auto* const status = wish.if_contains("status");
  if (status != nullptr && *status != 404 && *status != 200) return complaint(400, "'status' is 404 or 200");
  batch.vanished = status != nullptr && *status == 200 ? Vanished::error_200 : Vanished::not_found;
  return json_reply(200, boost::json::object{{"id", batch.id}, {"vanished", true}});
}

Reply appear(Batch& batch) {
  batch.listed_at = std::min(batch.listed_at, now());
  return json_reply(200, boost::json::object{{"id", batch.id}, {"listed", true}});
}

}  // namespace

Reply complaint(int status, const std::string& message) {
  return json_reply(status, boost::json::object{{"error", message}});
}

Reply control_batch(World& world, const std::string& what, const boost::json::value& wish) {
  const auto slash = what.find('/');
  const std::string verb = slash == std::string::npos ? "" : what.substr(slash + 1);
  auto* const batch = world.batches.find(what.substr(0, slash));
  if (batch == nullptr) return complaint(404, "no such batch: " + what.substr(0, slash));
  if (!wish.is_object()) return complaint(400, "the body is not a JSON object");
  if (verb == "cancel") return cancel(world, *batch, wish);
  if (verb == "end") return end(world, *batch, wish);
  if (verb == "state") return state(world, *batch, wish.get_object());
  if (verb == "shape") {
    const auto fault = read_shape(wish, world.shapes.by_id[batch->id]);
    return fault ? complaint(400, *fault) : shown(*batch);
  }
  if (verb == "vanish") return vanish(*batch, wish.get_object());
  if (verb == "appear") return appear(*batch);
  return complaint(404, "a batch can be told cancel, end, state, shape, vanish or appear, not '" + verb + "'");
}

Reply control_file(World& world, const std::string& what, const boost::json::value& wish) {
  const auto slash = what.find('/');
  const std::string verb = slash == std::string::npos ? "" : what.substr(slash + 1);
  auto* const file = world.files.find(what.substr(0, slash));
  if (file == nullptr) return complaint(404, "no such file: " + what.substr(0, slash));
  if (verb == "expire") {
    world.files.erase(file->resource, what.substr(0, slash));
    return json_reply(200, boost::json::object{{"expired", true}});
  }
  const auto* const asked = wish.if_object();
  const auto* const state = asked == nullptr ? nullptr : asked->if_contains("state");
  const auto* const details = asked == nullptr ? nullptr : asked->if_contains("details");
  if (verb != "state") return complaint(404, "a file can be told state or expire, not '" + verb + "'");
  if (state == nullptr || !state->is_string()) return complaint(400, "'state' is missing, or no string");
  file->final_state = state->get_string();
  file->state_details = details != nullptr && details->is_string() ? std::string(details->get_string()) : std::string();
  file->running_at = file->processed_at = file->created;
  return json_reply(200, boost::json::object{{"id", file->id}, {"state", *state}});
}

}  // namespace sim
