// The one-screen status page: plain HTML made here, numbers and all, so that it works without scripts; with them, a few
// lines fetch the changing part again. Nothing comes from anywhere else, and every text is escaped.
#include "admin/status.hpp"

#include <algorithm>
#include <array>

namespace batchd {
namespace {

constexpr std::string_view style = R"css(
:root{--bg:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#667080;--line:#e2e6eb;--ok:#2f9e6b;--run:#3b82c4;--wait:#c3cad3;--bad:#cf4a4a;--warn:#b7791f}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1c2026;--ink:#e6e9ed;--soft:#929cab;--line:#2d333b;--ok:#3fb57f;--run:#5a9bd8;--wait:#434b56;--bad:#e06767;--warn:#d9a441}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:68rem;margin:0 auto;padding:1.5rem 1rem 2rem}
header{display:flex;flex-wrap:wrap;align-items:baseline;gap:.3rem 1rem;margin-bottom:1rem}
h1{font-size:1.4rem;margin:0}
h2{font-size:.8rem;margin:1.6rem 0 .5rem;color:var(--soft);text-transform:uppercase;letter-spacing:.06em}
.soft{color:var(--soft)}
.state{padding:.05rem .6rem;border-radius:1rem;color:#fff;background:var(--ok);font-size:.85rem}
.state.no{background:var(--bad)}
.note{background:var(--card);border-left:4px solid var(--warn);padding:.5rem .8rem;margin:.5rem 0;border-radius:4px}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.7rem;margin-top:.8rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .8rem}
.card b{display:block;font-size:1.45rem;font-weight:600}
.bar{display:flex;height:.75rem;background:var(--wait);border-radius:6px;overflow:hidden;min-width:6rem}
.bar.big{height:1.3rem;border-radius:8px}
.bar i{display:block}
.ok{background:var(--ok)}.run{background:var(--run)}.bad{background:var(--bad)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%}
th,td{padding:.4rem .8rem;text-align:right;white-space:nowrap;border-top:1px solid var(--line)}
thead th{border-top:0;font-weight:500;color:var(--soft);font-size:.85rem}
th:first-child,td:first-child{text-align:left}
td.wide{width:35%}
.paused{color:var(--warn)}
a{color:var(--run)}
footer{margin-top:1.6rem;color:var(--soft);font-size:.9rem}
)css";

// Asks for the changing part every two seconds while the page is looked at.
constexpr std::string_view script = R"js(
setInterval(async()=>{if(document.hidden)return;
const main=document.querySelector('main');
try{const r=await fetch('/status?format=html',{cache:'no-store'});if(!r.ok)throw r.status;main.innerHTML=await r.text();main.style.opacity=1}
catch(e){main.style.opacity=.5}},2000);
)js";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// 1234567 as 1,234,567.
std::string grouped(std::int64_t number) {
  std::string out = std::to_string(number);
  const std::size_t sign = number < 0 ? 1 : 0;
  for (std::size_t at = out.size(); at > sign + 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

std::string span_of(Milliseconds value) {
  const auto seconds = value.count() / 1000;
  if (seconds < 120) return std::to_string(seconds) + " s";
  if (seconds < 2 * 3600) return std::to_string(seconds / 60) + " min";
  if (seconds < 48 * 3600) return std::to_string(seconds / 3600) + " h";
  return std::to_string(seconds / 86400) + " d";
}

struct Part {
  std::string_view kind;
  std::int64_t count;
};

/// A bar of which each part takes its share; what is left over is still waiting.
template <std::size_t N>
std::string bar(const std::array<Part, N>& parts, std::int64_t whole, std::string_view extra = {}) {
  std::string out = "<div class=\"bar" + std::string(extra) + "\">";
  for (const Part& part : parts) {
    if (part.count <= 0 || whole <= 0) continue;
    const double share = std::min(100.0, 100.0 * static_cast<double>(part.count) / static_cast<double>(whole));
    out += "<i class=\"" + std::string(part.kind) + "\" style=\"width:" + std::to_string(share) + "%\"></i>";
  }
  return out + "</div>";
}

std::int64_t outcome(const StatusSnapshot& status, const char* name) {
  const auto found = status.settled.find(name);
  return found == status.settled.end() ? 0 : found->second;
}

std::string card(std::string_view name, const std::string& number) {
  return "<div class=\"card\"><b>" + number + "</b><span class=\"soft\">" + std::string(name) + "</span></div>";
}

std::string head(const StatusSnapshot& status, const Readiness& readiness) {
  std::string out = "<header><h1>batchd</h1>";
  out += readiness.ready ? "<span class=\"state\">ready</span>" : "<span class=\"state no\">not ready</span>";
  out += "<span class=\"soft\">" + escaped(status.version) + " · replica " + escaped(status.replica) + " · instance " +
         escaped(status.instance) + " · up " + span_of(status.uptime) + "</span></header>";
  if (!readiness.ready) out += "<p class=\"note\">" + escaped(readiness.reason) + "</p>";
  if (!status.age) {
    out += "<p class=\"note\">Nothing has been read from the database yet.</p>";
  } else if (*status.age > Milliseconds(30'000)) {
    out += "<p class=\"note\">These numbers are " + span_of(*status.age) + " old.</p>";
  }
  for (const DeploymentView& deployment : status.deployments) {
    if (deployment.paused.empty()) continue;
    if (deployment.paused == "budget") {
      out += "<p class=\"note\">Requests for <b>" + escaped(deployment.model) +
             "</b> wait for money: [budget] has no room for them.</p>";
      continue;
    }
    out +=
        "<p class=\"note\">Deployment <b>" + escaped(deployment.name) + "</b> is paused: " + escaped(deployment.paused) + ".</p>";
  }
  for (const auto& [model, count] : status.unroutable) {
    out += "<p class=\"note\">" + grouped(count) + " queued requests ask for the model <b>" + escaped(model) +
           "</b>, which no configured deployment serves.</p>";
  }
  if (status.submissions_unknown > 0) {
    out += "<p class=\"note\">" + grouped(status.submissions_unknown) +
           " submissions had no answer; the provider is being looked at before anything is sent again.</p>";
  }
  return out;
}

std::string requests(const StatusSnapshot& status) {
  const std::int64_t succeeded = outcome(status, "succeeded");
  const std::int64_t others = outcome(status, "failed") + outcome(status, "cancelled") + outcome(status, "expired");
  const std::array<Part, 3> parts{{{"ok", succeeded}, {"bad", others}, {"run", status.in_flight}}};
  const double done =
      status.accepted > 0 ? 100.0 * static_cast<double>(succeeded + others) / static_cast<double>(status.accepted) : 0;
  std::string out = "<h2>Requests</h2>" + bar(parts, status.accepted, " big");
  out += "<p class=\"soft\">" + grouped(succeeded + others) + " of " + grouped(status.accepted) + " settled (" +
         std::to_string(static_cast<int>(done)) + " %)</p><div class=\"cards\">";
  out += card("queued", grouped(status.queued)) + card("in flight", grouped(status.in_flight));
  out += card("succeeded", grouped(succeeded)) + card("failed", grouped(outcome(status, "failed")));
  out += card("cancelled", grouped(outcome(status, "cancelled"))) + card("expired", grouped(outcome(status, "expired")));
  out += card("oldest queued", span_of(status.oldest_queued));
  const BudgetView& budget = status.budget;
  if (budget.spent + budget.reserved > 0 || budget.daily) {
    out += card("spent today", "$" + dollars(budget.spent)) + card("reserved", "$" + dollars(budget.reserved));
    if (budget.daily) out += card("left today", "$" + dollars(*budget.daily - budget.spent - budget.reserved));
  }
  return out + "</div>";
}

std::string shards(const StatusSnapshot& status) {
  std::string out = "<h2>Shards</h2><div class=\"cards\">";
  for (const char* state : {"planned", "uploaded", "submitted", "finished", "merged"}) {
    const auto found = status.shards.find(state);
    out += card(state, grouped(found == status.shards.end() ? 0 : found->second));
  }
  return out + "</div>";
}

std::string deployments(const StatusSnapshot& status) {
  std::string out =
      "<h2>Deployments</h2><div class=\"scroll\"><table><thead><tr><th>deployment</th><th>provider</th><th>model</th>"
      "<th>staged</th><th>live</th><th>tokens enqueued</th><th>of</th><th></th></tr></thead><tbody>";
  for (const DeploymentView& d : status.deployments) {
    const std::array<Part, 1> parts{{{"run", d.reserved}}};
    out += "<tr><td>" + escaped(d.name) + (d.paused.empty() ? "" : " <span class=\"paused\">paused</span>") + "</td><td>" +
           escaped(d.provider) + "</td><td>" + escaped(d.model) + "</td><td>" + grouped(d.staged) + "</td><td>" +
           grouped(d.live) + "</td><td>" + grouped(d.reserved) + "</td><td>" + grouped(d.limit) +
           (d.believed == d.limit ? "" : " <span class=\"soft\">(believed " + grouped(d.believed) + ")</span>") +
           "</td><td class=\"wide\">" + bar(parts, d.limit) + "</td></tr>";
  }
  return out + "</tbody></table></div>";
}

std::string jobs(const StatusSnapshot& status) {
  std::string out =
      "<h2>Jobs</h2><div class=\"scroll\"><table><thead><tr><th>job</th><th>queued</th><th>in flight</th><th>succeeded</th>"
      "<th>failed</th><th>cancelled</th><th>expired</th><th>cost</th><th></th></tr></thead><tbody>";
  for (const JobView& j : status.jobs) {
    const std::array<Part, 3> parts{{{"ok", j.succeeded}, {"bad", j.failed + j.cancelled + j.expired}, {"run", j.in_flight}}};
    out += "<tr><td>" + escaped(j.job) + "</td><td>" + grouped(j.queued) + "</td><td>" + grouped(j.in_flight) + "</td><td>" +
           grouped(j.succeeded) + "</td><td>" + grouped(j.failed) + "</td><td>" + grouped(j.cancelled) + "</td><td>" +
           grouped(j.expired) + "</td><td>" + (j.cost > 0 ? "$" + dollars(j.cost) : "") + "</td><td class=\"wide\">" +
           bar(parts, j.accepted()) + "</td></tr>";
  }
  if (status.jobs.empty()) out += "<tr><td class=\"soft\">none yet</td></tr>";
  return out + "</tbody></table></div>";
}

}  // namespace

std::string render_page_body(const StatusSnapshot& status, const Readiness& readiness) {
  return head(status, readiness) + requests(status) + deployments(status) + jobs(status) + shards(status) +
         "<footer><a href=\"/metrics\">metrics</a> · <a href=\"/status\">status as JSON</a></footer>";
}

std::string render_page(const StatusSnapshot& status, const Readiness& readiness) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>batchd</title>"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
      "<noscript><meta http-equiv=\"refresh\" content=\"5\"></noscript><link rel=\"icon\" href=\"data:,\"><style>";
  out += style;
  out += "</style></head><body><main>" + render_page_body(status, readiness) + "</main><script>";
  out += script;
  return out + "</script></body></html>\n";
}

}  // namespace batchd
