#!/usr/bin/env python3
"""The main job end to end: rows in, answers beside them. Real daemons, a real PostgreSQL, the simulator."""

import hashlib
import json
import pathlib
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import SHARED, Stack, asking_for, chat, environment, until  # noqa: E402


def prompt_hash(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class MainJob(Stack):
    def answers(self):
        """{request id: the answer's content}"""
        rows = self.sql("SELECT request_id, response->'choices'->0->'message'->>'content' FROM batchd.result").splitlines()
        return {int(id): content for id, content in (row.split("|", 1) for row in rows)}

    def every_answer_belongs_to_its_prompt(self, prompts):
        answers = self.answers()
        for id, prompt in prompts.items():
            self.assertTrue(answers[id].startswith(prompt_hash(prompt) + " "), f"request {id}: {answers[id]!r}")

    def every_prompt_ran_once(self, count):
        ledger = self.ledger()
        self.assertEqual(count, ledger["requests_executed"])
        self.assertEqual(0, ledger["requests_executed_more_than_once"])
        self.assertEqual(0, ledger["prompts_executed_more_than_once"])

    def test_gsm8k_each_answer_belongs_to_its_prompt_and_each_prompt_ran_once(self):
        data = SHARED / "data" / "gsm8k_test.jsonl"
        if not data.exists():
            self.skipTest(f"the GSM8K prompts are not here ({data})")
        prompts = [json.loads(line)["question"] for line in data.read_text().splitlines()]
        for kind in ("azure", "openai"):
            with self.subTest(kind):
                self.afresh()
                self.sim("--fast")
                daemon = self.serve(kind=kind, planner='linger = "50ms"\nmax_requests = 300')
                ids = self.enqueue([chat(prompt) for prompt in prompts], job="gsm8k")
                self.settled(1319)
                self.every_answer_belongs_to_its_prompt(dict(zip(ids, prompts)))
                self.every_prompt_ran_once(1319)
                self.assertEqual(0, daemon.stop())

    def test_nothing_is_left_at_the_provider_and_the_ledgers_end_at_zero(self):
        self.sim("--fast")
        self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(50)])
        self.settled(50)
        until("every shard is closed", lambda: self.sql("SELECT bool_and(state = 'closed') FROM batchd.shard") == "t")
        self.assertEqual(0, self.ledger()["files_now"])
        self.assertEqual(0, self.number_of("SELECT sum(reserved) FROM batchd.deployment"))
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.shard_member"))
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.request_attempt"))

    def test_remote_files_are_kept_when_asked(self):
        self.sim("--fast")
        self.serve(retention='remote_files = "keep"')
        self.enqueue([chat("one")])
        self.settled(1)
        until("the shard is closed", lambda: self.sql("SELECT bool_and(state = 'closed') FROM batchd.shard") == "t")
        self.assertGreaterEqual(self.ledger()["files_now"], 2)

    def test_files_respect_every_limit(self):
        self.sim("--fast")
        self.serve(planner='linger = "50ms"\nmax_requests = 40\nmax_bytes = "20KB"')
        self.enqueue([chat("x" * (i * 37 % 900)) for i in range(300)])
        self.settled(300)
        batches = self.ledger("?details=1")["details"]
        self.assertGreater(len(batches), 7)
        self.assertLessEqual(max(batch["requests"] for batch in batches), 40)
        self.assertLessEqual(self.number_of("SELECT max(bytes) FROM batchd.shard"), 20000)

    def test_the_quota_is_never_exceeded_in_either_mode_of_refusal(self):
        for mode in ("late", "fast"):
            with self.subTest(mode):
                self.afresh()
                self.sim("--fast", "--running", "500ms", "--deployment", "mini=4000", "--quota-mode", mode)
                self.serve(limit="4000")
                self.enqueue([chat("word " * 40) for _ in range(120)])
                self.settled(120)
                enqueued = max(self.ledger()["max_enqueued"].values())
                self.assertLessEqual(enqueued, 4000)
                self.assertGreater(enqueued, 0)

    def test_what_was_packed_for_a_larger_quota_is_packed_anew(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="429", times=100000)
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(200)])
        until("staged", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'uploaded' AND requests = 200") == 1)
        daemon.stop()
        self.provider.stop()
        self.sim("--fast", "--limit", "2000")
        self.serve(limit="2000")
        self.settled(200)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))

    def test_a_quota_smaller_than_we_believe_refuses_and_every_row_is_still_answered_once(self):
        for mode in ("late", "fast"):
            with self.subTest(mode):
                self.afresh()
                self.sim("--fast", "--running", "500ms", "--deployment", "mini=4000", "--quota-mode", mode, "--enqueued-headers", "absent")
                self.serve(limit="30000", planner='linger = "50ms"\nmax_requests = 20')
                self.enqueue([chat("word " * 40 + str(i)) for i in range(100)])
                self.settled(100)
                self.assertGreater(sum(self.ledger()["quota_refusals"].values()), 0)
                self.every_prompt_ran_once(100)
                self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()})

    def test_two_replicas_share_the_work_and_nothing_runs_twice(self):
        self.sim("--fast", "--running", "50ms")
        daemons = [self.serve(planner='linger = "50ms"\nmax_requests = 50') for _ in range(2)]
        for _ in range(5):
            self.enqueue([chat(f"prompt {i}") for i in range(200)])
        self.settled(1000)
        self.assertEqual(1000, self.ledger()["requests_executed"])
        self.assertEqual(0, self.ledger()["requests_executed_more_than_once"])
        for daemon in daemons:
            self.assertEqual(0, daemon.stop())
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.replica"))

    def test_a_small_trickle_does_not_wait_for_company_longer_than_linger(self):
        self.sim("--fast")
        self.serve(planner='linger = "0s"')
        self.enqueue([chat("alone")])
        self.settled(1)

    def test_lines_name_the_deployment_on_azure_and_the_model_at_openai(self):
        for kind, model in (("azure", "mini"), ("openai", "gpt-4o-mini")):
            with self.subTest(kind):
                self.afresh()
                self.sim("--fast")
                self.serve(kind=kind)
                self.enqueue([chat("hello")])
                self.settled(1)
                self.assertEqual([model], [batch["model"] for batch in self.ledger("?details=1")["details"]])

    def test_work_waits_while_the_daemon_is_down_and_is_done_when_it_comes(self):
        self.sim("--fast")
        self.enqueue([chat(f"before {i}") for i in range(20)])
        self.serve()
        self.settled(20)

    def test_higher_priority_goes_first(self):
        self.sim("--fast")
        self.sql("INSERT INTO batchd.request (model, body, job, priority) SELECT 'gpt-4o-mini', "
                 "json_build_object('messages', json_build_array(json_build_object('role', 'user', 'content', p || '-' || g))), 'p' || p, p "
                 "FROM generate_series(1, 30) g, (VALUES (0), (5), (-5)) AS v(p)")
        self.serve(planner='linger = "50ms"\nmax_requests = 30')
        self.settled(90)
        order = self.sql("SELECT r.priority FROM batchd.result a JOIN batchd.request r ON r.id = a.request_id "
                         "GROUP BY r.priority ORDER BY min(a.shard_id)").split()
        self.assertEqual(["5", "0", "-5"], order)


