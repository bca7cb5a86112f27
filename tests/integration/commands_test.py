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
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BATCHD, DEADLINE, Stack, asking_for, chat, environment, until  # noqa: E402


class Commands(Stack):
    def run_batchd(self, *arguments, expect=0, stdin="", **variables):
        """Runs a command on the test's database; returns its stdout."""
        variables.setdefault("BATCHD_DATABASE_URL", self.url)
        self.done = subprocess.run([BATCHD, *map(str, arguments)], input=stdin.encode(), capture_output=True, timeout=60,
                                   env=environment(**{name: value for name, value in variables.items() if value}))
        self.talk = self.done.stderr.decode()
        self.assertEqual(expect, self.done.returncode, f"{arguments}: {self.done.stdout.decode()}{self.talk}")
        return self.done.stdout.decode()

    def json_of(self, *arguments, **more):
        return json.loads(self.run_batchd(*arguments, "--json", **more))

    def in_flight(self, count=1):
        until("a batch under way", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted'") == count)

    def complete_all(self):
        for batch in self.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted'").split():
            self.complete(batch)

    def refuses_what_every_command_refuses(self, *arguments):
        """A database that is away, and one without our schema."""
        self.run_batchd(*arguments, expect=1, BATCHD_DATABASE_URL=f"postgresql:///nothing?host={self.cluster}&user=batchd")
        self.assertIn("nothing", self.talk)
        self.run_batchd(*arguments, expect=4, BATCHD_DATABASE_URL=self.url_of("postgres"))
        self.assertIn("batchd migrate", self.talk)


class Orders(Commands):
    """cancel, retry, pause, resume."""

    def test_every_command_here_has_help_with_its_options(self):
        for command, words in {"cancel": ["JOB", "--key", "--request", "--json"], "retry": ["JOB", "--key", "--request", "--json"],
                               "pause": ["SCOPE", "--list", "--json"], "resume": ["SCOPE", "--json"],
                               "batches": ["--deployment", "--remote", "--provider", "--status", "--since", "--json"], "doctor": ["--json"],
                               "adopt": ["--as-new-instance", "--yes", "--json"]}.items():
            help = self.run_batchd(command, "--help")
            for word in ["Usage: batchd", "--config", *words]:
                self.assertIn(word, help, command)

    def test_cancel_says_what_was_cancelled_and_what_is_in_flight(self):
        self.enqueue([chat(f"waits {i}") for i in range(3)], job="j")
        self.assertEqual("j: 3 requests cancelled\n", self.run_batchd("cancel", "j"))
        self.assertEqual("j: nothing to cancel: every request is settled, or is to be cancelled already\n", self.run_batchd("cancel", "j"))
        self.assertEqual({"job": "j", "concerned": 0, "cancelled": 0, "in_flight": 0}, self.json_of("cancel", "j"))
        self.conserved()
        self.sim("--fast", "--running", "1h", "--cancelling", "5s")
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


class FakeProvider:
    """A provider whose every answer the test writes: `answer(path, query)` gives (status, headers, object)."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                path, _, query = self.path.partition("?")
                status, headers, body = answer(path, urllib.parse.parse_qs(query))
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def batch_object(id, **more):
    return {"id": id, "object": "batch", "status": "completed", "created_at": 1_700_000_000, "input_file_id": "file-" + id, **more}


class WithConfig(Commands):
    def setUp(self):
        super().setUp()
        self.file = self.place / "batchd.toml"

    def configured(self, **options):
        self.file.write_text(self.config(**options))
        return self.file

    def fake(self, answer):
        self.provider = FakeProvider(answer)
        self.addCleanup(self.provider.stop)
        return self.configured(kind="openai")

    def on(self, *arguments, **more):
        """A command with the test's configuration; no environment."""
        return self.run_batchd(*arguments, "--config", self.file, BATCHD_DATABASE_URL="", **more)

    def object_on(self, *arguments, **more):
        return json.loads(self.on(*arguments, "--json", **more))


class Looking(WithConfig):
    """batches, with and without --remote."""

    def test_our_shards_and_their_batches(self):
        self.assertEqual("no shards are under way\n", self.run_batchd("batches"))
        self.assertEqual({"shards": [], "more": False}, self.json_of("batches"))
        self.sim("--fast", "--running", "1h")
        self.serve()
        self.enqueue([chat("one"), chat("two")], job="j")
        until("its batch runs", lambda: self.sql("SELECT batch_status FROM batchd.shard") == "in_progress")
        shard, batch, file = self.sql("SELECT id, batch_id, input_file FROM batchd.shard").split("|")
        lines = self.run_batchd("batches").splitlines()
        self.assertRegex(lines[0], r"^shard  state +batch +status +deployment  requests  attempt  for$")
        self.assertRegex(lines[1], rf"^{shard} +submitted  {batch}  in_progress +mini +2 +1 +\d+s$")
        line = self.json_of("batches")["shards"][0]
        self.assertGreaterEqual(line.pop("age_seconds"), 0)
        self.assertEqual({"shard": int(shard), "state": "submitted", "batch": batch, "status": line["status"], "provider": "sim",
                          "deployment": "mini", "model": "gpt-4o-mini", "attempt": 1, "requests": 2, "input_file": file,
                          "answer_unknown": False, "error": None}, line)
        self.assertEqual(1, len(self.json_of("batches", "--deployment", "mini")["shards"]))
        self.assertEqual("no shards are under way for the deployment 'other'\n", self.run_batchd("batches", "--deployment", "other"))
        self.refuses_what_every_command_refuses("batches")

    def test_what_went_wrong_with_a_shard_is_shown(self):
        self.sql("""INSERT INTO batchd.shard (model, endpoint, deployment, provider, priority, requests, bytes, tokens, state, input_file, intent_at, error)
                    VALUES ('m', '/v1/chat/completions', 'mini', 'sim', 0, 5, 1, 1, 'uploaded', 'file-1', now(), '{"code":"server_error","message":"try later"}')""")
        self.assertRegex(self.run_batchd("batches").splitlines()[1], r"uploaded +- +answer unknown +mini .*server_error: try later$")
        line = self.json_of("batches")["shards"][0]
        self.assertEqual(({"code": "server_error", "message": "try later"}, True, None, None),
                         (line["error"], line["answer_unknown"], line["batch"], line["status"]))

    def test_the_providers_list_shows_whose_each_batch_is(self):
        for kind, resource in (("azure", "azure"), ("openai", "openai")):
            with self.subTest(kind):
                self.afresh()
                self.file = self.place / "batchd.toml"
                self.sim("--fast", "--running", "1h")
                daemon = self.serve(config=self.configured(kind=kind).read_text())
                self.enqueue([chat("one")], job="j")
                self.in_flight()
                mine, shard = self.sql("SELECT batch_id, id FROM batchd.shard").split("|")
                self.provider.control("foreign", batches=2, resource=resource)
                other = self.provider.control("foreign", batches=1, resource=resource, status="completed",
                                              metadata={"batchd_instance": "another", "batchd_shard": "7"})["batches"][0]
                listed = {batch["batch"]: batch for batch in self.object_on("batches", "--remote")["batches"]}
                self.assertEqual(4, len(listed))
                self.assertEqual((True, shard, "submitted", "sim", {"total": 1, "completed": 0, "failed": 0}),
                                 tuple(listed[mine][name] for name in ("ours", "shard", "shard_state", "provider", "requests")))
                self.assertEqual((False, "another", "7", None), tuple(listed[other][n] for n in ("ours", "instance", "shard", "shard_state")))
                self.assertRegex(listed[mine]["created"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
                text = self.on("batches", "--remote")
                self.assertRegex(text, rf"(?m)^sim +{mine}  in_progress .* ours: shard {shard}, submitted$")
                self.assertRegex(text, rf"(?m)^sim +{other}  completed .* foreign: instance another, shard 7$")
                self.assertEqual(2, len([line for line in text.splitlines() if line.endswith(" foreign")]))
                self.assertIn("4 batches, 1 of them ours", self.talk)
                self.assertEqual([other], [b["batch"] for b in self.object_on("batches", "--remote", "--status", "Completed")["batches"]])
                self.assertEqual(4, len(self.object_on("batches", "--remote", "--since", "1h", "--provider", "sim")["batches"]))
                self.assertEqual([], self.object_on("batches", "--remote", "--since", "2100-01-01")["batches"])
                self.assertEqual([], self.ledger()["violations"])
                daemon.kill()

    def test_every_batch_is_shown_once_however_many_pages_there_are_and_whatever_comes_meanwhile(self):
        self.sim("--fast")
        self.configured()
        made = self.provider.control("foreign", batches=250, resource="azure")["batches"]
        self.fault(operation="list", fault="insert", count=3)
        listed = [batch["batch"] for batch in self.object_on("batches", "--remote")["batches"]]
        self.assertEqual(len(set(listed)), len(listed))
        self.assertTrue(set(made) <= set(listed), len(listed))

    def test_a_provider_that_can_choose_lists_only_what_is_wanted(self):
        self.sim("--fast")
        for version, pages in (("2024-10-21", 3), ("2025-04-01-preview", 1)):
            with self.subTest(version):
                self.provider.request("POST", "/sim/reset")
                self.file.write_text(self.config().replace("2024-10-21", version))
                self.provider.control("foreign", batches=250, resource="azure")
                wanted = self.provider.control("foreign", batches=2, resource="azure", status="failed")["batches"]
                listed = self.object_on("batches", "--remote", "--status", "failed", "--since", "1h")["batches"]
                self.assertEqual(set(wanted), {batch["batch"] for batch in listed})
                self.assertEqual(pages, self.ledger()["calls"]["list"])
                running = self.object_on("batches", "--remote", "--status", "in_progress")["batches"]
                self.assertEqual(250, len(running), "and what a filter cannot say is chosen here")

    def test_a_list_that_leads_nowhere_ends_with_a_sentence(self):
        pages = iter(range(1000))

        def stuck(path, query):
            return 200, {}, {"data": [batch_object(f"batch_{next(pages)}")], "has_more": True, "last_id": "same"}

        self.fake(stuck)
        answer = self.object_on("batches", "--remote", expect=1)
        self.assertEqual(2, len(answer["batches"]))
        self.assertIn("the cursor same was given twice", answer["problems"][0]["message"])
        self.assertIn("the cursor same was given twice", self.talk)

    def test_a_provider_that_is_throttled_or_in_trouble_is_asked_again(self):
        calls = []

        def moody(path, query):
            calls.append(path)
            if len(calls) < 3:
                return (429, {"retry-after-ms": "10"}, {"error": {"code": "429", "message": "slow down"}}) if len(calls) == 1 else (503, {}, {})
            return 200, {}, {"data": [batch_object("batch_1")], "has_more": False}

        self.fake(moody)
        self.assertEqual(["batch_1"], [batch["batch"] for batch in self.object_on("batches", "--remote")["batches"]])
        self.assertEqual(3, len(calls))

    def test_a_refused_key_is_said_with_what_to_do_and_leaves_whole_json(self):
        self.sim("--fast", "--api-key", "another-key")
        self.configured()
        answer = self.object_on("batches", "--remote", expect=1)
        self.assertEqual(([], "sim"), (answer["batches"], answer["problems"][0]["provider"]))
        self.assertRegex(self.talk, r"provider sim refuses the key: .*\(HTTP 401\); put a valid key into .*/key")
        self.assertNotIn("canary-key", self.done.stdout.decode() + self.talk)

    def test_wrong_wishes_are_refused(self):
        self.sim("--fast")
        self.configured()
        for arguments, expected in ((["--status", "done"], "go with --remote"), (["--remote", "--status", "done"], "expected validating, in_progress"),
                                    (["--remote", "--since", "yesterday"], "such as 24h"), (["--remote", "--provider", "sum"], "the nearest is 'sim'"),
                                    (["--remote", "--deployment", "mini"], "use --provider"), (["all"], "batches --help")):
            with self.subTest(arguments):
                self.assertEqual("", self.on("batches", *arguments, expect=2))
                self.assertIn(expected, self.talk)
        self.run_batchd("batches", "--remote", expect=2)
        self.assertIn("configuration", self.talk)


class Doctor(WithConfig):
    def examined(self, expect=0, **more):
        """{subject: (level, sentence, remedy)}; nothing that doctor says may hold a secret."""
        answer = self.object_on("doctor", expect=expect, **more)
        self.assertEqual((expect == 0, expect), (answer["healthy"], answer["exit_code"]))
        self.assertNotIn("canary-key", self.done.stdout.decode() + self.talk)
        found = {f["subject"]: (f["level"], f["sentence"], f["remedy"]) for f in answer["findings"]}
        self.assertEqual(len(answer["findings"]), len(found))
        for level, sentence, remedy in found.values():
            self.assertTrue(sentence and (level == "ok" or remedy), found)
        return found

    def expect_line(self, found, subject, level, sentence, remedy=""):
        self.assertEqual(level, found[subject][0], found[subject])
        self.assertRegex(found[subject][1], sentence)
        if remedy:
            self.assertRegex(found[subject][2], remedy)

    def alive(self):
        until("a replica at work", lambda: self.number_of("SELECT count(*) FROM batchd.deployment") == 1
              and self.number_of("SELECT count(*) FROM batchd.unmatched") == 0)

    def test_a_healthy_installation(self):
        self.sim("--fast")
        self.serve(config=self.configured().read_text())
        self.alive()
        found = self.examined()
        self.assertEqual(["database", "durability", "clock", "schema", "grants", "instance", "history", "replicas", "deployment mini", "queue",
                          "unroutable", "submissions", "provider sim", "files sim"], list(found))
        self.assertEqual({"durability"}, {subject for subject, finding in found.items() if finding[0] != "ok"}, "tests run without fsync")
        self.expect_line(found, "database", "ok", r"^PostgreSQL \d+\.\d+.*, \d+\.\d\d ms away$")
        self.expect_line(found, "files sim", "ok", "0 of 500 file slots taken, 0 of them by files that are not ours")
        text = self.on("doctor").splitlines()
        self.assertEqual(len(found), len(text))
        for line in text:
            self.assertRegex(line, r"^(ok  |warn)  [a-z]+( [a-z]+)? +\S")
        self.assertRegex(text[1], "^warn  durability .* -> turn it on, but for tests$")
        self.assertEqual([], self.ledger()["violations"])

    def test_a_fresh_installation_is_told_what_comes_next(self):
        self.sim("--fast")
        self.configured()
        self.enqueue([chat("waits")])
        self.enqueue(["{}", "{}"], model="unheard-of")
        found = self.examined()
        self.expect_line(found, "replicas", "warn", "no daemon is alive", "batchd serve")
        self.expect_line(found, "deployment mini", "warn", "no daemon has run with it yet")
        self.expect_line(found, "queue", "ok", "^3 requests wait, the oldest for \\d+s$")
        self.expect_line(found, "unroutable", "warn", r"unheard-of \(2\)", "add a \\[\\[deployment\\]\\]")

    def test_a_refused_key_is_exit_3_and_names_the_file(self):
        self.sim("--fast", "--api-key", "another-key")
        self.configured()
        found = self.examined(3)
        self.expect_line(found, "provider sim", "fail", r"^refuses the key: .*\(HTTP 401\)$", "put a valid key into .*/key; daemons read it again")
        self.assertNotIn("files sim", found)
        self.assertRegex(self.on("doctor", expect=3), r"(?m)^fail  provider sim +refuses the key: .* -> put a valid key into ")

    def test_what_else_a_provider_may_say(self):
        for status, body, headers, level, sentence, remedy in (
                (403, {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}}, {}, "fail", "denies access: Access denied", "firewall"),
                (404, {"error": {"code": "404", "message": "Resource not found"}}, {}, "fail", "has no batches at http://127.0.0.1", "check endpoint, kind"),
                (302, {}, {"Location": "https://login.example"}, "fail", "redirect", "endpoint of the API itself"),
                (429, {"error": {"code": "429", "message": "slow down"}}, {}, "warn", "asks for fewer calls: slow down", "nothing to do"),
                (503, {}, {}, "warn", "has trouble of its own", "daemons go on trying"),
                (429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}, {}, "fail", "does not serve this account", "provider")):
            with self.subTest(status=status, sentence=sentence):
                self.fake(lambda path, query: (status, headers, body))
                self.expect_line(self.examined(3 if level == "fail" else 0), "provider sim", level, sentence, remedy)

    def test_a_provider_that_cannot_be_reached_or_never_answers(self):
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self.provider = type("Nobody", (), {"port": held.getsockname()[1]})
            self.configured()
            self.expect_line(self.examined(3), "provider sim", "fail", "cannot be reached: ", "check the endpoint http://127.0.0.1")
            held.listen(8)  # takes connections and says nothing
            self.expect_line(self.examined(3), "provider sim", "fail", "no answer within 15 s", "firewalls")

    def test_file_slots_and_whose_they_are(self):
        self.sim("--fast", "--running", "1h")
        self.serve(config=self.configured().read_text())
        self.enqueue([chat("one")])
        self.in_flight()
        self.provider.control("foreign", batches=0, files=400)
        self.expect_line(self.examined(), "files sim", "warn", "^401 of 500 file slots taken, 400 of them by files that are not ours$", "delete files")
        self.provider.control("foreign", batches=0, files=99)
        self.expect_line(self.examined(3), "files sim", "fail", "^500 of 500 file slots taken, 499 .*nothing can be uploaded", "retention.remote_files")

    def test_pauses_and_limits_that_differ(self):
        self.sim("--fast")
        self.serve(config=self.configured().read_text())
        self.alive()
        self.sql("SELECT batchd.pause('all')")
        self.expect_line(self.examined(), "deployment mini", "warn", "paused by request", "batchd resume")
        self.sql("SELECT batchd.resume('all'); UPDATE batchd.deployment SET paused_until = now() + interval '1 hour', pause_reason = 'account'")
        self.expect_line(self.examined(), "deployment mini", "warn", "paused by batchd: account", "batchd resume deployment:mini")
        self.sql("UPDATE batchd.deployment SET paused_until = NULL")
        self.configured(limit="5M")
        self.expect_line(self.examined(), "deployment mini", "warn", "this configuration says 5,000,000", "restart")

    def test_a_database_that_is_away_does_not_keep_it_from_the_providers(self):
        self.sim("--fast")
        self.file.write_text(self.configured().read_text().replace(f"/{self.database}?", "/nothing?"))
        found = self.examined(3)
        self.expect_line(found, "database", "fail", 'database "nothing" does not exist', "check database.url")
        self.assertEqual(["database", "provider sim", "files sim"], list(found))
        self.expect_line(found, "files sim", "ok", "^0 of 500 file slots taken$")

    def test_a_database_that_falls_silent_does_not_hang_it(self):
        self.sim("--fast")
        self.configured()
        postmaster = int((pathlib.Path(self.cluster) / "data/postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGSTOP)
        try:
            self.expect_line(self.examined(3), "database", "fail", "timeout")
        finally:
            os.kill(postmaster, signal.SIGCONT)

    def test_a_schema_that_does_not_fit_is_exit_4(self):
        self.sim("--fast")
        self.file.write_text(self.configured().read_text().replace(f"/{self.database}?", "/postgres?"))
        self.expect_line(self.examined(4), "schema", "fail", "no batchd schema", "batchd migrate")
        self.configured()
        self.sql("UPDATE batchd.schema_migration SET oldest_program = 99 WHERE version = 1")
        found = self.examined(4)
        self.expect_line(found, "schema", "fail", "needs a newer batchd", "update this program")
        self.assertIn("provider sim", found)

    def test_a_wrong_configuration_is_exit_2(self):
        self.on("doctor", expect=2)
        self.run_batchd("doctor", expect=2)
        self.assertIn("provider", self.talk)
        self.sim("--fast")
        self.file.write_text(self.configured().read_text() + "[nonsense]\nkey = 1\n")
        self.on("doctor", expect=2)
        self.assertIn("nonsense", self.talk)

    def test_missing_grants_are_named_with_what_gives_them(self):
        self.psql("DO $$ BEGIN CREATE ROLE looker LOGIN IN ROLE batchd_reader; CREATE ROLE worker LOGIN IN ROLE batchd_worker; CREATE ROLE stranger LOGIN;"
                  " EXCEPTION WHEN duplicate_object THEN NULL; END $$", self.database)
        self.sim("--fast")
        text = self.configured().read_text()
        as_user = lambda user: self.file.write_text(text.replace("user=batchd", f"user={user}"))  # noqa: E731
        as_user("worker")
        self.expect_line(self.examined(), "grants", "ok", "worker may do all that a daemon does")
        self.sql("REVOKE UPDATE ON batchd.shard FROM batchd_worker; REVOKE EXECUTE ON FUNCTION batchd.has_moved() FROM batchd_worker")
        found = self.examined(3)
        self.expect_line(found, "grants", "fail", r"lacks 2 privileges: table batchd.shard: UPDATE, function batchd.has_moved\(\): EXECUTE", "batchd migrate")
        self.expect_line(found, "instance", "fail", "permission denied")
        as_user("looker")
        self.expect_line(self.examined(3), "grants", "fail", "looker lacks .* privileges", "GRANT batchd_worker TO looker")
        as_user("stranger")
        self.expect_line(self.examined(3), "schema", "fail", "permission denied for schema batchd", "GRANT batchd_worker TO stranger")

    def test_a_database_that_has_moved_is_named_with_both_ways_out(self):
        self.sim("--fast")
        self.configured()
        self.sql("UPDATE batchd.instance SET system_identifier = 1")
        self.expect_line(self.examined(3), "instance", "fail", "restored or cloned, and submits nothing", "`batchd adopt` .* `batchd adopt --as-new-instance`")


class Adoption(WithConfig):
    def clone(self):
        """A copy of the test's database, as a restored dump would be; from here on, the test looks at the copy."""
        original = self.database
        self.sql("SELECT batchd.adopt()")  # the fixture's own copy is at home here
        self.database = f"{original}_clone"
        self.psql(f"CREATE DATABASE {self.database} TEMPLATE {original}", "postgres")
        self.url = self.url_of(self.database)
        return original

    def look_at(self, database):
        self.database = database
        self.url = self.url_of(database)

    def instance(self):
        return self.sql("SELECT id FROM batchd.instance")

    def test_a_database_that_stayed_where_it_was_needs_no_adoption(self):
        self.assertEqual(f"nothing to adopt: instance {self.instance()} is where it was\n", self.run_batchd("adopt"))
        self.assertEqual({"instance": self.instance(), "was": self.instance(), "moved": False, "adopted": False}, self.json_of("adopt"))
        self.refuses_what_every_command_refuses("adopt")

    def test_a_moved_database_goes_on_under_its_name_when_adopted(self):
        self.sim("--fast", "--running", "1h")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(5)])
        self.in_flight()
        self.assertEqual(0, daemon.stop())
        self.complete_all()
        name = self.instance()
        self.clone()
        self.assertEqual("t", self.sql("SELECT batchd.has_moved()"))
        self.assertEqual("", self.run_batchd("adopt", expect=2))
        self.assertIn("say --yes", self.talk)
        self.assertEqual("t", self.sql("SELECT batchd.has_moved()"))
        self.assertEqual({"instance": name, "was": name, "moved": True, "adopted": True}, self.json_of("adopt", "--yes"))
        self.assertEqual("f", self.sql("SELECT batchd.has_moved()"))
        self.serve(config=self.config())
        self.settled(5)
        self.assertEqual(0, self.ledger()["prompts_executed_more_than_once"])

    def test_a_daemon_on_a_moved_database_starts_nothing_until_it_is_adopted(self):
        self.sim("--fast")
        self.clone()
        self.enqueue([chat("one")])
        daemon = self.serve(config=self.config())
        until("it says so", lambda: daemon.saw("instance.moved"))
        self.assertEqual([0, 0], [self.ledger()["calls"][call] for call in ("upload", "list")])
        self.run_batchd("adopt", "--yes")
        self.settled(1)

    def test_a_database_that_moves_under_a_daemon_is_touched_no_further(self):
        self.sim("--fast")
        daemon = self.serve()
        self.enqueue([chat("one")])
        self.settled(1)
        self.sql("UPDATE batchd.instance SET database_oid = 1")
        self.enqueue([chat("two")])
        until("it is planned", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'planned'") == 1)
        until("the uploader looked", lambda: daemon.metric('batchd_loop_age_seconds{loop="upload"}') < 0.5)
        self.assertEqual(1, self.ledger()["calls"]["upload"])
        self.run_batchd("adopt", "--yes")
        self.settled(2)

    def test_a_terminal_is_asked(self):
        self.clone()
        for answer, code, moved in (("n", 1, "t"), ("", 1, "t"), ("y", 0, "f")):
            master, terminal = os.openpty()
            process = subprocess.Popen([BATCHD, "adopt"], stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env=environment(BATCHD_DATABASE_URL=self.url))
            os.close(terminal)
            os.write(master, answer.encode() + b"\n")
            out, talk = process.communicate(timeout=60)
            os.close(master)
            self.assertEqual((code, moved), (process.returncode, self.sql("SELECT batchd.has_moved()")), talk)
            self.assertIn(b"Go on? [y/N]", talk)

    def test_a_clone_is_refused_a_new_name_while_a_replica_is_alive(self):
        self.sim("--fast")
        self.serve()
        until("a replica", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 1)
        name = self.instance()
        self.assertEqual("", self.run_batchd("adopt", "--as-new-instance", "--yes", expect=1))
        self.assertRegex(self.talk, rf"stop them first(.|\n)*process {self.daemons[0].process.pid} on ")
        self.assertEqual(name, self.instance())

    def test_a_replica_that_slept_through_an_adoption_does_nothing_under_the_old_name(self):
        self.sim("--fast")
        daemon = self.serve(lease='ttl = "1s"')
        until("a replica", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 1)
        daemon.process.send_signal(signal.SIGSTOP)
        until("its silence", lambda: self.sql("SELECT heartbeat_at < clock_timestamp() - interval '2 s' FROM batchd.replica") == "t")
        self.sql("SELECT batchd.adopt_as_new_instance('1 s')")
        self.enqueue([chat("one")])
        daemon.process.send_signal(signal.SIGCONT)
        self.assertEqual(1, daemon.process.wait(DEADLINE))
        self.assertIn("another instance", daemon.saw("loop.failed")[0]["error"])
        self.assertEqual(0, self.ledger()["calls"]["upload"])
        daemon.start()
        self.settled(1)

    def test_a_clone_lives_beside_its_original_and_neither_touches_the_other(self):
        self.sim("--fast", "--running", "1h")
        daemon = self.serve(planner='linger = "50ms"\nmax_requests = 4')
        self.enqueue([chat(f"prompt {i}") for i in range(8)], job="j")
        self.in_flight(2)
        self.assertEqual(0, daemon.stop())
        name = self.instance()
        original = self.clone()
        self.assertEqual("", self.run_batchd("adopt", "--as-new-instance", expect=2))
        self.assertIn("paid for once more", self.talk)
        made = self.json_of("adopt", "--as-new-instance", "--yes")
        self.assertEqual((name, True, True, 2, 8), tuple(made[key] for key in ("was", "moved", "adopted", "shards", "unanswered")))
        self.assertEqual((made["instance"], False), (self.instance(), made["instance"] == name))
        self.conserved()
        self.serve(config=self.config())
        self.in_flight()
        self.complete_all()
        self.settled(8)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()), "what was given up cost no attempt")
        until("the clone is done", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state <> 'closed'") == 0)
        by_instance = [batch["metadata"]["batchd_instance"] for batch in self.ledger("?details=1")["details"]]
        self.assertEqual({name: 2, made["instance"]: 1}, {key: by_instance.count(key) for key in set(by_instance)})
        self.look_at(original)
        self.assertEqual(name, self.instance())
        self.complete_all()
        self.serve(config=self.config())
        self.settled(8)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()), "the original's batches and files were left alone")
        ledger = self.ledger()
        self.assertEqual((16, 3), (ledger["requests_executed"], ledger["batches_created"]))


if __name__ == "__main__":
    unittest.main()
