"""Runs of the small workloads with something happening at a failpoint; several at a time, each on a site of its own."""

import collections
import random
import subprocess
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

import settings
import workloads
from judge import judge
from sites import FAULTY, Site, Traced


def all_points():
    return subprocess.run([FAULTY, "--list-failpoints"], check=True, capture_output=True, text=True).stdout.split()


class Points(unittest.TestCase):
    """Base: knows which workload passes which point how often, from a run of each in which nothing happens."""

    campaign = ""
    only = None  # the workloads that are used, when not all
    together = 3  # points in one run of a short campaign

    @classmethod
    def setUpClass(cls):
        Site.setUpClass()
        cls.addClassCleanup(Site.doClassCleanups)
        cls.passages = collections.defaultdict(dict)
        cls.lock = threading.Lock()
        with ThreadPoolExecutor(settings.JOBS) as pool:
            for name, counts in pool.map(cls.trace, cls.only or workloads.ALL):
                for point, count in counts.items():
                    cls.passages[point][name] = count

    @classmethod
    def trace(cls, name):
        mischief = Traced()
        try:
            with Site() as site:
                site.work(workloads.ALL[name](), mischief)
                judge(site, workloads.ALL[name].excused)
                return name, mischief.passages()
        except Exception as error:
            error.add_note(f"{name}, although nothing was done to it")
            raise

    def plan(self, points, seed):
        """[(workload, [(point, passage)])]: which workload passes it, and at which passage of the first six, is chance, from the seed."""
        runs = []
        for point in points:
            chance = random.Random(f"{seed} {point}")
            reached = self.passages[point]
            name = chance.choice(sorted(reached))
            runs.append((name, [(point, chance.randint(1, min(reached[name], 6)))]))
        return runs

    def short_plan(self, points, seed):
        """Each point in the first workload that passes it, several in a run, spread over its time."""
        by_workload = collections.defaultdict(list)
        for point in sorted(points, key=list(self.passages).index):  # as they are passed first
            chance = random.Random(f"{seed} {point}")
            name, count = next(iter(self.passages[point].items()))
            by_workload[name].append((point, chance.randint(1, min(count, 6))))
        plan = []
        for name, orders in by_workload.items():
            runs = -(-len(orders) // self.together)
            plan += [(name, orders[start::runs]) for start in range(runs)]
        return plan

    def make(self, orders):
        return self.mischief(orders)

    def run_one(self, name, orders):
        """One run; the points at which something happened."""
        mischief = self.make(orders)
        try:
            with Site() as site:
                site.work(workloads.ALL[name](), mischief)
                figures = judge(site, workloads.ALL[name].excused)
        except Exception as error:
            notes = "\n".join(getattr(error, "__notes__", []))
            self.problem(f"{name} {orders}: {error}\n{notes}", orders)
            return [point for point, _ in orders]
        with self.lock:
            self.totals["runs"] += 1
            for key, value in figures.items():
                self.totals[key] += value
        return mischief.struck

    def problem(self, text, orders):
        # A short run depends on which others it is planned with; a long one strikes at its point alone.
        point = orders[0][0] if settings.LONG else None
        self.problems.append(f"{text}\nagain: {settings.replay(self.campaign, self.seed, point)}")

    def strike(self, run):
        """A run may pass a point less often than the one that was counted, or never get there: then it is tried alone, and elsewhere."""
        name, orders = run
        struck = self.run_one(name, orders)
        for point, _ in orders:
            elsewhere = [name] + [other for other in self.passages[point] if other != name]
            if point not in struck and not any(point in self.run_one(other, [(point, 1)]) for other in elsewhere):
                self.problem(f"{name}: {point} was not passed", orders)

    def strike_at_all(self, points):
        points = settings.chosen(points)
        if not self.only:
            unreached = [point for point in points if point not in self.passages]
            self.assertEqual([], unreached, "no workload reaches these points; tests/fault/workloads.py wants one that does")
        for seed in settings.SEEDS:
            self.totals, self.problems, self.seed = collections.Counter(), [], seed
            started = time.monotonic()
            plan = self.plan(points, seed) if settings.LONG else self.short_plan(points, seed)
            with ThreadPoolExecutor(settings.JOBS) as pool:
                list(pool.map(self.strike, plan))
            settings.report(self.campaign, seed=seed, points=sum(len(orders) for _, orders in plan), problems=len(self.problems),
                            seconds=round(time.monotonic() - started), **self.totals)
            if self.problems:
                self.fail("\n".join(self.problems))