class Producers(Stack):
    def setUp(self):
        super().setUp()
        self.sim("--fast")

    def test_a_slow_producer_loses_nothing_and_holds_up_nobody(self):
        self.serve()
        slow = subprocess.Popen(self.psql_command(self.database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment())
        self.addCleanup(slow.stdout.close)
        slow.stdin.write(b"BEGIN; INSERT INTO batchd.request (model, body, job) SELECT 'gpt-4o-mini', json_build_object('slow', g), 'slow' "
                         b"FROM generate_series(1, 500) g; SELECT 'inserted';\n")
        slow.stdin.flush()
        self.assertIn(b"inserted", slow.stdout.readline())
        started = time.monotonic()
        for part in range(10):
            self.sql(f"INSERT INTO batchd.request (model, body, job) SELECT 'gpt-4o-mini', json_build_object('fast', g + {part} * 1000), "
                     "'fast' FROM generate_series(1, 1000) g")
        inserting = time.monotonic() - started
        self.settled(10000)
        self.assertLess(inserting, 30, "producers waited for a transaction that had nothing to do with them")
        slow.stdin.write(b"COMMIT;\n")
        slow.stdin.close()
        self.assertEqual(0, slow.wait(20))
        self.settled(10500)
        self.assertEqual(10500, self.ledger()["requests_executed"])

    def test_a_duplicate_key_enqueues_nothing_and_is_no_error(self):
        self.serve()
        insert = "INSERT INTO batchd.request (model, body, job, key) VALUES ('gpt-4o-mini', '{\"a\":1}', 'j', 'k') RETURNING id"
        self.assertNotEqual("", self.sql(insert))
        self.assertEqual("", self.sql(insert))
        self.assertEqual("", self.sql(insert.replace("VALUES ('gpt-4o-mini', '{\"a\":1}', 'j', 'k')",
                                                     "SELECT 'gpt-4o-mini', '{}', 'j', 'k' FROM generate_series(1, 3)")))
        self.settled(1)
        self.assertEqual("", self.sql(insert), "a key is remembered as long as its request")
        self.assertEqual(1, self.ledger()["requests_executed"])

    def test_bodies_arrive_byte_for_byte_on_one_line(self):
        self.serve(retention='remote_files = "keep"')
        bodies = ['{\n  "model": "gpt-4o-mini",\n  "messages": [\n    {"role": "user", "content": "pretty"}\n  ]\n}',
                  '{"messages":[{"role":"user","content":"nul \\u0000 inside"}]}',
                  '{"seed":9007199254740993,"temperature":0.1,"top_p":1.0e0,"n":1.00}',
                  '{"messages":[{"role":"user","content":"日本語 ελληνικά עברית 😀 \\ud83d\\ude00 \\/"}]}',
                  '{ }']
        expected = ['{   "model": "mini",   "messages": [     {"role": "user", "content": "pretty"}   ] }',
                    '{"model":"mini","messages":[{"role":"user","content":"nul \\u0000 inside"}]}',
                    '{"model":"mini","seed":9007199254740993,"temperature":0.1,"top_p":1.0e0,"n":1.00}',
                    '{"model":"mini","messages":[{"role":"user","content":"日本語 ελληνικά עברית 😀 \\ud83d\\ude00 \\/"}]}',
                    '{"model":"mini" }']
        ids = self.enqueue(bodies)
        until("the results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == len(bodies))
        lines = {}
        for file in self.sql("SELECT DISTINCT input_file FROM batchd.shard").split():
            connection = self.provider.connect()
            connection.request("GET", f"/openai/files/{file}/content?api-version=2024-10-21", headers={"api-key": "k"})
            for line in connection.getresponse().read().decode().splitlines():
                lines[int(json.loads(line)["custom_id"].split("-")[0])] = line
            connection.close()
        for id, body in zip(ids, expected):
            prefix = f'{{"custom_id":"{id}-1","method":"POST","url":"/chat/completions","body":'
            self.assertEqual(prefix + body + "}", lines[id])

    def test_answers_come_back_byte_for_byte(self):
        self.serve()
        ids = self.enqueue([chat("answer me")])
        self.settled(1)
        stored = self.sql(f"SELECT response::text FROM batchd.result WHERE request_id = {ids[0]}")
        self.assertIn('"content":"sha256:', stored)
        self.assertGreater(self.number_of("SELECT input_tokens FROM batchd.result"), 0)
        self.assertGreater(self.number_of("SELECT output_tokens FROM batchd.result"), 0)
        self.assertNotEqual("", self.sql("SELECT provider_request_id FROM batchd.result"))


class Outcomes(Stack):
    def setUp(self):
        super().setUp()
        self.sim("--fast")

    def test_every_kind_of_line_ends_as_it_should(self):
        expected = {
            "ok": ("succeeded", None, 1),
            "400": ("failed", "content_filter", 1),
            "401": ("failed", ..., 1),
            "404": ("failed", ..., 1),
            "429": ("failed", ..., 3),
            "500": ("failed", ..., 3),
            "expired": ("expired", "batch_expired", 3),
            "timeout": ("failed", "request_timeout", 3),
            "missing": ("failed", "no_answer", 3),
            "duplicate": ("succeeded", None, 1),
            "both": ("succeeded", None, 1),
            "corrupt": ("succeeded", None, 1),
            "unknown": ("succeeded", None, 1),
            "empty200": ("failed", "empty_response", 3),
            "status0": ("failed", ..., 3),
            "error_in_output": ("failed", ..., 1),
            "once-429": ("succeeded", None, 2),
            "once-missing": ("succeeded", None, 2),
            "huge": ("succeeded", None, 1),
        }
        daemon = self.serve(retry='max_attempts = 3\nbase_delay = "20ms"\nmax_delay = "50ms"')
        kinds = list(expected)
        ids = self.enqueue([chat("fine") if kind == "ok" else asking_for(kind, f"please {kind}") for kind in kinds])
        self.settled(len(kinds))
        outcomes = self.outcomes()
        for kind, id in zip(kinds, ids):
            outcome, code, attempt = expected[kind]
            with self.subTest(kind):
                self.assertEqual((outcome, attempt), (outcomes[id][0], outcomes[id][2]))
                if code is not ...:
                    self.assertEqual(code, outcomes[id][1])
                elif outcome != "succeeded":
                    self.assertTrue(outcomes[id][1])
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.result WHERE outcome <> 'succeeded' AND error->>'message' IS NULL"))
        self.assertGreaterEqual(daemon.metric('batchd_output_lines_ignored_total{kind="corrupt"}'), 1)
        self.assertGreaterEqual(daemon.metric('batchd_output_lines_ignored_total{kind="unknown"}'), 1)
        self.assertGreaterEqual(daemon.metric('batchd_output_lines_ignored_total{kind="duplicate"}'), 2)
        self.assertEqual(len([e for e in expected.values() if e[0] == "succeeded"]),
                         daemon.metric('batchd_requests_settled_total{outcome="succeeded"}'))

    def test_rows_that_can_never_be_valid_are_settled_without_a_call(self):
        self.serve(planner='linger = "50ms"\nmax_bytes = "100KB"')
        bad = {'[]': "invalid_body", '"text"': "invalid_body", '17': "invalid_body", 'null': "invalid_body",
               '{"stream":true}': "streaming_not_supported",
               json.dumps({"x": "y" * 120_000}): "request_too_large",
               "[" * 600 + "]" * 600: "invalid_body",
               '{"a":' + "[" * 600 + "]" * 600 + "}": "invalid_body"}
        ids = self.enqueue(list(bad))
        self.settled(len(bad))
        for id, code in zip(ids, bad.values()):
            self.assertEqual(("failed", code), self.outcomes()[id][:2])
        self.assertEqual(0, self.ledger()["calls"]["upload"])
        self.assertEqual(0, self.ledger()["calls"]["create_batch"])

    def test_one_bad_row_costs_one_row(self):
        self.serve()
        ids = self.enqueue([chat(f"good {i}") for i in range(20)] + ['{"stream": true}'] + [chat(f"good {i}") for i in range(20, 40)])
        self.settled(41)
        self.assertEqual(["failed"], [self.outcomes()[ids[20]][0]])
        self.assertEqual(40, self.number_of("SELECT count(*) FROM batchd.result WHERE outcome = 'succeeded' AND attempt = 1"))

    def test_rows_that_the_provider_names_by_line_are_settled_and_the_others_lose_nothing(self):
        self.serve()
        # A lone surrogate is JSON for PostgreSQL and for us; the simulator refuses it by line.
        ids = self.enqueue([chat(f"good {i}") for i in range(10)] + ['{"messages":[{"role":"user","content":"\\ud800"}]}'] +
                           [chat(f"good {i}") for i in range(10, 20)])
        until("results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == 21)
        self.assertEqual(("failed", "invalid_json_line"), self.outcomes()[ids[10]][:2])
        self.assertEqual(20, self.number_of("SELECT count(*) FROM batchd.result WHERE outcome = 'succeeded' AND attempt = 1"))
        self.conserved()

    def test_a_model_that_nobody_serves_waits_visibly_and_then_fails(self):
        daemon = self.serve(planner='linger = "50ms"\nunroutable_after = "2s"')
        ids = self.enqueue([chat("who am I for")], model="unheard-of")
        until("the metric", lambda: daemon.metric('batchd_unroutable_requests{model="unheard-of"}') == 1)
        self.assertEqual("queued", self.sql(f"SELECT state FROM batchd.request_status WHERE id = {ids[0]}"))
        self.settled(1)
        self.assertEqual(("failed", "no_deployment"), self.outcomes()[ids[0]][:2])
        self.assertEqual(0, self.ledger()["calls"]["upload"])

    def test_a_deadline_that_has_passed_expires_the_row(self):
        self.sql("INSERT INTO batchd.request (model, body, deadline) VALUES ('unserved', '{}', now() + interval '1 second')")
        self.serve()
        self.settled(1)
        self.assertEqual([("expired", "deadline_passed")], [o[:2] for o in self.outcomes().values()])

    def test_what_a_producer_asks_about_a_request_is_answered_at_every_stage(self):
        ids = self.enqueue([chat("where am I")])
        state = lambda: self.sql(f"SELECT state FROM batchd.request_status WHERE id = {ids[0]}")  # noqa: E731
        self.assertEqual("queued", state())
        self.provider.stop()
        self.sim("--running", "1500ms")
        self.serve()
        until("in flight", lambda: state() == "in_flight")
        until("a batch id", lambda: self.sql(f"SELECT batch_id FROM batchd.request_status WHERE id = {ids[0]}").startswith("batch_"))
        self.settled(1)
        self.assertEqual("succeeded", state())


class Commands(Stack):
    """The SQL functions with which people steer work under way."""

    def test_a_pause_of_everything_stops_submissions_and_survives_a_restart(self):
        self.sim("--fast")
        self.sql("SELECT batchd.pause('all')")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(10)])
        for _ in range(2):
            until("the metric", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="asked"}') == 1)
            until("the planner has looked", lambda: daemon.metric('batchd_loop_age_seconds{loop="plan"}') is not None)
            self.assertEqual(10, self.number_of("SELECT queued FROM batchd.job_progress"))
            self.assertEqual(0, self.ledger()["calls"]["create_batch"])
            daemon.stop()
            daemon.start()
        self.assertEqual("t", self.sql("SELECT batchd.resume('all')"))
        self.assertEqual("f", self.sql("SELECT batchd.resume('all')"))
        self.settled(10)

    def test_a_pause_holds_on_every_replica_in_the_middle_of_the_work(self):
        self.sim("--fast", "--running", "100ms")
        daemons = [self.serve(planner='linger = "50ms"\nmax_requests = 20') for _ in range(2)]
        self.enqueue([chat(f"prompt {i}") for i in range(1000)])
        until("some results", lambda: self.number_of("SELECT count(*) FROM batchd.result") >= 200)
        self.sql("SELECT batchd.pause('all')")
        until("no POST is under way", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE intent_at IS NOT NULL") == 0)
        self.enqueue([chat(f"another {i}") for i in range(1000)])
        posts = self.ledger()["calls"]["create_batch"]
        until("what was submitted is merged", lambda: self.number_of(
            "SELECT count(*) FROM batchd.shard WHERE state IN ('submitted', 'finished')") == 0)
        for daemon in daemons:
            until("both see it", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="asked"}') == 1)
        self.assertEqual(posts, self.ledger()["calls"]["create_batch"])
        self.assertLess(self.number_of("SELECT count(*) FROM batchd.result"), 2000)
        self.sql("SELECT batchd.resume('all')")
        self.settled(2000)
        self.assertEqual(0, self.ledger()["prompts_executed_more_than_once"])

    def test_a_paused_deployments_shards_go_to_another_that_serves_the_model(self):
        self.sim("--fast")
        config = self.config() + ('[[deployment]]\nname = "other"\nprovider = "sim"\nmodel = "gpt-4o-mini"\n'
                                  'enqueued_token_limit = "1B"\n')
        self.fault(operation="create_batch", fault="429", times=100000)
        self.serve(config=config)
        self.enqueue([chat(f"prompt {i}") for i in range(10)])
        staged = until("staged", lambda: self.sql("SELECT deployment FROM batchd.shard WHERE state = 'uploaded' LIMIT 1"))
        self.sql(f"SELECT batchd.pause('deployment:{staged}')")
        self.no_more_faults()
        self.settled(10)
        self.assertEqual("mini,other".replace(staged, "").strip(","), self.sql("SELECT DISTINCT deployment FROM batchd.shard WHERE batch_id IS NOT NULL"))
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))

    def test_a_shard_that_holds_a_paused_job_lets_the_others_go(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="429", times=100000)
        self.enqueue([chat(f"goes {i}") for i in range(5)], job="goes")
        self.enqueue([chat(f"waits {i}") for i in range(5)], job="waits")
        self.serve()
        until("one shard of both", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'uploaded' AND requests = 10") == 1)
        self.sql("SELECT batchd.pause('job:waits')")
        self.no_more_faults()
        self.settled(5)
        self.assertEqual("goes", self.sql("SELECT DISTINCT q.job FROM batchd.result r JOIN batchd.request q ON q.id = r.request_id"))
        self.sql("SELECT batchd.resume('job:waits')")
        self.settled(10)

    def test_a_paused_job_waits_while_another_goes_on(self):
        self.sim("--fast")
        self.sql("SELECT batchd.pause('job:waits')")
        self.enqueue([chat(f"waits {i}") for i in range(10)], job="waits")
        self.serve()
        self.enqueue([chat(f"goes {i}") for i in range(10)], job="goes")
        self.settled(10)
        self.assertEqual("goes", self.sql("SELECT DISTINCT q.job FROM batchd.result r JOIN batchd.request q ON q.id = r.request_id"))
        self.sql("SELECT batchd.resume('job:waits')")
        self.settled(20)

    def test_a_scope_that_is_none_is_refused(self):
        for scope in ("", "everything", "job:", "jobs:x"):
            with self.assertRaisesRegex(AssertionError, "pause_scope_is_all_or_job_or_deployment"):
                self.sql(f"SELECT batchd.pause('{scope}')")

    def test_what_waits_is_cancelled_at_once_and_without_a_daemon(self):
        ids = self.enqueue([chat(f"prompt {i}") for i in range(10)], job="j")
        self.assertEqual("t", self.sql(f"SELECT batchd.cancel_request({ids[3]})"))
        self.assertEqual("f", self.sql(f"SELECT batchd.cancel_request({ids[3]})"))
        self.assertEqual("f", self.sql("SELECT batchd.cancel_request(999999)"))
        self.conserved()
        self.assertEqual(9, self.number_of("SELECT batchd.cancel_job('j')"))
        self.assertEqual({("cancelled", "cancelled", 0)}, set(self.outcomes().values()))
        self.conserved()
        self.sim("--fast")
        self.serve()
        self.enqueue([chat("another job")], job="k")
        self.settled(11)
        self.assertEqual(1, self.ledger()["requests_executed"])

    def test_failed_requests_can_be_tried_again_and_succeeded_ones_cannot(self):
        self.sim("--fast")
        self.serve(retry='max_attempts = 1\nbase_delay = "20ms"\nmax_delay = "50ms"')
        ids = self.enqueue([asking_for("once-429", "again"), chat("fine"), asking_for("once-missing", "also")], job="j")
        self.settled(3)
        self.assertEqual(["failed", "succeeded", "failed"], [self.outcomes()[id][0] for id in ids])
        self.assertEqual("f", self.sql(f"SELECT batchd.retry_request({ids[1]})"))
        self.assertEqual("t", self.sql(f"SELECT batchd.retry_request({ids[0]})"))
        self.conserved()
        self.assertEqual(1, self.number_of("SELECT batchd.retry_job('j')"))
        until("all succeeded", lambda: self.number_of("SELECT count(*) FROM batchd.result WHERE outcome = 'succeeded'") == 3)
        self.assertEqual(2, self.number_of("SELECT count(*) FROM batchd.result_history"))
        self.conserved()

    def test_a_job_can_be_given_another_priority_while_it_waits(self):
        for job in ("first", "second"):
            self.enqueue([chat(f"{job} {i}") for i in range(10)], job=job)
        self.assertEqual(1, self.number_of("SELECT batchd.set_priority('second', 7)"))
        self.sim("--fast")
        self.serve(planner='linger = "50ms"\nmax_requests = 10')
        self.settled(20)
        order = self.sql("SELECT r.job FROM batchd.result a JOIN batchd.request r ON r.id = a.request_id GROUP BY r.job "
                         "ORDER BY min(a.shard_id)").split()
        self.assertEqual(["second", "first"], order)

    def test_producers_may_cancel_and_not_pause(self):
        self.sql("GRANT batchd_producer TO CURRENT_USER")
        as_producer = "SET ROLE batchd_producer; SELECT batchd."
        self.assertEqual("f", self.sql(as_producer + "cancel_request(1)"))
        self.assertEqual("0", self.sql(as_producer + "retry_job('j')"))
        for call in ("pause('all')", "resume('all')", "queue_settled_again('{1}')", "cancel_queued('{1}', 1)"):
            with self.assertRaisesRegex(AssertionError, "permission denied"):
                self.sql(as_producer + call)


class Retention(Stack):
    def test_what_was_settled_long_ago_leaves_with_its_answers_and_keys_and_what_was_not_stays(self):
        self.sim("--fast")
        insert = "INSERT INTO batchd.request (model, body, job, key) SELECT '{}', '{{}}', 'j', '{}' || g FROM generate_series(1, 10) g"
        self.sql(insert.format("gpt-4o-mini", "old"))
        daemon = self.serve()
        self.settled(10)
        self.assertEqual(0, daemon.stop())
        size = self.number_of("SELECT batchd.partition_size()")
        self.sql(f"SELECT setval('batchd.request_id', {size})")
        self.sql(insert.format("nobody-serves-this", "stuck"))
        self.sql(f"SELECT setval('batchd.request_id', {2 * size})")
        self.assertEqual("f", self.sql("SELECT batchd.retire_partition('1 day')"), "nothing is old enough")
        self.serve(retention='settled = "100ms"')
        until("the old requests are gone", lambda: self.number_of("SELECT count(*) FROM batchd.request") == 10)
        until("their shards too", lambda: self.number_of("SELECT count(*) FROM batchd.shard") == 0)
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.result"))
        self.assertEqual(10, self.number_of("SELECT count(*) FROM batchd.request_status WHERE state = 'queued'"))
        self.conserved()
        self.assertEqual("10|10|0", self.sql("SELECT accepted, queued, succeeded FROM batchd.job_progress"))
        self.assertEqual(10, len(self.sql(insert.format("gpt-4o-mini", "old") + " RETURNING id").split()), "the keys are free again")


if __name__ == "__main__":
    unittest.main()
