#!/usr/bin/env python3
"""Money, with real daemons: what answers cost by the simulator's own books, caps that hold over replicas and kills, and what says so."""

import json
import pathlib
import re
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BATCHD, Stack, chat, environment, until  # noqa: E402

NANO = 1_000_000_000
INPUT, OUTPUT = 1_000, 2_000  # nanodollars a token: 1 and 2 dollars a million
PRICES = "input = 1\noutput = 2"
FREE_INPUT = "input = 0\noutput = 2"
MODEL = 'prices."gpt-4o-mini"'


class Money(Stack):
    def setUp(self):
        super().setUp()
        # The sums are of a UTC day, and no test is to see it turn by itself.
        left = 86_400 - time.time() % 86_400
        if left < 90:
            time.sleep(left)

    def serve_with(self, budget, prices=PRICES, **more):
        return self.serve(self.config(**{MODEL: prices, "budget": budget, **more}))

    def billed(self):
        """What the provider's books come to, in nanodollars."""
        books = self.ledger()
        return books["input_tokens_billed"] * INPUT + books["output_tokens_billed"] * OUTPUT

    def quiet(self):
        """No shard is on its way any more."""
        return self.number_of("SELECT count(*) FROM batchd.shard WHERE state IN ('planned', 'uploaded', 'submitted', 'finished')") == 0

    def spent(self):
        return self.number_of("SELECT coalesce(sum(spent), 0) FROM batchd.money_day")

    def reserved(self):
        return self.number_of("SELECT coalesce(sum(reserved), 0) FROM batchd.money_day")

    def settled_count(self):
        return self.number_of("SELECT count(*) FROM batchd.result")

    def stopped(self, daemon):
        """The lane waits for money, and nothing is under way that could change that."""
        until("the cap stops the lane", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="budget"}') == 1.0)
        until("nothing is under way", self.quiet)

    def batchd(self, daemon, *arguments):
        done = subprocess.run([BATCHD, *arguments, "--config", daemon.config], capture_output=True, env=environment())
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def books_balance(self):
        """Nothing is reserved any more, and every sum says what was billed."""
        until("everything is merged", self.quiet)
        self.assertEqual(0, self.reserved())
        self.assertEqual(0, self.number_of("SELECT coalesce(sum(reserved), 0) FROM batchd.money_job"))
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.shard_money"))
        for sums in ("money_day", "money_job", "money_deployment"):
            self.assertEqual(self.billed(), self.number_of(f"SELECT coalesce(sum(spent), 0) FROM batchd.{sums}"), sums)


