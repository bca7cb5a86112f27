#!/usr/bin/env python3
"""The commands with which people look at work under way and steer it, as processes: cancel, retry, pause, resume, batches, doctor,
adopt. A real PostgreSQL, real daemons, the simulator."""

import http.server
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BATCHD, Stack, asking_for, chat, environment, until  # noqa: E402


class Commands(Stack):
    def run_batchd(self, *arguments, expect=0, stdin="", **variables):
        """Runs a command on the test's database; returns its stdout."""
        variables.setdefault("BATCHD_DATABASE_URL", self.url)
        self.done = subprocess.run([BATCHD, *map(str, arguments)], input=stdin.encode(), capture_output=True, timeout=60,
                                   env=environment(**variables))
        self.talk = self.done.stderr.decode()
        self.assertEqual(expect, self.done.returncode, f"{arguments}: {self.done.stdout.decode()}{self.talk}")
        return self.done.stdout.decode()

    def json_of(self, *arguments, **more):
        return json.loads(self.run_batchd(*arguments, "--json", **more))

    def in_flight(self, count=1):
        until("a batch under way", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted'") == count)

    def refuses_what_every_command_refuses(self, *arguments):
        """A database that is away, and one without our schema."""
        self.run_batchd(*arguments, expect=1, BATCHD_DATABASE_URL=f"postgresql:///nothing?host={self.cluster}&user=batchd")
        self.assertIn("nothing", self.talk)
        self.run_batchd(*arguments, expect=4, BATCHD_DATABASE_URL=self.url_of("postgres"))
        self.assertIn("batchd migrate", self.talk)


class Orders(Commands):
    """cancel, retry, pause, resume."""

    def test_cancel_says_what_was_cancelled_and_what_is_in_flight(self):
        self.enqueue([chat(f"waits {i}") for i in range(3)], job="j")
        self.assertEqual("j: 3 requests cancelled\n", self.run_batchd("cancel", "j"))
        self.assertEqual("j: nothing to cancel: every request is settled, or is to be cancelled already\n", self.run_batchd("cancel", "j"))
        self.assertEqual({"job": "j", "concerned": 0, "cancelled": 0, "in_flight": 0}, self.json_of("cancel", "j"))
        self.conserved()
        self.sim("--fast", "--running", "3s")
        self.serve()
        self.enqueue([asking_for("429", "under way"), asking_for("429", "also")], job="k")
        self.in_flight()
        self.sql("SELECT batchd.pause('job:k')")
        self.enqueue([chat("waits")], job="k")
        self.assertEqual({"job": "k", "concerned": 3, "cancelled": 1, "in_flight": 2}, self.json_of("cancel", "k"))
        self.assertIn("k: nothing to cancel", self.run_batchd("cancel", "k"))
        self.settled(6)
        self.assertEqual({"cancelled"}, {outcome for outcome, _, _ in self.outcomes().values()})

    def test_one_request_is_cancelled_by_its_id_or_its_key(self):
        self.sql("INSERT INTO batchd.request (model, body, job, key) SELECT 'gpt-4o-mini', '{}', 'j', 'k' || n FROM generate_series(1, 3) n")
        ids = [int(id) for id in self.sql("SELECT id FROM batchd.request ORDER BY id").split()]
        self.assertEqual(f"request {ids[0]} is cancelled\n", self.run_batchd("cancel", "--request", ids[0]))
        self.assertEqual(f"request {ids[0]} is settled already: cancelled\n", self.run_batchd("cancel", "--request", ids[0]))
        self.assertEqual({"job": "j", "key": "k2", "request": ids[1], "state": "cancelled", "cancelled": 1, "in_flight": 0},
                         self.json_of("cancel", "j", "--key", "k2"))
        self.assertEqual(1, self.number_of("SELECT queued FROM batchd.job_progress"))
        for arguments in (["--request", 999999], ["j", "--key", "k9"], ["nobody", "--key", "k1"], ["nobody"]):
            for command in ("cancel", "retry"):
                self.assertEqual("", self.run_batchd(command, *arguments, expect=1))
                self.assertRegex(self.talk, r"^batchd: (request 999999|the request 'k.' of job '\w+'|no request is kept under the job 'nobody')")
        self.conserved()

    def test_an_order_names_a_job_or_a_request_and_nothing_else(self):
        for arguments in ([], ["--key", "k"], ["j", "--request", 1], ["--request", 1, "--key", "k"], ["--request", "one"], ["j", "extra"]):
            for command in ("cancel", "retry"):
                with self.subTest(command, arguments=arguments):
                    self.assertEqual("", self.run_batchd(command, *arguments, expect=2))
                    self.assertIn(f"batchd {command}", self.talk)
        for command in ("cancel", "retry"):
            self.refuses_what_every_command_refuses(command, "j")
            self.refuses_what_every_command_refuses(command, "--request", "1")

    def test_a_producer_may_cancel_its_job(self):
        self.psql("DO $$ BEGIN CREATE ROLE cancelling_producer LOGIN IN ROLE batchd_producer; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
                  self.database)
        self.enqueue([chat("waits")], job="j")
        url = self.url.replace("user=batchd", "user=cancelling_producer")
        self.assertEqual("j: 1 request cancelled; of those in flight, none is sent again\n", self.run_batchd("cancel", "j", BATCHD_DATABASE_URL=url))
        self.enqueue([chat("waits")], job="j")
        self.assertEqual({"job": "j", "concerned": 1, "cancelled": None, "in_flight": None}, self.json_of("cancel", "j", BATCHD_DATABASE_URL=url))
        self.run_batchd("pause", expect=1, BATCHD_DATABASE_URL=url)
        self.assertIn("permission denied", self.talk)

    def test_retry_queues_again_what_did_not_succeed(self):
        self.sim("--fast")
        daemon = self.serve(retry='max_attempts = 1\nbase_delay = "20ms"\nmax_delay = "50ms"')
        ids = self.enqueue([asking_for("once-429", "again"), chat("fine"), asking_for("once-missing", "also")], job="j")
        self.settled(3)
        self.assertEqual(0, daemon.stop())
        self.assertEqual(f"request {ids[1]} has succeeded: there is nothing to try again\n", self.run_batchd("retry", "--request", ids[1]))
        self.assertEqual(f"request {ids[0]} is queued again; its result (failed) is in batchd.result_history\n",
                         self.run_batchd("retry", "--request", ids[0]))
        self.assertEqual(f"request {ids[0]} is not settled: it is queued\n", self.run_batchd("retry", "--request", ids[0]))
        self.assertEqual({"job": "j", "queued": 1}, self.json_of("retry", "j"))
        self.assertEqual("j: nothing to retry: no request was settled without success\n", self.run_batchd("retry", "j"))
        self.conserved()
        daemon.start()
        until("all succeeded", lambda: self.number_of("SELECT count(*) FROM batchd.result WHERE outcome = 'succeeded'") == 3)

    def test_pause_and_resume_say_whether_they_changed_anything(self):
        self.assertEqual("nothing is paused\n", self.run_batchd("pause", "--list"))
        self.assertEqual("all: paused; nothing new is submitted, what is submitted goes on\n", self.run_batchd("pause"))
        self.assertEqual("all was paused already\n", self.run_batchd("pause", "all"))
        self.assertEqual({"scope": "all", "paused": True, "changed": False}, self.json_of("pause"))
        self.enqueue([chat("waits")], job="j")
        self.run_batchd("pause", "job:j")
        self.assertEqual("", self.talk)
        listed = self.json_of("pause", "--list")["pauses"]
        self.assertEqual([("all", True, None), ("job:j", True, None)], [(p["scope"], p["asked"], p["until"]) for p in listed])
        self.assertRegex(listed[0]["since"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual("all: resumed\n", self.run_batchd("resume"))
        self.assertRegex(self.talk, "^still paused: job:j: by request, since 20")
        self.assertEqual("all was not paused\n", self.run_batchd("resume"))
        self.assertEqual(["job:j"], [p["scope"] for p in self.json_of("resume", "deployment:x")["still_paused"]])
        self.assertEqual({"scope": "job:j", "paused": False, "changed": True, "still_paused": []}, self.json_of("resume", "job:j"))

    def test_a_scope_that_is_none_is_refused_and_one_that_nobody_knows_is_a_warning(self):
        for command in ("pause", "resume"):
            for scope in ("everything", "job:", "jobs:x", "deployment:", ""):
                with self.subTest(command, scope=scope):
                    self.assertEqual("", self.run_batchd(command, scope, expect=2))
                    self.assertIn("expected all, job:NAME or deployment:NAME", self.talk)
            self.refuses_what_every_command_refuses(command, "all")
        self.run_batchd("pause", "job:later")
        self.assertIn("warning: nothing was enqueued under the job 'later' yet", self.talk)
        self.run_batchd("pause", "deployment:mimi")
        self.assertIn("no replica has run with it yet", self.talk)
        self.sql("INSERT INTO batchd.deployment (name, provider, model, enqueued_token_limit, generation, configured) VALUES ('mini', 'p', 'm', 1, 1, true)")
        self.run_batchd("pause", "deployment:mimo")
        self.assertIn("the nearest is 'mini'", self.talk)

    def test_a_pause_holds_back_submissions_until_it_is_resumed(self):
        self.run_batchd("pause", "deployment:mini")
        self.sim("--fast")
        daemon = self.serve()
        self.enqueue([chat("one")])
        until("the metric", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="asked"}') == 1)
        self.assertEqual(0, self.ledger()["calls"]["create_batch"])
        self.run_batchd("resume", "deployment:mini")
        self.settled(1)

    def test_what_batchd_paused_by_itself_is_shown_and_resumed(self):
        self.sim("--fast", "--api-key", "another-key")
        self.serve(retry='base_delay = "1h"\nmax_delay = "1h"')
        self.enqueue([chat("one")])
        pauses = until("the pause", lambda: self.json_of("pause", "--list")["pauses"])
        self.assertEqual([("deployment:mini", False, None)], [(p["scope"], p["asked"], p["since"]) for p in pauses])
        self.assertRegex(pauses[0]["until"], r"^20\d\d-")
        self.assertRegex(self.run_batchd("pause", "--list"), r"^deployment:mini: by batchd, .*, tried again at 20")
        self.assertEqual("deployment:mini: resumed\n", self.run_batchd("resume", "deployment:mini"))


if __name__ == "__main__":
    unittest.main()
