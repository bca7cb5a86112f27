#!/usr/bin/env python3
"""The pipeline when things go wrong: lost answers, refusals, cut downloads, stops and kills. The ledger is the judge."""

import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import DEADLINE, Stack, chat, until  # noqa: E402


class Faults(Stack):
    def ran_once(self, count):
        ledger = self.ledger()
        self.assertEqual(count, ledger["requests_executed"])
        self.assertEqual(0, ledger["prompts_executed_more_than_once"])

    def run_with(self, *faults, count=40, seconds=DEADLINE, sim=("--fast",), **options):
        self.sim(*sim)
        for fault in faults:
            self.fault(**fault)
        self.serve(**options)
        self.enqueue([chat(f"prompt {i}") for i in range(count)])
        until("all results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == count, seconds)
        self.conserved()
        self.ran_once(count)


class UnknownSubmissions(Faults):
    def test_a_lost_answer_is_looked_for_and_not_posted_again(self):
        for fault in ("reset_after", "500_after", "502_html_after", "empty", "garbage", "408_after"):
            with self.subTest(fault):
                self.afresh()
                self.run_with({"operation": "create_batch", "fault": fault})
                self.assertEqual(1, self.ledger()["batches_created"])
                self.assertEqual(1, self.ledger()["calls"]["create_batch"])
                self.assertEqual("1", self.sql("SELECT DISTINCT attempt FROM batchd.shard"))

    def test_a_batch_that_the_list_shows_late_is_still_found(self):
        self.run_with({"operation": "create_batch", "fault": "list_lag", "delay": "500ms"},
                      {"operation": "create_batch", "fault": "reset_after"}, retry='base_delay = "50ms"\nmax_delay = "500ms"\nsettle_window = "3s"')
        self.assertEqual(1, self.ledger()["batches_created"])

    def test_one_that_never_arrived_is_fenced_and_tried_again(self):
        for fault in ("reset_before", "500_before"):
            with self.subTest(fault):
                self.afresh()
                self.run_with({"operation": "create_batch", "fault": fault})
                self.assertEqual(1, self.ledger()["batches_created"])
                self.assertEqual("2", self.sql("SELECT DISTINCT attempt FROM batchd.shard"))
                self.assertEqual(2, self.ledger()["calls"]["upload"])
                self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()}, "our trouble is no attempt of the rows")

    def test_a_post_that_is_accepted_only_after_the_fence_comes_to_nothing(self):
        self.run_with({"operation": "create_batch", "fault": "late", "delay": "6s"})

    def test_on_unknown_hold_waits_for_a_person(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="reset_before")
        daemon = self.serve(retry='base_delay = "50ms"\nmax_delay = "500ms"\nsettle_window = "500ms"\non_unknown = "hold"')
        self.enqueue([chat("held")])
        until("held", lambda: daemon.saw("submission.held"))
        until("the metric", lambda: daemon.metric("batchd_submissions_unknown") == 1)
        looks = len(daemon.saw("submission.held"))
        until("it keeps looking", lambda: len(daemon.saw("submission.held")) > looks)
        self.assertEqual(1, self.ledger()["calls"]["create_batch"])
        self.assertEqual(0, self.ledger()["files_deleted"])
        self.conserved()

    def test_a_daemon_killed_while_the_answer_is_unknown_leaves_the_question_to_the_next(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="hang_after")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(10)])
        until("the intent", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE intent_at IS NOT NULL") == 1)
        until("the batch", lambda: self.ledger()["batches_created"] == 1)
        daemon.kill()
        self.serve()
        self.settled(10)
        self.ran_once(10)
        self.assertEqual(1, self.ledger()["batches_created"])


class Refusals(Faults):
    def test_throttled_uploads_and_submissions_are_tried_again(self):
        self.run_with({"operation": "upload", "fault": "429", "retry_after": "0.2"},
                      {"operation": "create_batch", "fault": "429", "retry_after_ms": "100"},
                      {"operation": "upload", "fault": "502_html"})
        self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()})

    def test_a_file_that_is_pending_or_invisible_is_waited_for(self):
        self.run_with(sim=("--fast", "--file-pending", "600ms"))
        self.afresh()
        self.run_with(sim=("--fast", "--file-invisible", "600ms"), kind="openai")

    def test_an_account_fault_pauses_the_lane_and_it_resumes_by_itself(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="401", times=2)
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(10)])
        until("the pause", lambda: daemon.saw("lane.paused"))
        self.settled(10)
        self.ran_once(10)
        self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()})

    def test_lists_that_fail_are_asked_again(self):
        self.run_with({"operation": "list", "fault": "500_before", "times": 3}, {"operation": "delete", "fault": "500_before", "times": 2})


class Downloads(Faults):
    def test_cut_short_and_broken_downloads_start_over_without_merging_twice(self):
        for fault in ("truncate", "shorten", "reset_before", "404", "502_html"):
            with self.subTest(fault):
                self.afresh()
                self.run_with({"operation": "download", "fault": fault, "times": 2}, count=3000)
                self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()})

    def test_a_slow_download_is_only_slow(self):
        self.run_with({"operation": "download", "fault": "slow", "delay": "20ms"}, count=2000)


