#!/usr/bin/env python3
"""Batches of ours that the books do not explain: late ones, duplicates, and those whose commits a database has lost."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, asking_for, chat, until  # noqa: E402

# A POST whose answer is lost and whose batch is listed only after the fence, by `appear()`: the one window that no client can close.
LOST = {"operation": "create_batch", "fault": "reset_after"}
LATE = ("--fast", "--list-lag", "1h")
PATIENT = 'base_delay = "60s"\nmax_delay = "60s"\nsettle_window = "1s"'


class Watched(Stack):
    def appear(self):
        """From now on the list shows the first batch."""
        self.control(f"batches/{self.batches()[0]['id']}/appear")

    def appear_as_duplicate(self):
        until("the second batch", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE batch_id IS NOT NULL") == 1)
        self.appear()

    def batches(self):
        """The simulator's batches of ours, oldest first."""
        instance = self.sql("SELECT id FROM batchd.instance")
        ours = [batch for batch in self.ledger("?details=1")["details"] if (batch["metadata"] or {}).get("batchd_instance") == instance]
        return sorted(ours, key=lambda batch: int(batch["metadata"]["batchd_attempt"]))

    def end_all(self):
        for batch in self.batches():
            if batch["status"] not in ("completed", "cancelled"):
                self.complete(batch["id"])

    def release_all(self):
        for batch in self.batches():
            if batch["status"] == "in_progress":
                self.release(batch["id"])

    def answers_by_batch(self):
        answered = {}
        for line in self.executions():
            if line["status"] == 200:
                answered.setdefault(line["batch_id"], set()).add(line["custom_id"])
        return answered

    def strays(self, columns="kind"):
        return self.sql(f"SELECT {columns} FROM batchd.stray ORDER BY found_at").splitlines()

    def wait_for_stray(self, where="true"):
        until("the stray", lambda: self.number_of(f"SELECT count(*) FROM batchd.stray WHERE {where}") > 0)

    def all_succeeded(self, count):
        self.settled(count)
        self.assertEqual({"succeeded"}, {outcome for outcome, _, _ in self.outcomes().values()})

    def files_gone(self):
        """Everything of ours is closed, and nothing of it is left at the provider."""
        until("closed", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state <> 'closed'") == 0)
        until("strays done", lambda: self.number_of("SELECT count(*) FROM batchd.stray WHERE done_at IS NULL") == 0)
        until("no files", lambda: self.ledger()["files_now"] == 0)


class TakenOver(Watched):
    def test_a_batch_listed_after_the_fence_is_taken_over_while_the_next_file_is_not_sent(self):
        self.sim(*LATE, "--running", "1s")
        for fault in (LOST, {"operation": "upload", "fault": "503", "nth": 2, "times": 1000}):
            self.fault(**fault)
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("the fence", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE attempt = 2") == 1)
        self.appear()
        self.all_succeeded(20)
        self.assertEqual(1, len(daemon.saw("batch.taken_over")))
        ledger = self.ledger()
        self.assertEqual((1, 1, 20), (ledger["batches_created"], ledger["calls"]["create_batch"], ledger["requests_executed"]))
        self.assertEqual([], self.strays())
        self.assertEqual("1 created", self.sql("SELECT attempt || ' ' || answer FROM batchd.submission"))
        self.files_gone()

    def test_and_while_the_next_post_waits_for_room_whose_file_is_deleted(self):
        self.sim(*LATE, "--running", "1s")
        self.fault(**LOST)
        daemon = self.serve(retry='base_delay = "50ms"\nmax_delay = "500ms"\nsettle_window = "4s"')
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("the first POST", lambda: self.ledger()["batches_created"] == 1)
        self.sql("SELECT batchd.pause('all')")  # an intent is refused, everything else goes on
        until("the second file", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'uploaded' AND attempt = 2") == 1)
        self.appear()
        until("taken over", lambda: daemon.saw("batch.taken_over"))
        self.all_succeeded(20)
        ledger = self.ledger()
        self.assertEqual((1, 2), (ledger["batches_created"], ledger["calls"]["upload"]))
        self.files_gone()
        self.assertEqual(0, self.number_of("SELECT sum(reserved) FROM batchd.deployment"))


class Duplicates(Watched):
    def counted(self, *daemons):
        return sum(daemon.metric("batchd_duplicate_batches_total") for daemon in daemons)

    def test_a_duplicate_that_runs_is_cancelled_and_counted_once_by_two_replicas_and_over_restarts(self):
        self.sim(*LATE, "--running", "10m")
        self.fault(**LOST)
        daemons = [self.serve(), self.serve()]
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        self.appear_as_duplicate()
        self.wait_for_stray("kind = 'duplicate'")
        until("it is counted", lambda: self.counted(*daemons) == 1)
        until("it is said", lambda: sum(len(daemon.saw("batch.duplicate")) for daemon in daemons) == 1)
        until("it is over", lambda: self.number_of("SELECT count(*) FROM batchd.stray WHERE over_at IS NOT NULL") == 1)
        first, second = self.batches()
        self.assertEqual(("cancelled", "in_progress"), (first["status"], second["status"]), "the one that the shard has goes on")
        for daemon in daemons:
            self.assertEqual(0, daemon.stop())
            daemon.start()
        self.end_all()
        self.all_succeeded(20)
        self.files_gone()
        self.assertEqual(["duplicate"], self.strays())
        self.assertEqual(0, self.counted(*daemons), "it is not counted again")
        self.assertEqual([], sum((daemon.saw("batch.duplicate") for daemon in daemons), []))
        self.assertEqual(2, self.ledger()["batches_created"])

    def test_its_answers_are_used_where_ours_are_missing_before_the_merge(self):
        self.sim(*LATE)
        for fault in (LOST, {"operation": "create_batch", "fault": "fate", "nth": 2,
                                   "fate": {"end": "expired", "share": 0.5, "hold": "in_progress"}}):
            self.fault(**fault)
        daemon = self.serve(retry=PATIENT)
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        self.appear_as_duplicate()
        self.wait_for_stray("over_at IS NOT NULL")
        self.release_all()
        self.all_succeeded(20)
        first, second = self.batches()
        answers = self.answers_by_batch()
        self.assertEqual((20, 10), (len(answers[first["id"]]), len(answers[second["id"]])))
        self.assertEqual(2, self.ledger()["batches_created"], "nothing was bought a third time")
        self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()})
        self.assertEqual(1, self.counted(daemon))
        self.files_gone()

    def test_and_after_the_merge_for_what_waits_to_be_sent_again(self):
        self.sim(*LATE)
        for fault in (LOST, {"operation": "create_batch", "fault": "fate", "nth": 2, "fate": {"end": "expired", "share": 0.5}}):
            self.fault(**fault)
        daemon = self.serve(retry=PATIENT)
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("the merge", lambda: self.number_of("SELECT count(*) FROM batchd.retry") == 10)
        self.appear()
        self.all_succeeded(20)
        self.assertEqual(10, until("it is said", lambda: daemon.saw("duplicate.harvested"))[0]["used"])
        self.assertEqual(2, self.ledger()["batches_created"])
        self.files_gone()

    def test_other_peoples_batches_are_not_touched(self):
        self.sim(*LATE, "--foreign", "3", "--page-size", "2")
        shared = {"batchd_shard": "1", "batchd_attempt": "1"}
        made = [self.control("foreign", batches=2, metadata=metadata)
                for metadata in ({"batchd_instance": "000000000000", **shared}, {}, shared, {"batchd_instance": self.sql("SELECT id FROM batchd.instance") + "x", **shared})]
        self.fault(**LOST)
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        self.appear_as_duplicate()
        until("harvested", lambda: self.number_of("SELECT count(*) FROM batchd.stray WHERE kind = 'duplicate' AND done_at IS NOT NULL") == 1)
        self.all_succeeded(20)
        theirs = {batch for one in made for batch in one["batches"]}
        self.assertEqual({"in_progress"}, {batch["status"] for batch in self.ledger("?details=1")["details"] if batch["id"] in theirs} or {"in_progress"})
        self.assertEqual(["duplicate"], self.strays())
        self.assertEqual(1, len(daemon.saw("batch.duplicate")))


class LostCommits(Watched):
    def cut_away(self, *daemons):
        """Takes the database back to the copy that `remember` made, as a restored backup would."""
        for daemon in daemons:
            daemon.kill()
        self.psql(f"DROP DATABASE {self.database} WITH (FORCE)", "postgres")
        self.psql(f"ALTER DATABASE {self.database}_old RENAME TO {self.database}", "postgres")
        # The copy is the same installation at the same place, as a backup restored in place is.
        self.sql("UPDATE batchd.instance SET database_oid = NULL; DELETE FROM batchd.replica; SELECT batchd.distrust('{}', true)")

    def remember(self):
        self.psql(f"CREATE DATABASE {self.database}_old TEMPLATE {self.database}", "postgres")

    def ran_once(self, count):
        ledger = self.ledger()
        self.assertEqual((count, 0), (ledger["requests_executed"], ledger["prompts_executed_more_than_once"]))

    def test_a_batch_whose_intent_was_forgotten_is_taken_over(self):
        self.sim("--fast", "--running", "10m")
        self.fault(operation="create_batch", fault="429", retry_after="86400")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("it waits for its next POST", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'uploaded' AND attempt = 2") == 1)
        daemon.stop()
        self.remember()
        self.sql("UPDATE batchd.shard SET due_at = clock_timestamp()")
        daemon.start()
        until("submitted", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted'") == 1)
        self.cut_away(daemon)
        daemon.start()
        until("taken over", lambda: daemon.saw("batch.taken_over"))
        self.end_all()
        self.all_succeeded(20)
        self.assertEqual(1, self.ledger()["batches_created"])
        self.ran_once(20)
        self.files_gone()

    def test_a_shard_that_was_forgotten_is_made_anew(self):
        for running, state in (("10m", "submitted"), ("100ms", "finished")):
            with self.subTest(state):
                self.afresh()
                self.sim("--fast", "--running", running)
                self.enqueue([chat(f"prompt {i}") for i in range(30)])
                self.remember()
                if state == "finished":  # over at the provider, and not read
                    self.fault(operation="download", fault="503", times=100000)
                daemon = self.serve(planner='linger = "50ms"\nmax_requests = 10')
                until("all are under way", lambda: self.number_of(f"SELECT coalesce(sum(requests), 0) FROM batchd.shard WHERE state = '{state}'") == 30)
                self.cut_away(daemon)
                self.no_more_faults()
                daemon.start()
                until("all are known again", lambda: self.number_of("SELECT coalesce(sum(requests), 0) FROM batchd.shard") == 30)
                if state == "submitted":
                    self.end_all()
                self.all_succeeded(30)
                self.assertTrue(daemon.saw("shard.recovered"))
                self.assertEqual(3, self.ledger()["batches_created"])
                self.ran_once(30)
                self.assertEqual("1 2 3", self.sql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM batchd.shard"))
                self.enqueue([chat("one more")])
                until("a new shard", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE batch_id IS NOT NULL") == 4)
                if state == "submitted":
                    self.end_all()
                self.all_succeeded(31)
                self.assertEqual(4, self.number_of("SELECT max(id) FROM batchd.shard"), "numbers that a provider lists are not given out again")
                self.files_gone()

    def test_requests_on_a_later_attempt_keep_it(self):
        self.sim("--fast")
        daemon = self.serve(retry=PATIENT)
        ids = self.enqueue([asking_for("once-429", f"prompt {i}") for i in range(5)])
        until("they came back", lambda: self.number_of("SELECT count(*) FROM batchd.retry") == 5)
        until("closed", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'closed'") == 1)
        daemon.stop()
        self.sql("UPDATE batchd.retry SET due_at = clock_timestamp()")
        self.remember()
        self.fault(operation="create_batch", fault="fate", fate={"hold": "in_progress"})
        daemon.start()
        until("the second batch", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted'") == 1)
        self.cut_away(daemon)
        daemon.start()
        until("made anew", lambda: daemon.saw("shard.recovered"))
        self.release_all()
        self.all_succeeded(5)
        self.assertEqual({2}, {attempt for _, _, attempt in self.outcomes().values()})
        self.assertEqual((2, 10), (self.ledger()["batches_created"], len(self.executions())))
        self.assertEqual(sorted(ids), sorted(self.outcomes()))

    def test_answers_that_are_gone_with_their_files_are_told_of(self):
        self.sim("--fast")
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        self.remember()
        daemon = self.serve()
        self.all_succeeded(20)
        self.files_gone()
        self.cut_away(daemon)
        daemon.start()
        self.wait_for_stray("kind = 'lost'")
        self.assertEqual(["lost 1 1 completed 20 20"], self.strays("concat_ws(' ', kind, shard_id, attempt, status, total, completed)"))
        self.assertEqual(1, len(until("it is said", lambda: daemon.saw("batch.answers_lost"))))


if __name__ == "__main__":
    unittest.main()
