#!/usr/bin/env python3
"""Seeded schedules of the product's own stages: none may break a promise, each replays the same, and every mutant is noticed."""

import os
import re
import subprocess
import sys
import unittest

SIMULATION = os.environ["BATCHD_SIMULATION"]
MUTANTS = os.environ["BATCHD_MUTANTS"]
SEEDS = int(os.environ.get("SIMULATION_SEEDS", "10000"))
MUTANT_SEEDS = 5000
# Where the seeds begin, for guards that schedules want seldom.
MUTANT_FIRST = {"term-check": 10001, "harvest": 5001, "ended-terms": 5001, "beats-of-writes": 10001}


def run(program, *arguments):
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=1800)
    return done.returncode, done.stdout + done.stderr


class Seeds(unittest.TestCase):
    def test_no_schedule_breaks_a_promise(self):
        code, said = run(SIMULATION, "--count", SEEDS)
        print(said, flush=True)
        self.assertEqual(code, 0, said)
        figures = {name: int(number) for name, number in re.findall(r"([a-z][a-z ]*?) (\d+)\b", said)}
        self.assertEqual(figures["schedules"], SEEDS)
        # That they met what they were made for.
        for word in ("deaths", "losses of commits", "succeeded", "failed", "cancelled", "expired", "run again"):
            self.assertGreater(figures[word], SEEDS // 1000, f"{word} in {said}")


class Replay(unittest.TestCase):
    def test_a_seed_replays_the_same(self):
        for seed in (3, 17, 4242):
            code, first = run(SIMULATION, "--seed", seed, "--trace")
            self.assertEqual(code, 0, first[-2000:])
            again = run(SIMULATION, "--seed", seed, "--trace")[1]
            self.assertGreater(len(first.splitlines()), 50)
            # The last lines tell how fast it was.
            self.assertEqual(first.splitlines()[:-3], again.splitlines()[:-3])

    def test_a_failing_seed_names_the_command_that_replays_it(self):
        code, said = run(MUTANTS, "--mutant", "unknown-is-refused", "--count", MUTANT_SEEDS, "--until-killed")
        self.assertEqual(code, 1, said)
        command = re.search(r"replay: (.*)", said).group(1).split()
        code, trace = run(*command)
        self.assertEqual(code, 1)
        self.assertIn("VIOLATION", trace)


class Mutants(unittest.TestCase):
    def test_each_is_killed(self):
        lines = run(MUTANTS, "--mutants")[1].splitlines()
        names = [line.split("\t")[0] for line in lines]
        self.assertGreaterEqual(len(names), 10)
        alive = []
        for name in names:
            first = MUTANT_FIRST.get(name, 1)
            code, said = run(MUTANTS, "--mutant", name, "--first", first, "--count", MUTANT_SEEDS, "--until-killed")
            killed = re.search(r"seed (\d+): (.*)", said)
            print(f"{name:20} " + (f"seed {killed.group(1)}: {killed.group(2)}" if killed else "ALIVE"), flush=True)
            if code != 1 or not killed:
                alive.append(name)
        self.assertEqual(alive, [])

    def test_without_a_mutant_the_copies_do_what_the_product_does(self):
        def figures(program):
            return re.sub(r"seconds.*", "", run(program, "--count", 200)[1])
        self.assertEqual(figures(MUTANTS), figures(SIMULATION))


if __name__ == "__main__":
    sys.exit(unittest.main())
