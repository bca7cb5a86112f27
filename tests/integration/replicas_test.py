#!/usr/bin/env python3
"""Several equal replicas: who holds what, who takes over from whom, and how each leaves. The ledger counts what reached the provider."""

import os
import pathlib
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, chat, until  # noqa: E402
from support import Api  # noqa: E402  (of tests/sim, which stack.py has made findable)

SMALL = 'linger = "50ms"\nmax_requests = 50'


class Replicas(Stack):
    def results(self):
        return self.number_of("SELECT count(*) FROM batchd.result")

    def ran_once(self, count):
        self.settled(count)
        self.assertEqual(count, self.ledger()["requests_executed"])
        self.assertEqual(0, self.ledger()["prompts_executed_more_than_once"])

    def nothing_held(self):
        self.assertEqual("0|0|0", self.sql("SELECT (SELECT count(*) FROM batchd.replica), (SELECT count(owner) FROM batchd.role), "
                                           "(SELECT count(owner) FROM batchd.shard)"))


class Terms(Replicas):
    def test_a_replica_that_was_declared_dead_notices_and_joins_again_and_works_on(self):
        self.sim("--fast", "--running", "200ms")
        daemon = self.serve(planner=SMALL, lease='ttl = "2s"')
        self.enqueue([chat(f"prompt {i}") for i in range(1500)])
        for death in range(1, 4):
            done = self.results()
            until("progress", lambda: self.results() > done or done == 1500)
            term = self.number_of("SELECT term FROM batchd.replica")
            self.sql("DELETE FROM batchd.replica")
            until("it joined again", lambda: len(daemon.saw("replica.joined")) == death + 1)
            until("its new term", lambda: self.sql("SELECT term FROM batchd.replica") not in ("", str(term)))
        self.ran_once(1500)
        self.assertIsNone(daemon.process.poll())
        until("its roles are its own again", lambda: self.number_of("SELECT count(*) FROM batchd.role r JOIN batchd.replica p ON p.term = r.owner "
                                                                    "WHERE r.name = 'plan'") == 1)

    def test_roles_that_are_given_away_are_taken_up_by_others_and_regained(self):
        self.sim("--fast", "--running", "100ms")
        daemons = [self.serve(planner=SMALL, lease='ttl = "20s"') for _ in range(2)]
        until("both", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 2)
        self.enqueue([chat(f"prompt {i}") for i in range(1000)])
        for owner in ("(SELECT term FROM batchd.replica ORDER BY term LIMIT 1)", "(SELECT term FROM batchd.replica ORDER BY term DESC LIMIT 1)",
                      "4711", "NULL"):
            done = self.results()
            until("progress", lambda: self.results() > done or done == 1000)
            self.sql(f"UPDATE batchd.role SET owner = {owner}")
        self.ran_once(1000)
        for daemon in daemons:
            self.assertEqual(1, len(daemon.saw("replica.joined")))
            self.assertEqual([], daemon.saw("replica.lost"))


