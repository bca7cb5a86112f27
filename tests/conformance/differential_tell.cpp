// What the two sides of a differential run say, in words that can be compared.
#include "conformance/differential.hpp"

#include <algorithm>
#include <sstream>

namespace batchd::conformance {
namespace {

/// Times agree to the minute, as whole minutes pass and a run takes less than one.
std::string minutes(Milliseconds time) {
  return std::to_string(time.count() / 60'000) + "min";
}

class Words {
 public:
  template <class T>
  Words& operator()(const char* name, const T& value) {
    out_ << ' ' << name << '=' << value;
    return *this;
  }
  Words& operator()(const char* name, bool value) {
    if (value) out_ << ' ' << name;
    return *this;
  }
  template <class Id>
  Words& remote(const char* name, const std::optional<Id>& id) {
    if (id) out_ << ' ' << name << '=' << id->value;
    return *this;
  }
  Words& text(const char* name, const std::string& value) {
    if (!value.empty()) out_ << ' ' << name << '=' << value;
    return *this;
  }
  std::string str() const { return out_.str(); }

 private:
  std::ostringstream out_;
};

template <class Id>
std::string tell_known(Side& side, const std::optional<Id>& id) {
  return id ? tell(side, *id) : std::string("-");
}

std::string tell(Side& side, const ShardRow& row) {
  Words w;
  w("state", row.state)("deployment", row.deployment)("provider", row.provider)("lane", row.model + row.endpoint);
  w("priority", row.priority)("attempt", row.attempt)("requests", row.requests)("undecided", row.undecided)("bytes", row.bytes);
  w("tokens", row.tokens)("reserved", row.reserved)("intent", row.intent)("looks", row.looks)("failures", row.failures)(
      "denials", row.denials)("short_reads", row.short_reads);
  w.text("in", row.input_file).text("batch", row.batch).text("out", row.output_file).text("err", row.error_file);
  w("status", row.batch_status)("reason", row.finish_reason).text("error", row.error);
  w("due", row.due)("accepted", row.accepted)("wished", row.wished)("halved", row.halved)("owner", tell_known(side, row.owner));
  return tell(side, row.id) + w("trial", tell_known(side, row.trial)).str();
}

std::string tell(Side& side, const ResultRow& row) {
  Words w;
  w("outcome", row.outcome)("status", row.status_code.value_or(0)).text("response", row.response).text("error", row.error);
  w("in", row.input_tokens.value_or(-1))("out", row.output_tokens.value_or(-1)).text("id", row.provider_request_id);
  return tell(side, row.request) + w("attempt", row.attempt)("shard", tell_known(side, row.shard)).str();
}

std::string tell(Side& side, const RequestRow& row) {
  Words w;
  w("state", row.state)("attempts", row.attempts)("shard", tell_known(side, row.shard)).remote("batch", row.batch);
  return tell(side, row.id) + w.text("error", row.last_error).str();
}

std::string tell(Side& side, const StrayRow& row) {
  Words w;
  w("provider", row.provider)("kind", row.kind)("shard", tell(side, row.shard))("attempt", row.attempt)("status", row.status);
  w.text("in", row.input_file).text("out", row.output_file).text("err", row.error_file)("over", row.over)("used", row.used);
  w("done", row.done)("total", row.total)("completed", row.completed)("failed", row.failed)("created", row.batch_created_at);
  return row.batch + w.str();
}

}  // namespace

std::string tell(Side& side, RequestId id) {
  return "r" + std::to_string(side.requests.of(id));
}
std::string tell(Side& side, ShardId id) {
  // What nobody has ever given out means the same on both sides.
  return id.value >= 900'000 ? "#" + std::to_string(id.value) : "s" + std::to_string(side.shards.of(id));
}
std::string tell(Side& side, Term term) {
  const auto at = std::find(side.terms.begin(), side.terms.end(), term);
  return at == side.terms.end() ? "t?" : "t" + std::to_string(at - side.terms.begin());
}

std::string tell(Side& side, const Shard& s) {
  Words w;
  w("state", to_string(s.state))("lane", s.lane.model + s.lane.endpoint)("deployment", s.deployment)("provider", s.provider);
  w("priority", s.priority)("attempt", s.attempt)("requests", s.requests)("bytes", s.bytes)("tokens", s.tokens);
  w("reserved", s.reserved)("intent", s.intent)("looks", s.looks).remote("in", s.input_file).remote("batch", s.batch);
  w("status", to_string(s.batch_status)).remote("out", s.output_file).remote("err", s.error_file);
  w("reason", to_string(s.finish_reason))
      .text("error", s.error)("failures", s.failures)("denials", s.denials)("short_reads", s.short_reads);
  w("intended", minutes(s.intent_age))("since", minutes(s.state_age))("unwanted", s.unwanted)("hurried", s.hurried);
  return tell(side, s.id) + w("doubtful", s.doubtful)("lease", tell(side, s.lease)).str();
}

std::string tell(Side& side, const ShardContents& contents) {
  std::map<std::size_t, std::string> members;
  for (std::size_t rank = 0; rank < contents.members.size(); ++rank) {
    const RequestId id = contents.members.at(rank);
    std::string& text = members[side.requests.of(id)];
    text = tell(side, id) + (contents.decided.test(rank) ? "*" : "");
    if (const auto at = contents.attempts.find(id); at != contents.attempts.end()) text += "/" + std::to_string(at->second);
  }
  std::string all;
  for (const auto& [number, text] : members) all += " " + text;
  return all;
}

std::string tell(Side&, const Flow& f) {
  Words w;
  w("lane", f.lane.model + f.lane.endpoint)("job", f.job)("priority", f.priority)("requests", f.requests)("bytes", f.bytes);
  return w("returned", f.returned)("waiting", minutes(f.waiting))("deadline", f.deadline_in.has_value()).str();
}

std::string tell(Side&, const DeploymentLoad& d) {
  Words w;
  w("name", d.name)("provider", d.provider)("model", d.model)("limit", d.limit)("reserved", d.reserved)("staged", d.staged);
  w("believed", d.room.believed)("told", d.room.told.value_or(0))("strikes", d.room.strikes)("refusals", d.room.refusals);
  w("leaving", d.leaving)("largest", d.largest_waiting)("lag_blamed", d.room.lag_blamed)("ended", d.room.since_end.has_value());
  return w("tokens", d.staged_tokens)("live", d.live)("paused", d.paused).text("reason", d.pause_reason).str();
}

std::string tell(Side& side, const LiveBatch& b) {
  return tell(side, b.shard) + " " + b.batch.value + " " + std::string(to_string(b.status)) + (b.denied ? " denied" : "");
}

std::string tell(Side& side, const WishedBatch& b) {
  return tell(side, b.batch) + " " + b.provider + " wanted=" + std::to_string(b.wanted);
}

std::string tell(Side& side, const BookEntry& e) {
  if (!e.shard) return "unknown";
  Words w;
  w("attempt", e.attempt)("retired", e.retired)("recorded", e.recorded)("announced", e.announced).remote("batch", e.batch);
  w.remote("in", e.input_file);
  if (e.held) {
    w("state", to_string(e.held->state))("at", e.held->attempt)("intent", e.held->intent).remote("holds", e.held->batch);
    w("requests", e.held->requests);
  }
  return tell(side, *e.shard) + w.str();
}

std::string tell(Side& side, const Stray& s) {
  Words w;
  w("shard", tell(side, s.shard))("attempt", s.attempt)("status", to_string(s.status)).remote("in", s.input_file);
  w.remote("out", s.output_file).remote("err", s.error_file)("over", s.over)("used", s.used)("age", minutes(s.age));
  return s.batch.value + w("idle", minutes(s.idle))("holder", s.holder ? to_string(*s.holder) : "-").str();
}

std::string tell(Side& side, const FileBooks& books) {
  std::vector<std::string> lines;
  for (const auto& [id, owner] : books.shards) {
    Words w;
    w.remote("in", owner.input_file)("attempt", owner.attempt)("planned", owner.planned)("uploading", owner.uploading);
    lines.push_back(tell(side, id) + w.str());
  }
  for (const FileId& file : books.needed) lines.push_back("needed " + file.value);
  std::sort(lines.begin(), lines.end());
  std::string all = books.trusted ? "trusted" : "not trusted";
  for (const std::string& line : lines) all += "; " + line;
  return all;
}

std::string tell(Side& side, const StoreGauges& g) {
  Words w;
  w("accepted", g.accepted)("queued", g.queued)("in_flight", g.in_flight)("oldest", minutes(g.oldest_queued));
  w("unknown", g.submissions_unknown);
  for (const auto& [lane, count] : g.queued_by_lane) w((lane.model + " " + lane.endpoint).c_str(), count);
  for (const auto* counts : {&g.settled, &g.shards, &g.files}) {
    for (const auto& [name, count] : *counts) w(name.c_str(), count);
  }
  return w.str() + tell_all(side, g.deployments);
}

std::string tell(Side&, const JobProgress& j) {
  Words w;
  w("job", j.job)("queued", j.queued)("in_flight", j.in_flight)("succeeded", j.succeeded)("failed", j.failed);
  return w("cancelled", j.cancelled)("expired", j.expired)("in", j.input_tokens)("out", j.output_tokens).str();
}

std::string tell(Side&, const Suspicion& s) {
  Words w;
  w("trial", static_cast<int>(s.trial))("halved", s.halved)("works", s.lane_works)("other", s.other_suspect);
  return w.str();
}

std::vector<std::string> tell(Side& side, const Picture& p) {
  std::vector<std::string> lines;
  for (const RequestRow& row : p.requests) lines.push_back("request " + tell(side, row));
  for (const ResultRow& row : p.results) lines.push_back("result " + tell(side, row));
  for (const ShardRow& row : p.shards) lines.push_back("shard " + tell(side, row));
  std::vector<std::string> rest;
  for (const ResultRow& row : p.history) rest.push_back("history " + tell(side, row));
  for (const SubmissionRow& s : p.submissions) {
    rest.push_back("submission " + tell(side, s.shard) + " " + std::to_string(s.attempt) + " " + s.provider + " " + s.input_file +
                   " " + s.answer + " " + s.batch);
  }
  for (const StrayRow& row : p.strays) rest.push_back("stray " + tell(side, row));
  for (const DeploymentRow& d : p.deployments) {
    Words w;
    w("provider", d.provider)("model", d.model)("limit", d.limit)("reserved", d.reserved)("configured", d.configured);
    rest.push_back("deployment " + d.name + w("paused", d.paused).text("reason", d.reason).str());
  }
  for (const auto& [name, term] : p.roles) rest.push_back("role " + name + " " + tell(side, term));
  for (const Term term : p.replicas) rest.push_back("replica " + tell(side, term));
  for (const RequestId id : p.wishes) rest.push_back("wish " + tell(side, id));
  for (const std::string& scope : p.pauses) rest.push_back("pause " + scope);
  for (const std::string& provider : p.unmatched) rest.push_back("unmatched " + provider);
  std::sort(rest.begin(), rest.end());
  lines.insert(lines.end(), rest.begin(), rest.end());
  return lines;
}

}  // namespace batchd::conformance
