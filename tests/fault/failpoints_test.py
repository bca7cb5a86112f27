#!/usr/bin/env python3
"""A replica is killed at each failpoint, or told at each that what it has just done has failed; another life of it finishes the job,
and then nothing is lost, merged twice or billed twice."""

import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from points import Points, all_points  # noqa: E402
from sites import BATCHD, FAULTY, Failed, Killed  # noqa: E402


class Release(unittest.TestCase):
    def test_batchd_has_no_failpoint_and_the_test_program_has_them_all(self):
        verbs = {point.rsplit(".", 1)[0] for point in all_points()}
        self.assertGreaterEqual(len(all_points()), 40)
        with_points, without = pathlib.Path(FAULTY).read_bytes(), pathlib.Path(BATCHD).read_bytes()
        for name in sorted(verbs) + ["BATCHD_FAILPOINT", "list-failpoints"]:
            self.assertIn(name.encode(), with_points)
            self.assertNotIn(name.encode(), without)

    def test_orders_that_make_no_sense_are_refused(self):
        for order in ("store.nothing.before=kill", "store.plan.after=explode", "store.plan.after", "store.plan.after=kill@0", "nosuch*=kill"):
            with self.subTest(order):
                done = subprocess.run([FAULTY, "serve", "--config", "/nonexistent"], env={"BATCHD_FAILPOINT": order}, capture_output=True, text=True)
                self.assertEqual(2, done.returncode)
                self.assertIn(f"failpoint order '{order}'", done.stderr)


class Kills(Points):
    campaign = "kills"

    mischief = Killed

    def test_sigkill_at_each_failpoint_loses_nothing_and_bills_nothing_twice(self):
        self.strike_at_all(all_points())


class LostAnswers(Points):
    """What was done has failed as far as its caller can see: a COMMIT without an answer, a call that timed out after its effect."""

    campaign = "lost-answers"
    together = 8

    mischief = Failed

    def test_an_answer_that_is_lost_after_each_effect_loses_nothing_and_bills_nothing_twice(self):
        self.strike_at_all([point for point in all_points() if not point.endswith(".middle")])


if __name__ == "__main__":
    unittest.main()
