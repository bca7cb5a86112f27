#!/usr/bin/env python3
"""The quota of a real daemon against the simulator's own count: filled, never exceeded, and learnt where it is less than was configured.

CI asserts that it happens; with BATCHD_TEST_QUIET=1, on a machine with nothing else to do, also how well the room is used."""

import os
import pathlib
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, chat, until  # noqa: E402

QUIET = os.environ.get("BATCHD_TEST_QUIET") == "1"
WORDS = "the quick brown fox jumps over the lazy dog while seven wizards watch from the tower "


def prompt(number):
    """Some 500 tokens as the simulator counts, a quarter of the bytes."""
    return chat(f"{number}: " + WORDS * 23)


class Filled(Stack):
    def test_a_backlog_of_eight_limits_fills_the_quota_and_nothing_is_refused(self):
        limit = 200_000
        self.sim("--running", "10s" if QUIET else "2s", "--validating", "100ms", "--finalizing", "100ms",
                 "--deployment", f"mini={limit}", "--quota-mode", "fast")
        rows = 8 * limit // 500
        self.enqueue([prompt(i) for i in range(rows)])
        daemon = self.serve(limit=str(limit))
        samples = []
        done = threading.Event()

        def watch():
            while not done.is_set():
                samples.append((time.monotonic(), sum(self.ledger()["enqueued"].values()), self.waiting()))
                time.sleep(0.1)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            self.settled(rows)
        finally:
            done.set()
            watcher.join()
        ledger = self.ledger()
        self.assertEqual(rows, ledger["requests_executed"])
        self.assertEqual(0, sum(ledger["quota_refusals"].values()))
        self.assertLessEqual(max(ledger["max_enqueued_asked"].values()), limit)
        self.assertGreater(max(ledger["max_enqueued"].values()), limit // 2, "and the room was used")
        self.assertEqual(limit, daemon.metric('batchd_tokens_believed{deployment="mini"}'))
        self.assertEqual(0, daemon.metric('batchd_quota_refusals_total{deployment="mini"}'))
        used = self.used(samples, limit)
        print(f"used {100 * used:.1f} % of {limit} enqueued tokens while there was a backlog")
        if QUIET:
            self.assertGreaterEqual(used, 0.9)

    def waiting(self):
        """Requests that are not submitted."""
        return self.number_of("SELECT (SELECT count(*) FROM batchd.queue) + coalesce((SELECT sum(requests) FROM batchd.shard "
                              "WHERE state IN ('planned', 'uploaded')), 0)")

    @staticmethod
    def used(samples, limit):
        """Time-averaged from the first moment in which the quota was nearly full, while more than a sixth of it waited."""
        first = next(i for i, (_, held, _) in enumerate(samples) if held > 0.8 * limit)
        area = length = 0.0
        for (then, held, waiting), (now, _, _) in zip(samples[first:], samples[first + 1:]):
            if waiting * 500 < limit / 6:
                break
            area += held * (now - then)
            length += now - then
        return area / length / limit if length else 0.0


class Learnt(Stack):
    def believed(self):
        return self.number_of("SELECT coalesce(room_believed, enqueued_token_limit) FROM batchd.deployment")

    def test_a_limit_that_was_configured_too_high_is_learnt_from_refusals(self):
        for mode in ("fast", "late"):
            with self.subTest(mode):
                self.afresh() if mode == "late" else None
                self.sim("--fast", "--running", "300ms", "--deployment", "mini=30000", "--quota-mode", mode, "--enqueued-headers", "absent")
                daemon = self.serve(limit="1M")
                self.enqueue([prompt(i) for i in range(300)])
                until("a refusal", lambda: daemon.metric('batchd_quota_refusals_total{deployment="mini"}'))
                self.settled(300)
                ledger = self.ledger()
                self.assertGreater(sum(ledger["quota_refusals"].values()), 0)
                self.assertLessEqual(max(ledger["max_enqueued"].values()), 30000)
                self.assertLessEqual(self.believed(), 30000)
                self.assertEqual(30000, self.number_of("SELECT room_told FROM batchd.deployment"))
                told = daemon.saw("room.believed")
                self.assertEqual(30000, told[-1]["told"])
                self.assertEqual(0, daemon.stop())

    def test_a_header_tells_the_limit_before_anything_is_refused(self):
        self.sim("--fast", "--running", "500ms", "--deployment", "mini=60000", "--quota-mode", "fast")
        daemon = self.serve(limit="1M", planner='linger = "50ms"\nmax_requests = 10')
        self.enqueue([prompt(0)])
        self.settled(1)
        until("it is known", lambda: self.believed() == 60000)
        self.enqueue([prompt(i) for i in range(1, 300)])
        self.settled(300)
        ledger = self.ledger()
        self.assertEqual(0, sum(ledger["quota_refusals"].values()))
        self.assertLessEqual(max(ledger["max_enqueued_asked"].values()), 60000)
        until("it is shown", lambda: daemon.metric('batchd_tokens_believed{deployment="mini"}') == 60000)
        self.assertEqual(1_000_000, daemon.metric('batchd_tokens_limit{deployment="mini"}'))
        self.assertIn('"tokens_believed":60000', daemon.get("/status")[1])

    def test_the_belief_shrinks_when_others_take_the_room_and_grows_again_when_they_leave(self):
        self.sim("--fast", "--running", "300ms", "--deployment", "mini=60000", "--quota-mode", "fast", "--enqueued-headers", "absent")
        others = self.control("foreign", batches=1, model="mini", tokens=40000)
        daemon = self.serve(limit="60000", planner='linger = "50ms"\nmax_requests = 10')
        self.enqueue([prompt(i) for i in range(400)])
        until("it shrinks", lambda: self.believed() < 50000)
        self.complete(others["batches"][0])
        until("it grows again", lambda: self.enqueue_more() and self.believed() == 60000)
        until("all is answered", lambda: self.number_of("SELECT (SELECT count(*) FROM batchd.request) - (SELECT count(*) FROM batchd.result)") == 0)
        ledger = self.ledger()
        self.assertLessEqual(max(ledger["max_enqueued"].values()), 60000)
        beliefs = [line["tokens"] for line in daemon.saw("room.believed")]
        self.assertLess(min(beliefs), 50000)
        self.assertEqual(60000, beliefs[-1])
        self.assertEqual([], ledger["violations"])

    def enqueue_more(self):
        """Keeps some work waiting."""
        if self.number_of("SELECT count(*) FROM batchd.queue") < 20:
            self.enqueue([prompt(i) for i in range(40)])
        return True


if __name__ == "__main__":
    unittest.main()
