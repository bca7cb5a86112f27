#include "control_calls.hpp"

#include "control_batches.hpp"
#include "foreign.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

namespace sim {
namespace {

constexpr std::string_view batches_path = "/sim/batches/";
constexpr std::string_view files_path = "/sim/files/";

boost::json::object detail(const Batch& batch) {
  return {{"id", batch.id},
          {"resource", batch.resource},
          {"input_file_id", batch.input_file_id},
          {"metadata", batch.metadata},
          {"status", name_of(batch.state)},
          {"model", batch.model},
          {"requests", batch.requests},
          {"tokens", batch.tokens},
          {"completed", batch.completed},
          {"failed", batch.failed},
          {"foreign", batch.foreign}};
}

}  // namespace

Reply ControlCalls::serve(const RequestHead& head, const std::string& body) {
  const bool get = head.method == "GET", post = head.method == "POST";
  if (get && head.path == "/sim/ledger") return ledger(head);
  if (get && head.path == "/sim/ledger/executions") {
    Reply reply;
    reply.content_type = "application/jsonl";
    reply.source = world_.ledger.executions([world = shared_](std::uint32_t number) { return world->batches.all()[number]->id; });
    return reply;
  }
  if (post && head.path == "/sim/faults") return add_faults(body);
  if (post && (head.path == "/sim/foreign" || head.path == "/sim/shape" || head.path.starts_with(batches_path) ||
               head.path.starts_with(files_path)))
    return change(head.path, body);
  if (head.method == "DELETE" && head.path == "/sim/faults") {
    world_.faults.clear();
    return json_reply(200, boost::json::object{{"pending", 0}});
  }
  if (post && head.path == "/sim/tokens/revoke") {
    world_.identity.revoke_all();
    return json_reply(200, boost::json::object{{"revoked", true}});
  }
  if (post && head.path == "/sim/reset") {
    reset_();
    return json_reply(200, boost::json::object{{"reset", true}});
  }
  return complaint(404,
                   "The control plane has GET /sim/ledger, GET /sim/ledger/executions, POST and DELETE /sim/faults, POST "
                   "/sim/foreign, POST /sim/shape, POST /sim/batches/{id}/cancel, end, state, shape, vanish, appear, POST "
                   "/sim/files/{id}/state, expire, POST /sim/tokens/revoke, and POST /sim/reset.");
}

/// What a test does to the world by hand.
Reply ControlCalls::change(const std::string& path, const std::string& body) {
  boost::system::error_code error;
  const auto wish = body.empty() ? boost::json::value(boost::json::object()) : boost::json::parse(body, error);
  if (error) return complaint(400, "The body is not JSON.");
  if (path.starts_with(batches_path)) return control_batch(world_, path.substr(batches_path.size()), wish);
  if (path.starts_with(files_path)) return control_file(world_, path.substr(files_path.size()), wish);
  if (path == "/sim/shape") {
    const auto fault = read_shape(wish, world_.shapes.all);
    return fault ? complaint(400, *fault) : json_reply(200, world_.shapes.all.rules);
  }
  ForeignWish foreign;
  if (const auto fault = read_foreign(wish, foreign)) return complaint(400, *fault);
  const auto made = make_foreign(world_, foreign);
  return json_reply(200, boost::json::object{{"batches", boost::json::array(made.batches.begin(), made.batches.end())},
                                             {"files", boost::json::array(made.files.begin(), made.files.end())}});
}

Reply ControlCalls::ledger(const RequestHead& head) {
  boost::json::object out;
  world_.ledger.describe(out);
  world_.quota.describe(out);
  out["files_now"] = world_.files.size();
  out["faults_pending"] = world_.faults.pending();
  out["faults_struck"] = world_.faults.struck();
  std::map<std::string, std::uint64_t> by_status;
  std::uint64_t foreign = 0;
  for (const auto& batch : world_.batches.all()) ++(batch->foreign ? foreign : by_status[std::string(name_of(batch->state))]);
  out["foreign_batches"] = foreign;
  boost::json::object statuses;
  for (const auto& [status, count] : by_status) statuses[status] = count;
  out["batches"] = std::move(statuses);
  if (head.query.contains("details")) {
    boost::json::array details;
    for (const auto& batch : world_.batches.all()) details.push_back(detail(*batch));
    out["details"] = std::move(details);
  }
  return json_reply(200, out);
}

Reply ControlCalls::add_faults(const std::string& body) {
  boost::system::error_code error;
  const auto parsed = boost::json::parse(body, error);
  if (error) return complaint(400, "The body is not JSON.");
  const boost::json::array rules = parsed.is_array() ? parsed.get_array() : boost::json::array{parsed};
  for (const auto& rule : rules) {
    if (const auto fault = world_.faults.add(rule)) return complaint(400, *fault);
  }
  return json_reply(200, boost::json::object{{"pending", world_.faults.pending()}});
}

}  // namespace sim
