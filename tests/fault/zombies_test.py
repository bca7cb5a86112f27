#!/usr/bin/env python3
"""A replica is stopped at a call of a provider, or at a write to a shard, for longer than its lease lasts, and let go on when another
has taken over: nothing that it writes under its old term is accepted, and nothing runs twice for all that it still sends."""

import pathlib
import random
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import settings  # noqa: E402
from points import Points, all_points  # noqa: E402
from sites import Calm  # noqa: E402


class Zombie(Calm):
    """The replica stops itself at the n-th passage of a point. Another one takes over; once that has happened, or (`late`) once all
    the work is done, the first one is let go on, in the belief that nothing has happened."""

    # Every table that is written under a term. A wish that was acted upon is crossed off by whoever did that, under the wish's own
    # mark: what else a shard says does not change by it. A write counts as of the begin of its transaction: one that was open when the
    # replica was stopped holds the lock of its shard, and nobody takes that over before it has ended.
    WATCHED = ("shard", "shard_member", "shard_progress", "answer", "retry", "request_attempt", "queue", "role")

    def __init__(self, orders, late):
        self.struck = []
        self.order = orders[0]
        self.late = late
        self.taken_over = None
        self.resumed_at = None
        self.variables = {"BATCHD_FAILPOINT": f"{self.order[0]}=stop@{self.order[1]}"}

    def begin(self, site):
        site.psql("CREATE TABLE public.written (at timestamptz, who text, what text);"
                  "CREATE FUNCTION public.note_write() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                  "IF TG_OP <> 'UPDATE' OR to_jsonb(OLD) - 'wished_at' <> to_jsonb(NEW) - 'wished_at' THEN INSERT INTO public.written "
                  "VALUES (transaction_timestamp(), current_setting('application_name'), TG_OP || ' ' || TG_TABLE_NAME); END IF; RETURN NULL; END $$;" +
                  "".join(f"CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON batchd.{table} FOR EACH ROW "
                          "EXECUTE FUNCTION public.note_write();" for table in self.WATCHED), site.database)
        super().begin(site)

    def tend(self, site):
        super().tend(site)
        if not site.daemons:
            return
        zombie = site.daemons[0]
        if not self.struck and zombie.stopped():
            self.struck = [self.order[0]]
            site.replica()
        if self.struck and not self.taken_over:
            # One replica is left, and it is the second: the first was buried.
            if site.sql("SELECT pid FROM batchd.replica") == str(site.daemons[1].process.pid):
                self.taken_over = site.sql("SELECT clock_timestamp()")
                if not self.late:
                    self.resume(site)

    def resume(self, site):
        self.resumed_at = site.sql("SELECT clock_timestamp()")
        site.daemons[0].process.send_signal(signal.SIGCONT)

    def before_stop(self, site):
        if not self.struck:
            return  # the point was not passed often enough
        site.until("the other took over", lambda: self.taken_over)
        if self.late:
            self.resume(site)
        pid = site.daemons[0].process.pid
        again = site.until("it joins again", lambda: site.sql(f"SELECT started_at FROM batchd.replica WHERE pid = {pid} "
                                                              f"AND started_at > '{self.resumed_at}'"))
        site.until("it is at work again", lambda: site.number_of("SELECT count(*) FROM batchd.replica WHERE heartbeat_at > started_at + "
                                                                 f"interval '1 s' AND pid = {pid}"))
        writes = "FROM public.written WHERE who = 'replica1' AND at"
        site.assertGreater(site.number_of(f"SELECT count(*) {writes} < '{self.taken_over}'"), 0, "the audit sees no writes at all")
        site.assertEqual("", site.sql(f"SELECT at, what {writes} >= '{self.taken_over}' AND at < '{again}'"), "written under a term that was over")


class Zombies(Points):
    campaign = "zombies"

    def make(self, orders):
        return Zombie(orders, late=random.Random(f"{self.seed} {orders[0][0]}").random() < 0.5)

    @classmethod
    def setUpClass(cls):
        cls.only = None if settings.LONG else ("Plain", "Fenced")
        super().setUpClass()

    def short_plan(self, points, seed):
        """Three, of those in which most is at stake; the deletion is the fence of a submission that nobody could find."""
        return [("Plain", [("provider.create_batch.sending", 1)]), ("Plain", [("provider.upload.sending", 2)]),
                ("Fenced", [("provider.delete_file.sending", 1)])]

    def test_sigstop_past_the_lease_at_each_call_of_a_provider_and_each_write_to_a_shard(self):
        writes = ("store.save.", "store.settle.", "store.split.", "store.plan.", "store.note_status.", "store.lease.", "store.lease_one.")
        self.strike_at_all([point for point in all_points() if point.startswith(("provider.", *writes))])


if __name__ == "__main__":
    unittest.main()
