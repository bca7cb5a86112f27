#!/usr/bin/env python3
"""Three replicas under load while one after the other is killed, or while PostgreSQL crashes again and again."""

import pathlib
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import settings  # noqa: E402
import sites  # noqa: E402
from load import FAULTS, Load  # noqa: E402


class Storms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        sites.Site.setUpClass()
        cls.addClassCleanup(sites.Site.doClassCleanups)

    def each_seed(self, campaign, run):
        for seed in settings.SEEDS:
            try:
                settings.report(campaign, seed=seed, **run(seed))
            except Exception as error:
                error.add_note(f"again: {settings.replay(campaign, seed)}")
                raise


class Storm(Storms):
    def test_a_replica_is_killed_every_few_seconds_while_the_provider_fails_by_chance(self):
        self.each_seed("storm", self.storm)

    def storm(self, seed):
        seconds, calm = settings.seconds(60, 600), settings.seconds(6, 60)
        with Load(seed) as load:
            load.wait(min(calm, 10))
            undisturbed = load.wait(calm)
            for fault in FAULTS:
                load.site.fault(**fault)
            kills, end, started = 0, time.monotonic() + seconds, load.settled
            while time.monotonic() < end:
                load.wait(load.random.uniform(1, 5))
                victim = load.random.choice(load.site.daemons)
                self.assertIsNone(victim.process.poll(), "a replica ended by itself")
                victim.kill()
                kills += 1
                victim.start()
            stormy = (load.settled - started) / seconds
            load.site.no_more_faults()
            load.wait(min(calm, 10))
            after = load.wait(calm)
            return {"seconds": seconds, "kills": kills, "undisturbed_per_s": round(undisturbed), "in_the_storm_per_s": round(stormy),
                    "afterwards_per_s": round(after), "back_percent": round(100 * after / undisturbed), **load.finish()}


class Restarts(Storms):
    def test_postgresql_crashes_again_and_again_and_nobody_needs_a_restart(self):
        self.each_seed("restarts", self.restarts)

    def restarts(self, seed):
        seconds = settings.seconds(60, 600)
        gaps = (5, 40) if settings.LONG else (3, 10)
        with Load(seed, ttl="10s") as load:
            load.wait(5)
            reconnects, beats, results, end = [], [], [], time.monotonic() + seconds
            while time.monotonic() < end:
                load.wait(load.random.uniform(*gaps))
                before = load.settled
                sites.Site.pg_ctl("restart")
                up = time.monotonic()
                load.site.asked.close()
                load.site.asked = sites.Psql(load.site.psql_command(load.site.database))
                reconnects.append(self.all_back(load, "SELECT count(DISTINCT application_name) FROM pg_stat_activity "
                                                      "WHERE application_name LIKE 'replica%'", up))
                beats.append(self.all_back(load, "SELECT count(*) FROM batchd.replica WHERE heartbeat_at > pg_postmaster_start_time()", up))
                while load.settled == before:
                    load.step()
                results.append(time.monotonic() - up)
            for replica in load.site.daemons:
                self.assertIsNone(replica.process.poll())
            return {"seconds": seconds, "restarts": len(reconnects), "reconnect_s_max": round(max(reconnects), 2),
                    "heartbeat_s_max": round(max(beats), 2), "next_result_s_max": round(max(results), 2), **load.finish()}

    @staticmethod
    def all_back(load, query, since):
        """Seconds since then until the query counts every replica."""
        load.site.until("every replica is back", lambda: load.site.number_of(query) >= load.replicas)
        return time.monotonic() - since


if __name__ == "__main__":
    unittest.main()
