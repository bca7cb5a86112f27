"""A steady load on three replicas of the real batchd: as many rows under way as fit a window, whatever happens to anybody."""

import collections
import random
import time

from judge import judge
from sites import BATCHD, Site

# The chances with which the provider goes wrong at each call. What is listed late is listed before anybody gives it up.
FAULTS = [
    {"operation": "create_batch", "fault": "429", "probability": 0.05, "retry_after": "0.3"},
    {"operation": "create_batch", "fault": "500_before", "probability": 0.02},
    {"operation": "create_batch", "fault": "500_after", "probability": 0.03},
    {"operation": "create_batch", "fault": "reset_after", "probability": 0.03},
    {"operation": "create_batch", "fault": "list_lag", "probability": 0.1, "delay": "700ms"},
    {"operation": "upload", "fault": "503", "probability": 0.03},
    {"operation": "upload", "fault": "reset_reading", "probability": 0.03, "at": 2000},
    {"operation": "download", "fault": "truncate", "probability": 0.05},
    {"operation": "download", "fault": "reset_before", "probability": 0.03},
    {"operation": "list", "fault": "500_before", "probability": 0.05},
    {"operation": "list", "fault": "429", "probability": 0.02, "retry_after": "0.2"},
    {"operation": "file", "fault": "502_html", "probability": 0.02},
    {"operation": "delete", "fault": "500_after", "probability": 0.05},
]


class Load:
    """Use it with `with`: a site with replicas that are kept busy by wait()."""

    window = 2000  # rows asked for and not settled
    portion = 250

    def __init__(self, seed, replicas=3, ttl="3s"):
        self.random = random.Random(seed)
        self.site = Site()
        self.replicas = replicas
        self.site.options = {"planner": 'linger = "100ms"\nmax_requests = 100', "poll": 'interval = "250ms"\nfile_interval = "100ms"',
                             "retry": 'base_delay = "50ms"\nmax_delay = "1s"\nsettle_window = "2s"', "lease": f'ttl = "{ttl}"'}
        self.sim = ("--fast", "--running", "1s", "--seed", str(seed))
        self.settled = 0
        self.samples = collections.deque()  # (when, settled by then)

    def __enter__(self):
        self.site.__enter__()
        self.site.sim(*self.sim)
        for _ in range(self.replicas):
            self.site.replica(program=BATCHD)
        return self

    def __exit__(self, *error):
        self.site.__exit__(*error)

    def step(self):
        """Looks at what is settled and asks for more."""
        self.settled = self.site.number_of("SELECT succeeded + failed + cancelled + expired FROM batchd.totals")
        self.samples.append((time.monotonic(), self.settled))
        while len(self.site.rows) - self.settled <= self.window - self.portion:
            self.site.ask("ok", self.portion, job=f"job{len(self.site.rows) // 50_000}")

    def wait(self, seconds):
        """Keeps the load up for so long; returns the rows settled in a second meanwhile."""
        end = time.monotonic() + seconds
        first = len(self.samples)
        while time.monotonic() < end:
            self.step()
            time.sleep(0.2)
        (start, before), (finish, after) = self.samples[min(first, len(self.samples) - 2)], self.samples[-1]
        return (after - before) / (finish - start)

    def finish(self):
        """No more rows: until all is done and every replica has left; then the judgement."""
        site = self.site
        site.until("every result", lambda: site.number_of("SELECT succeeded + failed + cancelled + expired FROM batchd.totals") >= len(site.rows),
                   300)
        site.until("every shard is closed", lambda: site.shards("state <> 'closed'") == 0)
        site.mischief.end(site)
        return judge(site)
