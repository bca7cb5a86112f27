"""Small jobs that between them reach every failpoint; failpoints_test.py finds out which reaches which.

Each takes a few seconds undisturbed, waits for states and never for time, and goes on wherever a replica was killed or replaced.
"""

QUICK = 'base_delay = "20ms"\nmax_delay = "100ms"\nsettle_window = "600ms"'


def refusal(code):
    """A fate: the batch fails its validation with this code, which is about no line."""
    return {"end": "failed", "errors": {"object": "list", "data": [{"code": code, "message": "no", "param": None, "line": None}]}}


class Workload:
    sim = ("--fast",)
    faults = ()
    options = {}
    excused = ()  # figures of the ledger that are above zero for a reason that lies in the workload

    def prepare(self, site):
        """Before the first replica starts."""

    def drive(self, site):
        """Enqueues and does what people do; returns when nothing is left to do but to wait for the results."""


class Plain(Workload):
    """Files, answers of every kind, rows that go round again, rows that can never be valid."""

    sim = ("--fast", "--running", "300ms", "--file-pending", "100ms", "--answer-bytes", "3000")
    options = {"planner": 'linger = "50ms"\nmax_requests = 20', "poll": 'interval = "100ms"\nfile_interval = "50ms"',
               "retry": QUICK, "lease": 'ttl = "1s"'}

    def drive(self, site):
        site.ask("ok", 36)
        site.ask("once-429", 3)
        site.ask("once-missing", 3)
        site.ask("400", 2)
        site.ask("invalid", 2)


class Unknown(Plain):
    """Submissions whose answers never come: one arrived, one did not, one cannot be looked for at first."""

    sim = ("--fast", "--running", "200ms")
    options = {**Plain.options, "planner": 'linger = "50ms"\nmax_requests = 8'}
    faults = ({"operation": "create_batch", "fault": "reset_before"}, {"operation": "create_batch", "fault": "500_after", "nth": 2},
              {"operation": "create_batch", "fault": "reset_after", "nth": 3}, {"operation": "list", "fault": "500_before", "nth": 2},
              {"operation": "delete", "fault": "500_before"}, {"operation": "upload", "fault": "503", "nth": 2})

    def drive(self, site):
        site.ask("ok", 24)


class Fenced(Plain):
    """One file, whose submission never arrived: it is looked for, fenced, and sent anew."""

    faults = ({"operation": "create_batch", "fault": "reset_before"},)

    def drive(self, site):
        site.ask("ok", 8)


class QuotaFull(Plain):
    """One file, whose batch fails at first because the quota is full: nothing ran, and it is submitted again."""

    faults = ({"operation": "create_batch", "fault": "fate", "fate": refusal("token_limit_exceeded")},)

    def drive(self, site):
        site.ask("ok", 8)


class Refused(Plain):
    """Files and batches that are refused, for what a row says and for what no row has done."""

    options = {**Plain.options, "planner": 'linger = "200ms"\nmax_requests = 6'}
    faults = ({"operation": "upload", "fault": "file_state", "state": "error", "delay": "50ms", "details": "broken"},
              {"operation": "create_batch", "fault": "429", "retry_after": "0.1"},
              {"operation": "create_batch", "fault": "401", "nth": 3},
              {"operation": "create_batch", "fault": "fate", "fate": refusal("token_limit_exceeded"), "nth": 5})

    def drive(self, site):
        site.ask("ok", 5)
        site.ask("poison_silent", 1)
        site.ask("ok", 5)
        site.ask("poison_create", 1)


class Cancelled(Plain):
    """A job that is cancelled at the provider, one that is cancelled before it gets there, and one that nobody cancels."""

    sim = ("--fast", "--running", "10m")
    faults = ({"operation": "create_batch", "fault": "429", "nth": 2, "retry_after": "1.5"},)

    def drive(self, site):
        site.ask("cancelled", 6, job="running")
        site.until("submitted", lambda: site.shards("state = 'submitted'") > 0)
        site.sql("SELECT batchd.cancel_job('running')")
        site.until("cancelled at the provider", lambda: site.number_of("SELECT count(*) FROM batchd.result") == 6)
        site.ask("cancelled", 6, job="staged")
        site.until("staged", lambda: site.shards("state = 'uploaded'") > 0)
        site.sql("SELECT batchd.cancel_job('staged')")
        site.until("given up", lambda: site.number_of("SELECT count(*) FROM batchd.result") == 12)
        site.ask("ok", 6, job="wanted")
        batch = site.until("submitted again", lambda: site.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted'"))
        site.complete(batch)


class Odds(Plain):
    """Requests that nobody serves or that come too late, a full provider, a batch that vanishes, retention."""

    sim = ("--fast", "--max-files", "5", "--running", "200ms")
    options = {**Plain.options, "planner": 'linger = "50ms"\nmax_requests = 4\nunroutable_after = "1s"',
               "retention": 'settled = "2s"\nremote_delay = "3s"'}

    def prepare(self, site):
        site.ask("unroutable", 2, model="unheard-of")
        site.ask_by("overdue", 2, "1 second")
        site.until("they are too late", lambda: site.number_of("SELECT count(*) FROM batchd.request "
                                                               "WHERE created_at < clock_timestamp() - interval '1100 ms'") == 4)

    def drive(self, site):
        site.ask("ok", 28)


class Vanished(Plain):
    """A batch that the provider knows nothing of any more."""

    sim = ("--fast", "--running", "10m")
    excused = ("inputs_deleted_while_needed",)  # the batch runs on where nobody can see it

    def drive(self, site):
        site.ask("vanished", 4)
        first = site.until("a batch", lambda: site.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted'"))
        site.control(f"batches/{first}/vanish")
        other = site.until("another", lambda: site.sql(f"SELECT batch_id FROM batchd.shard WHERE state = 'submitted' AND batch_id <> '{first}'"))
        site.complete(other)


ALL = {workload.__name__: workload for workload in (Plain, Unknown, Fenced, QuotaFull, Refused, Cancelled, Odds, Vanished)}