class Costs(Money):
    def test_jobs_days_and_deployments_cost_what_the_provider_billed(self):
        self.sim("--fast")
        daemon = self.serve_with("", planner='linger = "50ms"\nmax_requests = 30')
        self.enqueue([chat(f"prompt {i} " + "word " * (i % 40)) for i in range(100)], job="first")
        self.enqueue([chat(f"other {i}") for i in range(50)], job="second")
        self.settled(150)
        self.books_balance()
        self.assertGreater(self.billed(), 0)
        by_job = dict(line.split("|") for line in self.sql("SELECT job, (cost * 1000000000)::bigint FROM batchd.job_progress").splitlines())
        self.assertEqual(self.billed(), sum(map(int, by_job.values())))
        tokens = self.sql("SELECT input_tokens, output_tokens FROM batchd.job_progress WHERE job = 'first'").split("|")
        self.assertEqual(int(tokens[0]) * INPUT + int(tokens[1]) * OUTPUT, int(by_job["first"]))
        self.assertEqual(self.billed(), int(self.sql("SELECT sum(cost * 1000000000)::bigint FROM batchd.cost_by_day WHERE deployment = 'mini'")))

        self.assertAlmostEqual(self.billed() / NANO, daemon.metric('batchd_cost_usd_total{deployment="mini"}'), 9)
        until("the day's gauge", lambda: abs((daemon.metric("batchd_cost_today_usd") or 0) - self.billed() / NANO) < 1e-9)
        self.assertIsNone(daemon.metric("batchd_budget_remaining_usd"), "there is no cap")
        code, out, _ = self.batchd(daemon, "status", "first", "--json")
        self.assertEqual(0, code)
        self.assertAlmostEqual(int(by_job["first"]) / NANO, json.loads(out)["cost_usd"], 9)
        self.assertRegex(self.batchd(daemon, "status", "first")[1], r"\$0\.\d+ spent")
        shown = json.loads(daemon.get("/status")[1])
        self.assertAlmostEqual(self.billed() / NANO, sum(job["cost_usd"] for job in shown["jobs"]), 9)

    def test_answers_of_cancelled_and_expired_batches_are_paid_and_the_rest_comes_back(self):
        for end in ("cancelled", "expired"):
            with self.subTest(end):
                self.afresh()
                self.sim("--fast", "--running", "1h")
                self.serve_with("daily = 100")
                self.enqueue([chat(f"prompt {i}") for i in range(20)])
                batch = until("a batch", lambda: self.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted'"))
                self.assertGreater(self.reserved(), 0)
                self.control(f"batches/{batch}/end", end=end, share=0.4)
                until("the partial answers", lambda: self.settled_count() >= 8)
                again = until("the others in another batch", lambda: self.sql(
                    "SELECT batch_id FROM batchd.shard WHERE state = 'submitted'").replace(batch, ""))
                self.complete(again)
                self.settled(20)
                self.books_balance()

    def test_without_prices_nothing_is_written(self):
        self.sim("--fast")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        self.settled(20)
        until("everything is merged", self.quiet)
        for table in ("price", "money_day", "money_job", "money_deployment", "shard_money", "money_wait", "output_size"):
            self.assertEqual(0, self.number_of(f"SELECT count(*) FROM batchd.{table}"), table)
        self.assertEqual(0.0, daemon.metric('batchd_cost_usd_total{deployment="mini"}'), "there from the start")


class Caps(Money):
    def test_a_daily_cap_holds_over_two_replicas_and_a_kill_and_is_raised(self):
        self.sim("--fast")
        cap = 20_000_000  # 0.02 dollars: some hundred answers of at most a hundred tokens
        self.sql(f"ALTER TABLE batchd.money_day ADD CONSTRAINT never_passed CHECK (spent + reserved <= {cap})")
        small = 'linger = "50ms"\nmax_requests = 10'
        budget = f"daily = {cap / NANO}"
        daemons = [self.serve_with(budget, planner=small) for _ in range(2)]
        self.enqueue([chat(f"prompt {i}", max_tokens=100) for i in range(600)], job="big")
        until("some answers", lambda: self.settled_count() > 20)
        daemons[0].kill()
        daemons.append(self.serve_with(budget, planner=small))
        for daemon in daemons[1:]:
            self.stopped(daemon)
        self.assertLess(self.settled_count(), 600)
        self.assertLessEqual(self.billed(), cap)
        self.assertEqual(self.billed(), self.spent())
        self.assertGreater(self.billed(), cap // 2, "what is left is less than what waits")
        self.conserved()
        self.assertEqual("", self.sql("SELECT string_agg(DISTINCT state, ' ') FROM batchd.request_status WHERE state NOT IN ('queued', 'succeeded')"))
        self.says_so(daemons[1])

        self.sql("ALTER TABLE batchd.money_day DROP CONSTRAINT never_passed")
        for daemon in daemons[1:]:
            self.assertLessEqual(len(daemon.saw("budget.exhausted")), len(daemon.saw("budget.sufficient")) + 1, "once each time")
        raised = self.serve_with("daily = 10", planner=small)
        self.settled(600)
        self.books_balance()
        for daemon in (daemons[1], raised):
            until("the lane goes on", lambda d=daemon: d.metric('batchd_lane_paused{deployment="mini",reason="budget"}') in (None, 0.0))
            left = 10 - self.billed() / NANO
            until("what is left", lambda d=daemon: abs((d.metric("batchd_budget_remaining_usd") or 0) - left) < 1e-9)

    def says_so(self, daemon):
        self.assertTrue(daemon.saw("budget.exhausted"))
        shown = json.loads(daemon.get("/status")[1])
        self.assertEqual("budget", shown["deployments"][0]["paused"])
        self.assertEqual(0.02, shown["budget"]["daily_usd"])
        self.assertIn("wait for money", daemon.get("/")[1])
        self.assertIn("waiting for money", self.batchd(daemon, "status", "big")[1])
        self.assertTrue(json.loads(self.batchd(daemon, "status", "big", "--json")[1])["waits_for_money"])
        findings = json.loads(self.batchd(daemon, "doctor", "--json")[1])["findings"]
        budget = [finding for finding in findings if finding["subject"] == "budget"]
        self.assertEqual(["warn"], [finding["level"] for finding in budget])
        self.assertIn("gpt-4o-mini of job big", budget[0]["sentence"])

    def test_the_next_day_has_its_own(self):
        self.sim("--fast")
        daemon = self.serve_with("daily = 0.004", FREE_INPUT)
        self.enqueue([chat(f"prompt {i}", max_tokens=100) for i in range(60)])
        self.stopped(daemon)
        first = self.settled_count()
        self.assertLess(first, 60)
        self.sql("UPDATE batchd.money_day SET day = day - 1; UPDATE batchd.money_deployment SET day = day - 1")
        until("another day's worth", lambda: self.settled_count() > first)
        self.conserved()

    def test_a_jobs_cap_stops_that_job_only(self):
        self.sim("--fast")
        daemon = self.serve_with("per_job = 0.004", FREE_INPUT)
        self.enqueue([chat(f"big {i}", max_tokens=100) for i in range(100)], job="big")
        self.stopped(daemon)
        self.enqueue([chat(f"small {i}", max_tokens=100) for i in range(10)], job="small")
        until("the other job", lambda: self.sql("SELECT succeeded FROM batchd.job_progress WHERE job = 'small'") == "10")
        until("nothing is under way", self.quiet)
        self.assertLessEqual(self.number_of("SELECT spent FROM batchd.money_job WHERE job = 'big'"), 4_000_000)
        self.assertLess(self.number_of("SELECT succeeded FROM batchd.job_progress WHERE job = 'big'"), 100)
        self.assertIn("waiting for money", self.batchd(daemon, "status", "big")[1])
        self.assertNotIn("waiting for money", self.batchd(daemon, "status", "small")[1])
        self.conserved()

    def test_what_is_set_aside_is_what_answers_may_have(self):
        # Of a cap of 5,000 output tokens, with batches that never end.
        for what, budget, more, rows in (
                ("what is assumed", "assumed_output = 100", {}, 50),
                ("the request's limit, when it is smaller", "assumed_output = 100", {"max_tokens": 50}, 100),
                ("what is assumed, when it is larger", "assumed_output = 100", {"max_completion_tokens": 1000}, 50),
                ("each choice", "assumed_output = 100", {"max_tokens": 50, "n": 2}, 50),
                ("strict: the request's limit", "assumed_output = 100\nstrict = true", {"max_completion_tokens": 1000}, 5),
                ("strict: the configured maximum", "assumed_output = 100\nstrict = true\nmax_output = 2500", {}, 2)):
            with self.subTest(what):
                self.afresh()
                self.sim("--fast", "--running", "1h")
                daemon = self.serve_with("daily = 0.01\n" + budget, FREE_INPUT)
                self.enqueue([chat(f"prompt {i}", **more) for i in range(120)])
                until("it is submitted", lambda: self.reserved() == 10_000_000)
                until("the rest waits", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="budget"}') == 1.0)
                sent = self.number_of("SELECT sum(s.requests - coalesce(bit_count(p.decided), 0)) FROM batchd.shard s "
                                      "LEFT JOIN batchd.shard_progress p ON p.shard_id = s.id WHERE s.state = 'submitted'")
                self.assertEqual(rows, sent)
                until("the gauge", lambda: daemon.metric("batchd_budget_reserved_usd") == 0.01)
                self.assertEqual(0.0, daemon.metric("batchd_budget_remaining_usd"))
                self.conserved()

    def test_a_request_above_a_whole_cap_waits_visibly_and_in_nobodys_way(self):
        self.sim("--fast")
        budget = "\nassumed_output = 1000000"
        daemon = self.serve_with("daily = 1" + budget, FREE_INPUT)
        above = self.enqueue([chat("endless", max_tokens=900_000)])[0]
        until("the lane says so", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="budget"}') == 1.0)
        self.enqueue([chat(f"prompt {i}", max_tokens=100) for i in range(20)])
        until("the others", lambda: self.settled_count() == 20)
        until("nothing is under way", self.quiet)
        state, error = self.sql(f"SELECT state, last_error->>'code' FROM batchd.request_status WHERE id = {above}").split("|")
        self.assertEqual(("queued", "above_budget"), (state, error))
        shards = self.number_of("SELECT count(*) FROM batchd.shard")
        time.sleep(2)
        self.assertEqual(shards, self.number_of("SELECT count(*) FROM batchd.shard"), "no loop without progress")
        self.serve_with("daily = 5" + budget, FREE_INPUT)
        self.settled(21)

    def test_what_answers_usually_have_is_learned(self):
        self.sim("--fast")
        # 4,000 assumed tokens are 0.008 dollars: 125 requests at first, and all the others at once when answers turn out short.
        self.serve_with("daily = 1\nassumed_output = 4000", FREE_INPUT)
        self.enqueue([chat(f"prompt {i}") for i in range(500)])
        self.settled(500)
        until("everything is merged", self.quiet)
        most = self.number_of("SELECT max(requests) FROM batchd.shard")
        self.assertEqual(500, most, "the first file's rows were planned together")
        self.assertLessEqual(self.number_of("SELECT count(*) FROM batchd.shard WHERE submitted_at IS NOT NULL"), 4)


class DryRun(Money):
    def rows_of_everything(self):
        return self.sql("SELECT (SELECT count(*) FROM batchd.request), (SELECT count(*) FROM batchd.request_key), "
                        "(SELECT count(*) FROM batchd.queue), (SELECT count(*) FROM batchd.delta), (SELECT count(*) FROM batchd.money_day), "
                        "(SELECT last_value FROM batchd.request_id), (SELECT last_value FROM batchd.shard_id)")

    def lines(self, name, count, **more):
        path = self.place / name
        path.write_text("".join(json.dumps({"custom_id": f"k{i}", "method": "POST", "url": "/v1/chat/completions",
                                            "body": chat(f"prompt {i}", **more)}) + "\n" for i in range(count)))
        return str(path)

    def dry(self, daemon, *arguments):
        code, out, err = self.batchd(daemon, "submit", "--dry-run", "--json", *arguments)
        self.assertEqual(0, code, err)
        return json.loads(out)

    def test_says_what_a_file_would_come_to_and_writes_nothing(self):
        self.sim("--fast")
        daemon = self.serve_with("daily = 10\nassumed_output = 1000", planner='linger = "50ms"\nmax_requests = 50')
        daemon.stop()
        before = self.rows_of_everything()
        said = self.dry(daemon, "--job", "j", self.lines("a.jsonl", 120))
        self.assertEqual((120, 120, 0, 3), (said["rows"], said["new"], said["known"], said["shards"]))
        self.assertGreater(said["tokens"], 120 * 10)
        self.assertAlmostEqual((said["tokens"] * INPUT + 120 * 1000 * OUTPUT) / NANO, said["most_usd"], 9)
        self.assertEqual(10, said["budget_left_usd"])
        self.assertIsNone(said["expected_finish"])
        self.assertEqual({}, said["unserved"])
        self.assertEqual(before, self.rows_of_everything())
        code, out, _ = self.batchd(daemon, "submit", "--dry-run", "--job", "j", self.lines("a.jsonl", 120))
        self.assertEqual(0, code)
        self.assertRegex(out, re.compile(r"120 rows .*3 files; nothing was enqueued\ncost: about \$0\.\d+, at most \$0\.\d+", re.S))

        # When some are answered: known keys, shorter answers, and how long a batch takes.
        daemon.start()
        self.assertEqual(0, self.batchd(daemon, "submit", "--job", "j", self.lines("a.jsonl", 120))[0])
        self.settled(120)
        until("everything is merged", self.quiet)
        daemon.stop()
        before = self.rows_of_everything()
        said = self.dry(daemon, "--job", "j", self.lines("b.jsonl", 150))
        self.assertEqual((150, 30, 120, 1), (said["rows"], said["new"], said["known"], said["shards"]))
        self.assertLess(said["most_usd"], 30 * 200 * OUTPUT / NANO)
        self.assertLessEqual(said["cost_usd"], said["most_usd"])
        self.assertLess(said["budget_left_usd"], 10)
        self.assertRegex(said["expected_finish"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(before, self.rows_of_everything())

    def test_says_what_nobody_takes_and_what_is_wrong(self):
        self.sim("--fast")
        daemon = self.serve()
        daemon.stop()
        path = self.place / "other.jsonl"
        path.write_text(json.dumps({"model": "nobody-has-it", "messages": []}) + "\n")
        said = self.dry(daemon, "--job", "j", str(path))
        self.assertEqual({"nobody-has-it": 1}, said["unserved"])
        self.assertIsNone(said["cost_usd"])
        path.write_text("{}\nnonsense\n")
        code, out, err = self.batchd(daemon, "submit", "--dry-run", "--job", "j", str(path))
        self.assertEqual((1, ""), (code, out))
        self.assertIn("line 2", err)
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.request"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
