#!/usr/bin/env python3
"""Databases that have forgotten what they had confirmed: base backups restored, points in time recovered, standbys promoted early.

Real servers and real backups. After every return to the past the simulator's ledger is the judge: what was bought stays bought once.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BATCHD, COMMON, ROOT, Stack, chat, environment, until  # noqa: E402

COUNT = 60


class History(Stack):
    """A test's own way back: `back_up()` remembers this moment, `go_back(how)` returns to it."""

    WAYS = ("base backup", "point in time", "standby promoted early")

    @classmethod
    def shell(cls, script, *arguments):
        done = subprocess.run(["bash", "-c", COMMON + script, "-", ROOT, cls.cluster, *map(str, arguments)], capture_output=True,
                              env=environment())
        if done.returncode != 0:
            raise AssertionError(f"{script}: {(done.stdout + done.stderr).decode()}")

    def back_up(self):
        shutil.rmtree(pathlib.Path(self.cluster, "past"), True)
        self.shell('pg_run "$(pg_bin)/pg_basebackup" -h "$2" -U batchd -D "$2/past" -X stream -c fast')

    def go_back(self, how):
        self.shell('pg_run "$(pg_bin)/pg_ctl" -D "$2/data" -m immediate -w stop')
        past, data = pathlib.Path(self.cluster, "past"), pathlib.Path(self.cluster, "data")
        shutil.rmtree(data)
        past.rename(data)
        settings = {
            "base backup": "",
            "point in time": "restore_command = 'false'\nrecovery_target = 'immediate'\nrecovery_target_action = 'promote'\n",
            "standby promoted early": "",
        }[how]
        (data / "postgresql.auto.conf").write_text(settings)  # the backup may have what an earlier return left there
        signal_file = {"point in time": "recovery.signal", "standby promoted early": "standby.signal"}.get(how)
        if signal_file:
            (data / signal_file).touch()
        self.shell('chown -R --reference="$2/data" "$2/data"')
        self.shell('pg_run "$(pg_bin)/pg_ctl" -D "$2/data" -l "$2/data/server.log" -w start </dev/null >/dev/null 2>&1')
        if how == "standby promoted early":
            self.shell('pg_run "$(pg_bin)/pg_ctl" -D "$2/data" -w promote >/dev/null')
        until("it takes writes", lambda: self.sql("SELECT pg_is_in_recovery()") == "f")

    def run_batchd(self, *arguments, expect=0):
        done = subprocess.run([BATCHD, *arguments, "--config", self.place / "c.toml"], capture_output=True, env=environment())
        self.assertEqual(expect, done.returncode, done.stdout.decode() + done.stderr.decode())
        return done.stdout.decode()

    def finding(self, subject):
        done = subprocess.run([BATCHD, "doctor", "--json", "--config", self.place / "c.toml"], capture_output=True, env=environment())
        findings = json.loads(done.stdout)["findings"]
        return next(f for f in findings if f["subject"] == subject)

    def begin(self, *sim):
        self.sim("--fast", *sim)
        self.settings = self.config(retry='base_delay = "20ms"\nmax_delay = "100ms"\nsettle_window = "1s"')
        (self.place / "c.toml").write_text(self.settings)
        # At home here: otherwise only the restored database would look moved, by the fixture's own copying.
        self.sql("SELECT batchd.adopt()")

    def start(self):
        return self.serve(config=self.settings)

    def staged(self):
        """A daemon whose one file is uploaded and cannot be submitted yet; `self.released()` lets it."""
        self.fault(operation="upload", fault="file_state", delay="1h", state="processed")
        daemon = self.start()
        self.enqueue([chat(f"prompt {i}") for i in range(COUNT)])
        until("the file", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'uploaded'") == 1)
        return daemon

    def released(self):
        file = self.sql("SELECT input_file FROM batchd.shard")
        self.control(f"files/{file}/state", state="processed")
        until("the batch", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE batch_id IS NOT NULL") == 1)
        return self.sql("SELECT batch_id FROM batchd.shard")

    def bought_once(self, batches=1):
        ledger = self.ledger()
        self.assertEqual((batches, COUNT, 0), (ledger["batches_created"], ledger["requests_executed"],
                                               ledger["prompts_executed_more_than_once"]))
        self.assertEqual(1, ledger["calls"]["create_batch"])


class BeforeTheIntent(History):
    """The backup knows the uploaded file; the batch was submitted afterwards."""

    def test_the_batch_is_found_in_the_list_and_taken_over(self):
        for how in self.WAYS:
            with self.subTest(how):
                self.begin("--running", "1h")
                daemon = self.staged()
                self.back_up()
                batch = self.released()
                daemon.kill()
                self.go_back(how)
                self.assertEqual("", self.sql("SELECT batch_id FROM batchd.shard"))
                self.start()
                until("it is taken over", lambda: self.sql("SELECT batch_id FROM batchd.shard") == batch)
                self.release(batch)
                self.settled(COUNT)
                self.bought_once()
                self.afresh()

    def test_a_daemon_that_lives_through_it_notices(self):
        for how in self.WAYS:
            with self.subTest(how):
                self.begin("--running", "1h")
                daemon = self.staged()
                self.back_up()
                batch = self.released()
                beats = self.number_of("SELECT beats FROM batchd.replica")
                until("another heartbeat", lambda: self.number_of("SELECT beats FROM batchd.replica") > beats)
                self.go_back(how)
                until("it says so", lambda: daemon.saw("database.rewound"))
                until("it is taken over", lambda: self.sql("SELECT batch_id FROM batchd.shard") == batch)
                self.release(batch)
                self.settled(COUNT)
                self.bought_once()
                self.assertIsNone(daemon.process.poll())
                self.afresh()

    def test_nothing_is_posted_while_the_list_cannot_be_read(self):
        self.begin("--running", "1h")
        daemon = self.staged()
        self.back_up()
        batch = self.released()
        daemon.kill()
        self.go_back("base backup")
        self.fault(operation="list", fault="500_before", times=1_000_000)
        daemon = self.start()
        until("it tried", lambda: self.ledger()["calls"]["list"] > 5)
        until("it says so", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="unmatched"}') == 1)
        self.assertEqual("warn", self.finding("history")["level"])
        self.assertEqual(1, self.ledger()["calls"]["create_batch"])
        self.no_more_faults()
        self.release(batch)
        self.settled(COUNT)
        self.bought_once()
        until("all is well", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="unmatched"}') == 0)
        self.assertEqual("ok", self.finding("history")["level"])

    def test_what_was_merged_since_and_is_gone_waits_for_a_person(self):
        self.begin()
        daemon = self.staged()
        self.back_up()
        batch = self.released()
        self.settled(COUNT)
        until("its files are deleted", lambda: self.sql("SELECT state FROM batchd.shard") == "closed")
        daemon.kill()
        self.go_back("base backup")
        daemon = self.start()
        until("the shard waits", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE error::json->>'code' = 'answers_lost'") == 1)
        finding = self.finding("history")
        self.assertEqual("fail", finding["level"])
        self.assertIn(f"the answers of {COUNT} requests", json.dumps(finding))
        self.assertIn(batch, json.dumps(finding))
        self.assertIn("adopt --resubmit-lost", json.dumps(finding))
        tries = self.number_of("SELECT failures FROM batchd.shard")
        until("it goes on asking", lambda: self.number_of("SELECT failures FROM batchd.shard") > tries + 3)
        self.bought_once()
        self.conserved()
        self.assertIn(f"{COUNT} requests may be sent again", self.run_batchd("adopt", "--resubmit-lost", "--yes"))
        self.settled(COUNT)
        self.assertEqual(2, self.ledger()["batches_created"])
        self.assertEqual("ok", self.finding("history")["level"])


class BeforeThePlan(History):
    """The backup has the requests in the queue: it does not know the shard at all."""

    def queued(self):
        self.enqueue([chat(f"prompt {i}") for i in range(COUNT)])
        self.back_up()
        daemon = self.start()
        until("the batch", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE batch_id IS NOT NULL") == 1)
        return daemon, self.sql("SELECT batch_id FROM batchd.shard")

    def test_the_shard_is_made_again_for_the_batch_that_runs(self):
        for how in self.WAYS:
            with self.subTest(how):
                self.begin("--running", "1h")
                daemon, batch = self.queued()
                daemon.kill()
                self.go_back(how)
                self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.shard"))
                self.start()
                until("it is taken over", lambda: self.sql("SELECT batch_id FROM batchd.shard") == batch)
                self.release(batch)
                self.settled(COUNT)
                self.bought_once()
                self.afresh()

    def test_requests_that_came_after_the_return_are_sent_under_numbers_of_their_own(self):
        self.begin("--running", "1h")
        daemon, batch = self.queued()
        number = self.number_of("SELECT id FROM batchd.shard")
        daemon.kill()
        self.go_back("base backup")
        self.enqueue([chat(f"later {i}") for i in range(5)])
        self.start()
        until("both run", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE batch_id IS NOT NULL") == 2)
        self.assertEqual(str(number), self.sql(f"SELECT id FROM batchd.shard WHERE batch_id = '{batch}'"))
        self.assertGreater(self.number_of(f"SELECT id FROM batchd.shard WHERE batch_id <> '{batch}'"), number)
        for id in self.sql("SELECT batch_id FROM batchd.shard").split():
            self.release(id)
        self.settled(COUNT + 5)
        self.assertEqual(0, self.ledger()["prompts_executed_more_than_once"])

    def test_what_was_merged_since_and_is_gone_stops_submissions_until_a_person_says_so(self):
        self.begin()
        daemon, batch = self.queued()
        self.settled(COUNT)
        until("its files are deleted", lambda: self.sql("SELECT state FROM batchd.shard") == "closed")
        daemon.kill()
        self.go_back("base backup")
        daemon = self.start()
        until("it is known", lambda: self.number_of("SELECT count(*) FROM batchd.stray WHERE kind = 'lost'") == 1)
        until("the lists agree", lambda: self.number_of("SELECT count(*) FROM batchd.unmatched") == 0)
        finding = self.finding("history")
        self.assertEqual("fail", finding["level"])
        self.assertIn(batch, json.dumps(finding))
        until("the planner looked", lambda: daemon.metric('batchd_lane_paused{deployment="mini",reason="unmatched"}') == 1)
        self.assertEqual((0, 1), (self.number_of("SELECT count(*) FROM batchd.shard"), self.ledger()["calls"]["upload"]))
        self.conserved()
        self.run_batchd("adopt", "--resubmit-lost", "--yes")
        self.settled(COUNT)
        self.assertEqual(2, self.ledger()["batches_created"])
        self.assertEqual("ok", self.finding("history")["level"])

    def test_a_restart_without_a_loss_takes_nothing_over_and_buys_nothing_again(self):
        self.begin("--running", "300ms")
        daemon, _ = self.queued()
        for _ in range(3):
            daemon.kill()
            self.pg_ctl("restart")
            daemon.start()
            until("the lists agree", lambda: self.number_of("SELECT count(*) FROM batchd.replica") > 0
                  and self.number_of("SELECT count(*) FROM batchd.unmatched") == 0)
        self.settled(COUNT)
        self.bought_once()
        self.assertEqual("", self.sql("SELECT rewound_at FROM batchd.instance"))


if __name__ == "__main__":
    unittest.main()
