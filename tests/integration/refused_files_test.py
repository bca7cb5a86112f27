#!/usr/bin/env python3
"""Files that the provider refuses as a whole: one bad row costs one row, and nobody pays for what is not a row's fault (P5)."""

import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, asking_for, chat, until  # noqa: E402

ONE_FILE = 'linger = "4s"'  # what went free must find each other


def refusal(code, line=None):
    """A fate: the batch fails its validation with this code."""
    return {"end": "failed", "errors": {"object": "list", "data": [{"code": code, "message": "no", "param": None, "line": line}]}}


class Poison(Stack):
    def poisoned(self, kind, at, count, **options):
        """Enqueues `count` prompts, the one at `at` poisoned; returns its id once all are settled."""
        self.sim("--fast")
        self.serve(planner=ONE_FILE, **options)
        ids = self.enqueue([asking_for(kind, f"prompt {i}") if i == at else chat(f"prompt {i}") for i in range(count)])
        until("all results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == count, 240)
        self.settled(count)
        return ids[at]

    def one_failed(self, culprit, count, code="invalid_request"):
        outcomes = self.outcomes()
        self.assertEqual(("failed", code), outcomes.pop(culprit)[:2])
        self.assertEqual({("succeeded", None, 1)}, set(outcomes.values()), "the others lost nothing, not even an attempt")
        self.assertEqual(count - 1, len(outcomes))
        ledger = self.ledger()
        self.assertEqual(0, ledger["prompts_executed_more_than_once"])
        return ledger["calls"]["create_batch"] - 1

    def test_a_poisoned_row_that_the_provider_names_costs_one_row_and_one_submission(self):
        for kind in ("poison", "poison_string"):
            with self.subTest(kind):
                self.afresh()
                culprit = self.poisoned(kind, 617, 1000)
                self.assertLessEqual(self.one_failed(culprit, 1000), 1)

    def test_a_poisoned_row_that_nobody_names_is_found_by_halving(self):
        bound = math.ceil(math.log2(1000)) + 1
        for at in (617, 0, 999):
            with self.subTest(at):
                self.afresh()
                culprit = self.poisoned("poison_silent", at, 1000)
                self.assertLessEqual(self.one_failed(culprit, 1000), bound)
                self.assertIn("message", self.sql(f"SELECT error FROM batchd.result WHERE request_id = {culprit}"))

    def test_a_submission_refused_for_what_a_row_says_is_halved_too(self):
        culprit = self.poisoned("poison_create", 40, 64)
        self.assertLessEqual(self.one_failed(culprit, 64), 7)

    def test_an_upload_refused_for_what_a_row_says_is_halved_too(self):
        culprit = self.poisoned("poison_upload", 3, 16)
        self.assertLessEqual(self.one_failed(culprit, 16, "jsonlValidationFailed"), 5)

    def test_several_poisoned_rows_are_all_found(self):
        self.sim("--fast")
        self.serve(planner=ONE_FILE)
        bad = {5, 17, 18}
        ids = self.enqueue([asking_for("poison_silent", f"prompt {i}") if i in bad else chat(f"prompt {i}") for i in range(24)])
        until("all results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == 24, 240)
        self.settled(24)
        outcomes = self.outcomes()
        self.assertEqual({ids[i] for i in bad}, {id for id, (outcome, _, _) in outcomes.items() if outcome == "failed"})
        self.assertEqual(0, self.ledger()["prompts_executed_more_than_once"])

    def test_a_lone_row_that_is_always_refused_fails_when_its_attempts_are_used_up(self):
        self.sim("--fast")
        self.serve(retry='max_attempts = 3\nbase_delay = "50ms"\nmax_delay = "200ms"\nsettle_window = "1s"')
        self.enqueue([asking_for("poison_silent", "alone")])
        self.settled(1)
        self.assertEqual([("failed", "invalid_request")], [outcome[:2] for outcome in self.outcomes().values()])
        self.assertEqual(3, self.ledger()["calls"]["create_batch"])

    def test_killed_again_and_again_while_halving_it_still_finds_the_one(self):
        self.sim("--fast")
        daemon = self.serve(planner=ONE_FILE, lease='ttl = "1s"')
        ids = self.enqueue([asking_for("poison_silent", f"prompt {i}") if i == 77 else chat(f"prompt {i}") for i in range(200)])
        for shards in (2, 3, 5, 7):
            until("a trial", lambda: self.number_of("SELECT count(*) FROM batchd.shard") >= shards
                  or self.number_of("SELECT count(*) FROM batchd.result") == 200, 120)
            daemon.kill()
            self.conserved()
            daemon.start()
        until("all results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == 200, 240)
        self.settled(200)
        self.one_failed(ids[77], 200)


class NotTheRowsFault(Stack):
    def test_too_many_requests_for_the_provider_are_divided_and_nobody_is_blamed(self):
        self.sim("--fast")
        self.fault(operation="upload", fault="respond", status=413, body="The file is larger than the maximum of 209715200 bytes", times=3)
        self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(100)])
        self.settled(100)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))

    def test_a_limit_on_requests_that_is_lower_than_believed_is_met_by_dividing(self):
        self.sim("--fast", "--max-requests", "30")
        self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(100)])
        until("all answers", lambda: self.number_of("SELECT count(*) FROM batchd.result") == 100)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
        self.conserved()

    def test_a_mistake_in_how_files_are_written_pauses_the_lane_and_blames_nobody(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="fate", times=2, fate=refusal("duplicate_custom_id", line=3))
        daemon = self.serve(planner=ONE_FILE)
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        paused = until("the pause", lambda: daemon.saw("lane.paused"))
        self.assertEqual("refused", paused[0]["reason"])
        self.settled(20)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()), "no attempt was used up")

    def test_a_provider_that_takes_no_file_at_all_pauses_the_lane(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="fate", times=1000, fate=refusal("invalid_request"))
        daemon = self.serve(planner=ONE_FILE)
        self.enqueue([chat(f"prompt {i}") for i in range(8)])
        until("the pause", lambda: [line for line in daemon.saw("lane.paused") if line["reason"] == "refused"], 120)
        self.conserved()
        self.no_more_faults()
        until("all answers", lambda: self.number_of("SELECT count(*) FROM batchd.result") == 8, 240)
        self.settled(8)
        self.assertEqual({"succeeded"}, {outcome for outcome, _, _ in self.outcomes().values()})

    def test_a_deployment_that_is_unknown_pauses_the_lane_and_burns_no_attempt(self):
        self.sim("--fast", "--deployment", "other=1000000")
        daemon = self.serve(retry='base_delay = "10m"\nmax_delay = "10m"')  # long enough to be seen among the metrics
        self.enqueue([chat(f"prompt {i}") for i in range(5)])
        until("the pause", lambda: daemon.saw("lane.paused"))
        until("the metric", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="account"}') == 1)
        self.conserved()
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.result"))
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.request_attempt WHERE attempts > 0"))

    def test_every_line_failing_alike_pauses_the_lane_instead_of_failing_the_rows(self):
        for kind in ("401", "404"):
            with self.subTest(kind):
                self.afresh()
                self.sim("--fast")
                daemon = self.serve(retry='base_delay = "10m"\nmax_delay = "10m"')  # they come back and go again otherwise
                self.enqueue([asking_for(kind, f"prompt {i}") for i in range(6)])
                until("the pause", lambda: daemon.saw("lane.paused"))
                until("the rows are back", lambda: self.number_of("SELECT count(*) FROM batchd.retry") == 6)
                self.conserved()
                self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.result"))
                self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.request_attempt WHERE attempts > 0"))


if __name__ == "__main__":
    unittest.main()