class Quota(Replicas):
    def test_several_replicas_with_many_small_shards_never_enqueue_more_than_the_limit(self):
        for mode in ("fast", "late"):
            with self.subTest(mode):
                self.afresh()
                self.sim("--fast", "--running", "1h", "--deployment", "mini=3000", "--quota-mode", mode)
                daemons = [self.serve(limit="3000", planner='linger = "50ms"\nmax_requests = 10') for _ in range(3)]
                until("all three", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 3)
                self.enqueue([chat(f"prompt {i}") for i in range(300)])
                until("the room is used", lambda: max(self.ledger()["max_enqueued"].values(), default=0) > 1000)

                ended = set()

                def answered():
                    running = set(self.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted' AND batch_id IS NOT NULL").split())
                    for batch in running - ended:
                        self.complete(batch)
                    ended.update(running)
                    return self.results() == 300
                until("answers", answered)
                self.ran_once(300)
                ledger = self.ledger()
                self.assertLessEqual(max(ledger["max_enqueued_asked"].values()), 3000)
                self.assertEqual(0, sum(ledger["quota_refusals"].values()))
                self.assertEqual(0, self.number_of("SELECT reserved FROM batchd.deployment"))
                for daemon in daemons:
                    self.assertEqual(0, daemon.stop())
                self.nothing_held()


class Adoption(Replicas):
    def test_the_work_of_a_killed_replica_is_taken_up(self):
        """That it happens; tests/bench/adoption measures how soon."""
        self.sim("--fast")
        self.fault(operation="upload", fault="hang_after")
        first = self.serve(lease='ttl = "2s"')
        self.enqueue([chat("held")])
        until("a lease", lambda: self.number_of("SELECT count(owner) FROM batchd.shard") == 1)
        second = self.serve(lease='ttl = "2s"')
        until("both", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 2)
        until("the call hangs", lambda: self.ledger()["calls"].get("upload") == 1)
        first.kill()
        self.ran_once(1)
        self.assertTrue(second.saw("replica.buried"))


class CutOff(Replicas):
    def postgres(self, sent):
        """Sends a signal to every process of this class's PostgreSQL."""
        main = int((pathlib.Path(self.cluster) / "data" / "postmaster.pid").read_text().split()[0])
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(stat.parent.name) == main or int(fields[1]) == main:
                os.kill(int(stat.parent.name), sent)

    def test_a_replica_that_cannot_renew_its_lease_stops_calling_the_provider(self):
        self.sim("--fast")
        instance = self.sql("SELECT id FROM batchd.instance")
        api = Api(self.provider, "azure")
        for i in range(300):
            api.upload(b"{}\n", filename=f"batchd-{instance}-{1000 + i}-1.jsonl")
        self.fault(operation="delete", fault="slow", delay="100ms", probability=1)
        daemon = self.serve(lease='ttl = "3s"')  # it deletes one after the other, and needs no database between two
        calls = lambda: self.ledger()["calls"].get("delete", 0)  # noqa: E731
        until("it calls", lambda: calls() > 5)
        self.postgres(signal.SIGSTOP)
        try:
            stopped = last_change = time.monotonic()
            seen = calls()
            while time.monotonic() - last_change < 3:
                now = calls()
                if now != seen:
                    seen, last_change = now, time.monotonic()
                time.sleep(0.05)
            self.assertLess(last_change - stopped, 2 + 8, "two thirds of the ttl, and what a busy machine adds")
            self.assertGreater(self.ledger()["files_now"], 0, "there was more to do")
        finally:
            self.postgres(signal.SIGCONT)
        until("it goes on by itself", lambda: calls() > seen)
        self.assertIsNone(daemon.process.poll())


class Stops(Replicas):
    def uploading(self, **fault):
        """A daemon in the middle of an upload, beside another that would take over what it lets go of."""
        self.sim("--fast")
        self.fault(operation="upload", **fault)
        daemon = self.serve(lease='ttl = "3s"')
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("the upload", lambda: self.ledger()["calls"].get("upload") == 1)
        return daemon

    def test_an_upload_in_flight_is_finished_and_recorded_under_a_heartbeat_that_lasts(self):
        daemon = self.uploading(fault="slow", delay="7s")
        other = self.serve(lease='ttl = "3s"')
        until("both", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 2)
        started = time.monotonic()
        self.assertEqual(0, daemon.stop())
        self.assertLess(time.monotonic() - started, 27)
        self.assertEqual([], daemon.saw("replica.lost") + daemon.saw("shard.lease_lost") + other.saw("replica.buried"))
        self.assertTrue(daemon.saw("shard.uploaded"))
        self.ran_once(20)
        self.assertEqual(1, self.ledger()["calls"]["upload"])
        self.assertEqual(0, other.stop())
        self.nothing_held()

    def test_a_second_signal_leaves_at_once(self):
        daemon = self.uploading(fault="hang_after")
        daemon.process.send_signal(signal.SIGTERM)
        until("it is stopping", lambda: daemon.saw("stopping"))
        self.assertEqual(503, daemon.get("/readyz")[0])
        started = time.monotonic()
        self.assertEqual(1, daemon.stop())
        self.assertLess(time.monotonic() - started, 15)
        self.assertTrue(daemon.saw("stopped.at_once"))
        self.serve(lease='ttl = "3s"')
        self.ran_once(20)


class StopsLate(Replicas):
    def test_an_upload_that_hangs_is_handed_back_at_the_cap_and_the_next_start_recovers(self):
        self.sim("--fast")
        self.fault(operation="upload", fault="hang_after")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("the upload", lambda: self.ledger()["calls"].get("upload") == 1)
        started = time.monotonic()
        self.assertEqual(1, daemon.stop())
        self.assertTrue(25 < time.monotonic() - started < 32, time.monotonic() - started)
        self.assertTrue(daemon.saw("stop.timed_out") and daemon.saw("replica.left"))
        self.nothing_held()
        again = self.serve()
        self.ran_once(20)
        until("the file that nobody knew of is gone", lambda: again.saw("file.orphan_deleted"))

    def test_a_merge_that_would_take_long_is_broken_off_without_loss(self):
        self.sim("--fast", "--answer-bytes", "1000")
        self.fault(operation="download", fault="slow", delay="2s")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i}") for i in range(3000)])
        until("the download", lambda: self.ledger()["calls"].get("download") == 1)
        started = time.monotonic()
        self.assertEqual(0, daemon.stop())
        self.assertTrue(5 < time.monotonic() - started < 25, time.monotonic() - started)
        self.nothing_held()
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'merged'"))
        self.serve()
        self.ran_once(3000)


if __name__ == "__main__":
    unittest.main()
