// What `/` and `/status` show of jobs, models and deployments, whose names anybody who enqueues may choose: on the page no name
// opens or closes a tag or an attribute, so that the page has as many of both as with harmless names; the JSON is JSON with the
// names as they are. Input: names as FuzzedDataProvider ends a text, numbers.
#include "admin/status.hpp"

#include "harness.hpp"
#include "reference_text.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>

namespace batchd::fuzz {
namespace {

struct Names {
  std::string job, model, deployment, provider, paused, version;
};

StatusSnapshot snapshot_with(const Names& names, std::int64_t count, std::int64_t limit) {
  StatusSnapshot status;
  status.version = names.version;
  status.instance = "a1b2c3";
  status.replica = names.provider;
  status.age = Milliseconds{count};
  status.accepted = status.queued = count;
  status.settled = {{"succeeded", count}, {"failed", 1}};
  status.shards = {{"planned", 1}, {"submitted", count}};
  status.deployments.push_back({names.deployment, names.provider, names.model, count, limit, limit, 1, 2, names.paused, count});
  status.jobs.push_back({names.job, count, 1, count, 0, 1, 0, count, 5, count});
  status.unroutable.emplace_back(names.model, count);
  return status;
}

std::array<std::ptrdiff_t, 4> marks_of(std::string_view page) {
  std::array<std::ptrdiff_t, 4> out{};
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::count(page.begin(), page.end(), std::string_view("<>\"'")[i]);
  return out;
}

/// As the database gives them: in UTF-8, without NUL.
std::string name_from(FuzzedDataProvider& data) {
  std::string name = data.ConsumeRandomLengthString(60);
  return storable(name) && !name.empty() ? name : "x";
}

}  // namespace

void check(std::string_view input) {
  FuzzedDataProvider data(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  Names names;
  for (std::string* name : {&names.job, &names.model, &names.deployment, &names.provider, &names.paused, &names.version}) {
    *name = name_from(data);
  }
  const auto count = data.ConsumeIntegralInRange<std::int64_t>(0, INT64_MAX / 8);
  const auto limit = data.ConsumeIntegralInRange<std::int64_t>(0, INT64_MAX / 8);
  const StatusSnapshot status = snapshot_with(names, count, limit);
  const StatusSnapshot plain = snapshot_with({"x", "x", "x", "x", "x", "x"}, count, limit);
  const Readiness readiness{data.ConsumeBool(), names.paused};
  const Readiness plain_readiness{readiness.ready, "x"};
  const std::string body = render_page_body(status, readiness);
  holds(marks_of(body) == marks_of(render_page_body(plain, plain_readiness)), "no name is markup");
  holds(storable(body), "the page is UTF-8");
  const std::string page = render_page(status, readiness);
  static const std::size_t around = page.size() - body.size();
  holds(page.find(body) != std::string::npos && page.size() == body.size() + around,
        "and nothing else on the page depends on names");
  const Reference json = read_reference(render_json(status, readiness));
  holds(json.value && json.value->is_object(), "the status is JSON");
}

}  // namespace batchd::fuzz