class StopsAndKills(Faults):
    def test_sigterm_in_the_middle_ends_cleanly_and_the_next_start_carries_on(self):
        self.sim("--fast", "--running", "300ms")
        daemon = self.serve(planner='linger = "50ms"\nmax_requests = 100')
        self.enqueue([chat(f"prompt {i}") for i in range(2000)])
        for results in (100, 600, 1200):
            until("some results", lambda: self.number_of("SELECT count(*) FROM batchd.result") >= results)
            until("it hears signals", lambda: daemon.saw("replica.joined"))
            started = time.monotonic()
            self.assertEqual(0, daemon.stop())
            self.assertLess(time.monotonic() - started, 30)
            self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.replica"), "what was held is handed back")
            self.conserved()
            daemon.start()
        self.settled(2000)
        self.ran_once(2000)

    def test_sigkill_again_and_again_loses_nothing_and_buys_nothing_twice(self):
        self.sim("--fast", "--running", "200ms")
        daemon = self.serve(planner='linger = "50ms"\nmax_requests = 100', lease='ttl = "1s"')
        self.enqueue([chat(f"prompt {i}") for i in range(2000)])
        for kill in range(8):
            done = self.number_of("SELECT count(*) FROM batchd.result")
            until("progress", lambda: self.number_of("SELECT count(*) FROM batchd.result") > done or done == 2000)
            time.sleep(0.07 * kill)  # another moment of the work each time
            daemon.kill()
            self.conserved()
            daemon.start()
        self.settled(2000)
        self.ran_once(2000)

    def test_a_dead_replicas_shards_are_taken_over_by_the_living(self):
        self.sim("--fast", "--running", "1h")
        first = self.serve(lease='ttl = "1s"', planner='linger = "50ms"\nmax_requests = 100')
        self.enqueue([chat(f"prompt {i}") for i in range(1000)])
        until("work in flight", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted'") > 0)
        self.serve(lease='ttl = "1s"', planner='linger = "50ms"\nmax_requests = 100')
        first.kill()
        until("all is in flight", lambda: self.number_of("SELECT coalesce(sum(requests), 0) FROM batchd.shard WHERE state = 'submitted'") == 1000)
        for batch in self.sql("SELECT batch_id FROM batchd.shard").split():
            self.complete(batch)
        self.settled(1000)
        self.ran_once(1000)

    def test_a_replica_that_was_paused_past_its_lease_writes_nothing_under_its_old_term(self):
        self.sim("--fast", "--running", "300ms")
        first = self.serve(lease='ttl = "1s"', planner='linger = "50ms"\nmax_requests = 100')
        self.enqueue([chat(f"prompt {i}") for i in range(1000)])
        until("work in flight", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state <> 'planned'") > 0)
        first.process.send_signal(signal.SIGSTOP)
        term = self.number_of("SELECT term FROM batchd.replica")
        self.serve(lease='ttl = "1s"', planner='linger = "50ms"\nmax_requests = 100')
        until("the other took over", lambda: self.number_of(f"SELECT count(*) FROM batchd.replica WHERE term = {term}") == 0)
        first.process.send_signal(signal.SIGCONT)
        self.settled(1000)
        self.ran_once(1000)


class DatabaseAway(Faults):
    def test_a_daemon_that_starts_before_its_database_waits_for_it(self):
        self.sim("--fast")
        self.enqueue([chat("patience")])
        self.pg_ctl("stop")
        daemon = self.serve()
        until("it says what is missing", lambda: daemon.saw("database.unavailable"))
        self.assertEqual(200, daemon.get("/livez")[0])
        self.assertEqual(503, daemon.get("/readyz")[0])
        self.assertIsNone(daemon.process.poll())
        self.pg_ctl("start")
        until("ready", lambda: daemon.get("/readyz")[0] == 200)
        self.settled(1)

    def test_crashes_of_the_database_under_load_lose_nothing_and_need_no_restart(self):
        self.sim("--fast", "--running", "200ms")
        daemons = [self.serve(planner='linger = "50ms"\nmax_requests = 100') for _ in range(2)]
        self.enqueue([chat(f"prompt {i}") for i in range(2000)])
        for crash in range(5):
            done = self.number_of("SELECT count(*) FROM batchd.result")
            until("progress", lambda: self.number_of("SELECT count(*) FROM batchd.result") > done or done == 2000)
            time.sleep(0.1 * crash)  # another moment of the work each time
            self.pg_ctl("restart")
        self.settled(2000)
        self.ran_once(2000)
        for daemon in daemons:
            self.assertIsNone(daemon.process.poll())
            until("ready again", lambda: daemon.get("/readyz")[0] == 200)


if __name__ == "__main__":
    unittest.main()
