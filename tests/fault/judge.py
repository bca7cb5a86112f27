"""Compares a site with what was asked of it, row by row: the tables, the counters and the provider's ledger."""

import collections
import hashlib

# By kind of row: the outcomes it may have, how often its prompt may run, how often it may be paid for, and its attempts.
# What is answered is paid for, and what is paid for succeeds: `None` for paid says that it is as often as it succeeded.
Verdict = collections.namedtuple("Verdict", "outcomes ran paid attempts")
VERDICTS = {
    "ok": Verdict({"succeeded"}, {1}, None, {1}),
    "once-429": Verdict({"succeeded"}, {2}, None, {2}),
    "once-missing": Verdict({"succeeded"}, {2}, {1, 2}, {2}),
    "400": Verdict({"failed"}, {1}, None, {1}),
    "invalid": Verdict({"failed"}, {0}, None, {0, 1}),
    "poison_silent": Verdict({"failed"}, {0}, None, {0, 1, 2, 3, 4, 5}),
    "poison_create": Verdict({"failed"}, {0}, None, {0, 1, 2, 3, 4, 5}),
    "cancelled": Verdict({"cancelled", "succeeded"}, {0, 1}, None, {0, 1}),
    "unroutable": Verdict({"failed"}, {0}, None, {0}),
    "overdue": Verdict({"expired"}, {0}, None, {0}),
    "vanished": Verdict({"succeeded"}, {1}, None, {2}),
}


def hash_of(prompt):
    return hashlib.sha256(prompt.encode()).hexdigest()


def judge(site, excused=(), verdicts=None):
    """Returns figures; AssertionError when anything was lost, merged twice, billed twice or left lying about."""
    site.conserved()
    problems = compare(site, {**VERDICTS, **(verdicts or {})})
    ledger = site.ledger()
    problems += [f"the simulator saw: {violation}" for violation in ledger["violations"]]
    for figure in ("requests_executed_more_than_once", "inputs_deleted_while_needed", "inputs_used_again"):
        if ledger[figure] > 0 and figure not in excused:
            problems.append(f"{figure}: {ledger[figure]}")
    for left, query in {"reserved tokens": "SELECT coalesce(sum(reserved), 0) FROM batchd.deployment",
                        "reserved money of days": "SELECT coalesce(sum(reserved), 0) FROM batchd.money_day",
                        "reserved money of jobs": "SELECT coalesce(sum(reserved), 0) FROM batchd.money_job",
                        "shards' money": "SELECT count(*) FROM batchd.shard_money",
                        "members of shards": "SELECT count(*) FROM batchd.shard_member",
                        "counted attempts": "SELECT count(*) FROM batchd.request_attempt",
                        "cancel wishes": "SELECT count(*) FROM batchd.cancel_wish",
                        "leases": "SELECT count(*) FROM batchd.shard WHERE owner IS NOT NULL"}.items():
        if site.number_of(query) != 0:
            problems.append(f"{left} that are left: {site.number_of(query)}")
    cost = site.number_of("SELECT coalesce(sum(1000 * input_tokens + 2000 * output_tokens), 0) FROM batchd.result WHERE outcome = 'succeeded'")
    for sums in ("money_day", "money_job", "money_deployment"):
        if site.number_of(f"SELECT coalesce(sum(spent), 0) FROM batchd.{sums}") != cost:
            problems.append(f"{sums} says something else than the answers, which have cost {cost}")
    if problems:
        raise AssertionError(f"{len(problems)} problems:\n  " + "\n  ".join(problems[:20]))
    return {"rows": len(site.rows), "batches": ledger["batches_created"], "files_left": ledger["files_now"]}


def compare(site, verdicts):
    ran, paid = collections.Counter(), collections.Counter()
    for execution in site.executions():
        ran[execution["prompt_sha256"]] += 1
        paid[execution["prompt_sha256"]] += execution["status"] == 200
    results = collections.defaultdict(list)
    for line in site.sql("SELECT request_id, outcome, attempt, coalesce(response->'choices'->0->'message'->>'content', '') "
                         "FROM batchd.result").splitlines():
        id, outcome, attempt, content = line.split("|", 3)
        results[int(id)].append((outcome, int(attempt), content))
    problems = [f"request {id}: nobody asked for it" for id in results.keys() - site.rows.keys()]
    for id, (kind, prompt) in site.rows.items():
        if len(results[id]) != 1:
            problems.append(f"request {id} ({kind}): {len(results[id])} results")
            continue
        (outcome, attempt, content), verdict, hashed = results[id][0], verdicts[kind], hash_of(prompt)
        if outcome not in verdict.outcomes:
            problems.append(f"request {id} ({kind}): {outcome}")
        if outcome == "succeeded" and not content.startswith(f"sha256:{hashed} "):
            problems.append(f"request {id} ({kind}): an answer to something else: {content[:80]}")
        if ran[hashed] not in verdict.ran:
            problems.append(f"request {id} ({kind}): ran {ran[hashed]} times")
        if paid[hashed] not in (verdict.paid or {int(outcome == "succeeded")}):
            problems.append(f"request {id} ({kind}): {outcome}, and paid for {paid[hashed]} times")
        if attempt not in verdict.attempts:
            problems.append(f"request {id} ({kind}): attempt {attempt}")
    return problems
