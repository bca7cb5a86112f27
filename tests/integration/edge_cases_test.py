#!/usr/bin/env python3
"""The twenty edge cases of the provider protocol, end to end; each test is named by the number of its case.

Cases that other files show are listed in tests/README.md with the tests that show them; what is here completes them.
"""

import contextlib
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, asking_for, chat, until  # noqa: E402

ONE_FILE = 'linger = "600ms"'
SMALL_FILES = 'linger = "50ms"\nmax_requests = 5'


class Edge(Stack):
    def start(self, *sim, count=20, faults=(), shape=None, **options):
        self.sim(*(sim or ("--fast",)))
        for fault in faults:
            self.fault(**fault)
        if shape is not None:
            self.control("shape", **shape)
        daemon = self.serve(**options)
        self.ids = self.enqueue([chat(f"prompt {i}") for i in range(count)])
        return daemon

    def all_answered(self, count=20, attempts=(1,), executed=None):
        """Every row has its answer, every prompt ran once, nothing was lost and no rule broken."""
        self.settled(count)
        outcomes = self.outcomes().values()
        self.assertEqual({("succeeded", None)}, {outcome[:2] for outcome in outcomes})
        self.assertLessEqual({attempt for _, _, attempt in outcomes}, set(attempts))
        ledger = self.ledger()
        self.assertEqual(count if executed is None else executed, ledger["requests_executed"])
        if executed is None:
            self.assertEqual(0, ledger["prompts_executed_more_than_once"])
        return ledger

    @contextlib.contextmanager
    def fresh(self, variant):
        """A part of a test with a database and a simulator of its own."""
        with self.subTest(str(variant)):
            self.afresh()
            yield

    def batch(self):
        """The only batch's id, once there is one."""
        return until("a batch", lambda: self.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted'"))


class Submitting(Edge):
    def test_02_a_file_that_ends_in_error_is_sent_again(self):
        for state in ("error", "deleted"):
            with self.fresh(state):
                self.start(faults=[{"operation": "upload", "fault": "file_state", "state": state, "delay": "200ms", "details": "broken"}])
                self.assertEqual(2, self.all_answered()["calls"]["upload"])

    def test_02_a_file_that_passes_through_running_is_waited_for(self):
        self.start("--fast", "--file-pending", "200ms", "--file-running", "300ms")
        self.assertEqual(1, self.all_answered()["calls"]["upload"])

    def test_03_a_file_that_cannot_be_found_for_a_few_calls_is_asked_for_again(self):
        missing = {"error": {"message": "Cannot find file file-x, or project does not have access to it.", "type": "invalid_request_error",
                             "param": "file_id", "code": None}}
        self.start(kind="openai", faults=[{"operation": "create_batch", "fault": "respond", "status": 400, "body": missing, "times": 3}])
        ledger = self.all_answered()
        self.assertEqual((4, 1, 1), (ledger["calls"]["create_batch"], ledger["batches_created"], ledger["calls"]["upload"]))

    def test_04_a_quota_that_refuses_at_once_is_waited_for_in_whatever_words(self):
        for words in ("code", "message", "inner", "429"):
            with self.fresh(words):
                self.start("--fast", "--running", "1s", "--limit", "300", "--quota-mode", "fast", "--fast-refusal", words, "--release-lag", "300ms",
                           "--enqueued-headers", "absent", planner=SMALL_FILES)
                self.assertGreater(sum(self.all_answered()["quota_refusals"].values()), 0)

    def test_05_a_quota_that_refuses_late_costs_no_attempt_and_no_second_upload(self):
        self.start("--fast", "--validating", "200ms", "--running", "1s", "--limit", "300", "--release-lag", "200ms", "--enqueued-headers", "absent",
                   planner=SMALL_FILES)
        ledger = self.all_answered()
        self.assertGreater(sum(ledger["quota_refusals"].values()), 0)
        self.assertEqual(4, ledger["calls"]["upload"])

    def test_05_tokens_that_others_hold_are_waited_for(self):
        self.sim("--fast", "--limit", "1000")
        self.control("foreign", resource="azure", batches=1, model="mini", tokens=990)
        self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("a refusal", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE attempt > 1") > 0)
        self.conserved()
        foreign = [batch["id"] for batch in self.ledger("?details=1")["details"] if batch["status"] == "in_progress"]
        for id in foreign:
            self.complete(id)
        self.all_answered()


class Objects(Edge):
    def test_06_batches_are_understood_in_every_shape_they_have_been_seen_in(self):
        shapes = [
            {"status": "capital", "times": "iso", "counts": "nulls", "ids": "empty", "set": {"endpoint": None}},
            {"status": "pascal", "times": "float", "counts": "absent", "ids": "absent", "drop": ["metadata", "object"]},
            {"status": "spaced", "times": "text", "counts": "partial", "set": {"metadata": None, "surprise": {"x": [1]}}},
            {"status": "upper", "times": "null", "counts": "zero", "only": ["id", "status", "input_file_id", "output_file_id", "error_file_id"]},
            {"cursor": "in_items", "list_key": "value", "list_drop": ["object"]},
        ]
        for shape in shapes:
            with self.fresh(shape):
                self.start("--fast", "--validating", "200ms", "--running", "200ms", shape=shape)
                self.all_answered()

    def test_07_the_errors_of_a_refused_batch_are_read_in_every_shape(self):
        for shape in [{"errors": "single"}, {"errors": "bare"}, {"line": "text"}, {"line": "number"}]:
            with self.fresh(shape):
                self.sim("--fast")
                self.control("shape", **shape)
                self.serve(planner=ONE_FILE)
                bad = {3, 6}
                ids = self.enqueue([asking_for("poison", f"prompt {i}") if i in bad else chat(f"prompt {i}") for i in range(10)])
                self.settled(10)
                self.assertEqual({ids[i] for i in bad}, {id for id, outcome in self.outcomes().items() if outcome[:2] == ("failed", "invalid_request")})
                self.assertEqual(8, self.ledger()["requests_executed"])

    def test_07_a_refusal_without_any_reason_blames_no_row_for_a_passing_fault(self):
        for shape in [{"errors": "null"}, {"errors": "absent"}, {"errors": "empty"}, {"errors": "no_data"}]:
            with self.fresh(shape):
                self.start(shape=shape, faults=[{"operation": "create_batch", "fault": "fate", "fate": {"end": "failed"}}])
                self.all_answered()

    def test_13_what_a_batch_answered_before_it_failed_late_is_kept(self):
        self.start(shape={"set": {"failed_at": None}},
                   faults=[{"operation": "create_batch", "fault": "fate", "fate": {"end": "failed", "after": "finalizing", "share": 0.5}}])
        self.all_answered(attempts=(1, 2))

    def test_20_a_state_that_nobody_knows_is_waited_out(self):
        self.start("--fast", "--running", "60s")
        id = self.batch()
        self.control(f"batches/{id}/shape", set={"status": "reticulating"})
        looks = self.ledger()["calls"]["list"]
        until("more looks", lambda: self.ledger()["calls"]["list"] > looks + 2)
        self.assertEqual("submitted", self.sql("SELECT state FROM batchd.shard"))
        self.control(f"batches/{id}/shape")
        self.complete(id)
        self.all_answered()

    def test_20_an_older_state_than_before_moves_nothing_backwards(self):
        self.start("--fast", "--validating", "300ms", "--running", "300ms", "--finalizing", "300ms",
                   faults=[{"operation": "list", "fault": "older", "nth": 2, "times": 6}])
        self.all_answered()

    def test_20_states_that_are_skipped_or_last_long_are_only_that(self):
        self.start(faults=[{"operation": "create_batch", "fault": "fate", "fate": {"skip": ["validating", "in_progress", "finalizing"]}}])
        self.all_answered()
        for state in ("validating", "finalizing"):
            with self.subTest(state):
                self.afresh()
                self.start(faults=[{"operation": "create_batch", "fault": "fate", "fate": {"hold": state}}])
                id = self.batch()
                self.release(id)
                self.all_answered()

    def test_20_a_batch_that_runs_on_after_its_window_is_waited_for(self):
        self.start("--fast", "--running", "1s", "--window", "200ms", "--never-expire")
        self.all_answered()

    def test_20_a_batch_that_vanishes_sends_its_rows_again(self):
        for status in (404, 200):
            with self.fresh(status):
                self.start("--fast", "--running", "60s", retry='base_delay = "20ms"\nmax_delay = "50ms"\nsettle_window = "1s"')
                first = self.batch()
                self.control(f"batches/{first}/vanish", status=status)
                second = until("another batch", lambda: self.sql(f"SELECT batch_id FROM batchd.shard WHERE state = 'submitted' AND batch_id <> '{first}'"))
                self.complete(second)
                self.settled(20)
                self.assertEqual({("succeeded", None, 2)}, set(self.outcomes().values()))

    def test_20_a_service_clock_that_is_wrong_by_a_day_matters_to_nobody(self):
        for skew in ("24h", "-24h"):
            with self.fresh(skew):
                self.start("--fast", f"--clock-skew={skew}", faults=[{"operation": "create_batch", "fault": "reset_after"}])
                self.assertEqual(1, self.all_answered()["batches_created"])


class Endings(Edge):
    def test_09_a_batch_whose_rows_all_failed_is_no_success_and_no_loss(self):
        self.sim("--fast")
        self.serve()
        self.enqueue([asking_for("400", f"prompt {i}") for i in range(6)])
        self.settled(6)
        self.assertEqual({("failed", "content_filter", 1)}, set(self.outcomes().values()))

    def test_10_an_error_file_without_content_is_no_error(self):
        for form in ("always", "never"):
            with self.fresh(form):
                self.start("--fast", "--empty-error-file", form, shape={"ids": "empty"})
                self.all_answered()

    def test_11_of_an_expired_batch_exactly_the_unanswered_go_round_again(self):
        self.start(faults=[{"operation": "create_batch", "fault": "fate", "fate": {"end": "expired", "after": "in_progress", "share": 0.5, "lost": 3}}])
        self.all_answered(attempts=(1, 2))
        self.assertEqual(10, self.number_of("SELECT count(*) FROM batchd.result WHERE attempt = 1"))

    def test_12_a_batch_in_which_nothing_is_wanted_any_more_is_cancelled_at_the_provider(self):
        daemon = self.start("--fast", "--running", "10m")
        self.batch()
        self.assertEqual(20, self.number_of("SELECT batchd.cancel_job('default')"))
        self.settled(20)
        self.assertTrue(daemon.saw("batch.cancelled"))
        self.assertEqual(1, self.ledger()["calls"]["cancel"])
        self.assertLessEqual({outcome[:2] for outcome in self.outcomes().values()}, {("cancelled", "cancelled"), ("succeeded", None)})
        self.assertEqual(self.ledger()["requests_answered"], self.number_of("SELECT count(*) FROM batchd.result WHERE outcome = 'succeeded'"),
                         "what was paid for is kept")
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.cancel_wish"))
        self.assertEqual(0, self.number_of("SELECT reserved FROM batchd.deployment"))

    def test_12_a_cancellation_that_loses_the_race_keeps_the_answers(self):
        self.start("--fast", "--running", "10m", faults=[{"operation": "cancel", "fault": "fate", "fate": {"end": "completed"}}])
        self.batch()
        self.sql("SELECT batchd.cancel_job('default')")
        self.all_answered()

    def test_12_a_batch_that_is_over_already_is_no_trouble_to_cancel(self):
        for code in ("conflict", "unexpectedEntityState"):
            with self.fresh(code):
                self.start("--fast", "--running", "2s", "--cancel-conflict", code, poll='interval = "5s"\nfile_interval = "50ms"')
                id = self.batch()
                self.complete(id)
                self.sql("SELECT batchd.cancel_job('default')")
                self.all_answered()
                self.assertEqual(1, self.ledger()["calls"]["cancel"])

    def test_12_cancelling_that_takes_long_and_answers_part_is_waited_for(self):
        self.start("--fast", "--running", "10m", "--cancelling", "1500ms", "--cancelled-lines",
                   faults=[{"operation": "cancel", "fault": "fate", "fate": {"end": "cancelled", "share": 0.4}}])
        self.batch()
        self.sql("SELECT batchd.cancel_job('default')")
        self.settled(20)
        outcomes = [outcome for outcome, _, _ in self.outcomes().values()]
        self.assertEqual((8, 12), (outcomes.count("succeeded"), outcomes.count("cancelled")))

    def test_12_a_batch_cancelled_by_somebody_else_loses_nothing_and_nobody_an_attempt(self):
        self.start("--fast", "--running", "10m")
        first = self.batch()
        self.control(f"batches/{first}/cancel", end="cancelled", share=0.3)
        second = until("another batch", lambda: self.sql(f"SELECT batch_id FROM batchd.shard WHERE state = 'submitted' AND batch_id <> '{first}'"))
        self.complete(second)
        self.all_answered()

    def test_12_with_something_still_wanted_the_batch_goes_on_and_a_paid_answer_wins(self):
        self.sim("--fast", "--running", "1h")
        kept = self.enqueue([chat("kept")], job="kept")
        gone = self.enqueue([chat("answered"), asking_for("429", "not answered"), asking_for("missing", "not mentioned")], job="gone")
        self.serve()
        batch = self.batch()
        self.assertEqual(1, self.number_of("SELECT count(*) FROM batchd.shard"))
        self.assertEqual(3, self.number_of("SELECT batchd.cancel_job('gone')"))
        self.release(batch)
        self.settled(4)
        self.assertEqual(["succeeded", "succeeded", "cancelled", "cancelled"], [self.outcomes()[id][0] for id in kept + gone])
        self.assertEqual(0, self.ledger()["calls"]["cancel"])
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.cancel_wish"))

    def test_12_a_staged_shard_with_a_cancelled_row_is_given_up_and_the_row_never_sent(self):
        self.sim("--fast")
        self.fault(operation="create_batch", fault="429", times=1000)
        self.serve()
        ids = self.enqueue([chat(f"prompt {i}") for i in range(10)])
        until("staged", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'uploaded'") == 1)
        self.assertEqual("t", self.sql(f"SELECT batchd.cancel_request({ids[4]})"))
        # A POST that was under way before the wish may still come: it is refused as long as that can be.
        until("given up", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE finish_reason = 'given_up'") == 1)
        self.no_more_faults()
        self.settled(10)
        outcomes = self.outcomes()
        self.assertEqual("cancelled", outcomes.pop(ids[4])[0])
        self.assertEqual({("succeeded", None, 1)}, set(outcomes.values()))

    def test_14_every_dirt_that_a_result_file_may_hold(self):
        expected = {
            "403": "failed", "408": "failed", "409": "failed", "422": "failed", "503": "failed", "too_long": "failed",
            "empty_body": "failed", "status0_null": "failed", "neither": "failed", "bad_utf8": "succeeded", "bad_utf8_answer": "failed",
            "blank_lines": "succeeded", "crlf": "succeeded", "no_newline": "succeeded", "same_id": "succeeded", "no_id": "succeeded",
            "not_object": "succeeded", "float_time": "succeeded", "filtered": "succeeded", "cancelled": ..., "surrogate": ..., "nul": ..., "deep": ...,
            "error200": ...,
        }
        self.sim("--fast")
        self.serve(retry='max_attempts = 2\nbase_delay = "20ms"\nmax_delay = "50ms"')
        kinds = [kind for kind in expected if kind != "cancelled"]
        ids = self.enqueue([chat("fine")] + [asking_for(kind, f"please {kind}") for kind in kinds])
        self.settled(len(ids))
        outcomes = self.outcomes()
        self.assertEqual("succeeded", outcomes[ids[0]][0])
        for kind, id in zip(kinds, ids[1:]):
            with self.subTest(kind):
                if expected[kind] is not ...:
                    self.assertEqual(expected[kind], outcomes[id][0])
        self.sql("SELECT response FROM batchd.result")  # all of it is JSON to PostgreSQL


class Transport(Edge):
    def test_15_results_that_are_not_there_yet_are_waited_for(self):
        self.start("--fast", "--results-invisible", "700ms")
        self.all_answered()

    def test_15_a_download_cut_at_any_byte_starts_over(self):
        for at in (0, 1, 1000):
            with self.fresh(at):
                self.start(faults=[{"operation": "download", "fault": "truncate", "at": at, "times": 2}])
                self.all_answered()

    def test_16_every_form_of_throttling_is_honoured(self):
        forms = [
            {"fault": "429", "retry_after_ms": "300"},
            {"fault": "429", "retry_after": "0.4"},
            {"fault": "429", "retry_after": "in 1s"},
            {"fault": "429", "retry_after": "1", "retry_after_ms": "200"},
            {"fault": "429", "headers": {"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-remaining-requests": "0"}},
            {"fault": "429", "retry_after": "soon"},
            {"fault": "503", "style": "html", "retry_after": "0.2"},
            {"fault": "500_before", "headers": {"x-should-retry": "false"}},
        ]
        for form in forms:
            with self.fresh(form):
                self.start(faults=[{"operation": "upload", **form}, {"operation": "list", **form}])
                self.all_answered()

    def test_16_a_long_retry_after_is_believed_and_shown(self):
        daemon = self.start(faults=[{"operation": "create_batch", "fault": "429", "retry_after": "86400"}])
        refused = until("the refusal", lambda: daemon.saw("submission.refused"))[0]
        self.assertEqual(86_400_000, refused["retry_in_ms"])
        until("it waits", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE due_at > now() + interval '23 hours'") == 1)
        self.conserved()

    def test_16_rate_limits_slow_the_work_and_lose_nothing(self):
        self.start("--fast", "--rate-limit", "create_batch=2/s", "--rate-limit", "upload=3/s", count=40, planner=SMALL_FILES)
        self.all_answered(40)


class Lists(Edge):
    def test_18_lists_of_every_shape_are_walked_to_their_end(self):
        variants = [
            {"shape": {"list_key": "value", "list_drop": ["last_id", "first_id"]}},
            {"shape": {"list_drop": ["last_id", "first_id", "object"]}},
            {"faults": [{"operation": "list", "fault": "empty_page", "times": 5}]},
            {"faults": [{"operation": "list", "fault": "repeat_page", "nth": 2, "times": 5}]},
            {"faults": [{"operation": "list", "fault": "insert", "count": 2, "nth": 2, "times": 5}]},
            {"sim": ("--list-order", "oldest")},
        ]
        for variant in variants:
            with self.fresh(variant):
                self.start("--fast", "--running", "400ms", "--page-size", "3", "--foreign", "7", *variant.get("sim", ()), count=40,
                           faults=variant.get("faults", ()), shape=variant.get("shape"), planner=SMALL_FILES)
                self.all_answered(40)

    def test_18_a_lost_submission_is_found_behind_pages_of_other_peoples_batches(self):
        self.start("--fast", "--page-size", "3", "--list-order", "oldest", "--foreign", "40",
                   faults=[{"operation": "create_batch", "fault": "reset_after"}])
        self.assertEqual(1, self.all_answered()["batches_created"])

    def test_18_a_list_that_does_not_advance_never_proves_that_a_batch_is_missing(self):
        self.sim("--fast", "--page-size", "3", "--list-order", "oldest", "--foreign", "10")
        self.fault(operation="create_batch", fault="reset_after")
        daemon = self.serve(retry='base_delay = "20ms"\nmax_delay = "50ms"\nsettle_window = "500ms"')
        until("the list was compared with the books once", lambda: daemon.saw("provider.matched"))
        self.fault(operation="list", fault="repeat_page", times=100000)
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("it is looked for again and again", lambda: len([line for line in daemon.saw("look.failed") if line["code"] == "list_incomplete"]) > 5)
        self.assertEqual((1, 0), (self.ledger()["calls"]["create_batch"], self.ledger()["files_deleted"]))
        self.no_more_faults()
        self.assertEqual(1, self.all_answered()["batches_created"])


class Files(Edge):
    def test_19_at_the_file_ceiling_our_own_old_files_make_room_and_nobody_elses(self):
        self.start("--fast", "--max-files", "12", "--foreign", "2", count=60, planner=SMALL_FILES, retention='remote_delay = "1h"')
        self.all_answered(60)
        self.assertGreater(self.ledger()["files_deleted"], 0)

    def test_19_a_file_that_is_deleted_already_counts_as_deleted(self):
        self.start(faults=[{"operation": "delete", "fault": "404", "times": 2}])
        self.all_answered()
        until("closed", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'closed'") == 1)

    def test_19_results_that_expire_before_they_are_read_send_their_rows_again(self):
        self.start(faults=[{"operation": "download", "fault": "404", "times": 11}],
                   retry='base_delay = "20ms"\nmax_delay = "50ms"\nsettle_window = "1s"')
        self.all_answered(attempts=(2,), executed=40)


if __name__ == "__main__":
    unittest.main()
