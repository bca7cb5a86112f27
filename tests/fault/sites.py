"""What the campaign works with: sites, each a database of one PostgreSQL, a simulator and replicas; and the mischief done to them.

A site keeps what it asked for (`rows`), so that judge.py can compare the ledger and the tables with it row by row.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BATCHD, Daemon, Stack, asking_for, chat, environment  # noqa: E402

FAULTY = os.environ.get("BATCHD_FAULTY", str(pathlib.Path(BATCHD).with_name("batchd-faulty")))
PATIENCE = 120  # seconds for a small job, however busy the machine


class Replica(Daemon):
    """One replica, of batchd-faulty unless told otherwise; `variables` hold for its first start only."""

    def __init__(self, place, name, config, program=FAULTY, **variables):
        self.program = program
        self.variables = variables
        super().__init__(place, name, config)

    def start(self, **variables):
        with open(self.log_path, "ab") as log:
            self.seen = self.log_path.stat().st_size
            self.process = subprocess.Popen([self.program, "serve", "--config", self.config], stdout=subprocess.DEVNULL, stderr=log,
                                            env=environment(**self.variables, **variables))
        self.variables = {}

    def all_events(self):
        """Of all its lives; a kill may have cut a line short."""
        found = []
        for line in self.log_path.read_bytes().split(b"\n"):
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def stopped(self):
        """It has sent itself SIGSTOP."""
        try:
            return pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
        except OSError:
            return False


class Calm:
    """No mischief: one replica that nothing happens to. The base of all others."""

    variables = {}

    def begin(self, site):
        site.replica(**self.variables)

    def tend(self, site):
        """Called again and again while the site waits for something."""
        for replica in site.daemons:
            code = replica.process.poll()
            if code is not None:
                self.ended(replica, code)

    def ended(self, replica, code):
        raise AssertionError(f"{replica.log_path.name} ended with {code}")

    def before_stop(self, site):
        """The job is done; the replicas are still there."""

    def end(self, site):
        living = len(site.daemons)
        site.until("the dead are buried", lambda: site.number_of("SELECT count(*) FROM batchd.replica") <= living)
        for replica in site.daemons:
            code = replica.stop()
            if code != 0:
                raise AssertionError(f"{replica.log_path.name} ended with {code} when asked to stop")


class Traced(Calm):
    """Notes which points are passed, and how often."""

    more = {}

    def begin(self, site):
        self.file = site.place / "trace"
        self.variables = {"BATCHD_FAILPOINT_TRACE": str(self.file), **self.more}
        super().begin(site)

    def passages(self):
        counts = {}
        for name in self.file.read_text().split():
            counts[name] = counts.get(name, 0) + 1
        return counts


class Killed(Calm):
    """The replica kills itself at the n-th passage of a point, is started again and does so at the next, and at last lives on."""

    def __init__(self, orders):
        self.orders = list(orders)  # (point, n), those that are still to come
        self.struck = []
        self.variables = self.next_order()

    def next_order(self):
        return {"BATCHD_FAILPOINT": f"{self.orders[0][0]}=kill@{self.orders[0][1]}"} if self.orders else {}

    def start_again(self, replica):
        self.struck.append(self.orders.pop(0)[0])
        replica.start(**self.next_order())

    def ended(self, replica, code):
        if code != -signal.SIGKILL or not self.orders:
            super().ended(replica, code)
        self.start_again(replica)

    def end(self, site):
        replica = site.daemons[0]
        replica.process.send_signal(signal.SIGTERM)
        if replica.process.wait(PATIENCE) == -signal.SIGKILL and self.orders:
            self.start_again(replica)
            site.until("ready again", lambda: replica.saw("ready"))
        if replica.process.poll() is None:
            super().end(site)


class Failed(Traced):
    """At the n-th passage of each point the replica is told that it failed there, whether it did or not."""

    def __init__(self, orders):
        self.orders = orders
        self.struck = []

    def begin(self, site):
        self.more = {"BATCHD_FAILPOINT": ",".join(f"{point}=fail@{nth}" for point, nth in self.orders)}
        super().begin(site)

    def end(self, site):
        super().end(site)
        passages = self.passages()
        self.struck = [point for point, nth in self.orders if passages.get(point, 0) >= nth]


class Psql:
    """A psql that stays: asking it costs a tenth of what starting one does."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), text=True)

    def ask(self, text):
        self.process.stdin.write(f"{text}\n;\n\\echo -- end of answer\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline()) != "-- end of answer\n":
            if not line:
                raise AssertionError(self.process.stderr.read())
            lines.append(line)
        return "".join(lines).rstrip("\n")

    def close(self):
        self.process.kill()
        self.process.communicate()


class Site(Stack):
    """Use it with `with`; several may be at work at a time, in threads."""

    cluster = None
    number = 0
    lock = threading.Lock()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.psql("ALTER SYSTEM SET max_connections = 300", "postgres")  # two replicas a site, and many sites
        cls.pg_ctl("restart")

    def runTest(self):
        """unittest wants one; what a site does is done by whoever opens it."""

    def __enter__(self):
        with Site.lock:
            self.setUp()
        self.rows = {}
        self.mischief = Calm()
        self.asked = Psql(self.psql_command(self.database))
        self.addCleanup(lambda: self.asked.close())
        return self

    def __exit__(self, kind, error, _):
        for replica in self.daemons:
            if replica.process.poll() is None:
                replica.kill()
        if error is not None:
            logs = "".join(f"--- {replica.log_path.name}\n{replica.log_path.read_text()[-6000:]}" for replica in self.daemons)
            error.add_note(logs)
        self.doCleanups()
        self.psql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)", "postgres")

    def replica(self, **variables):
        """Starts one more; the database knows its connections by its name."""
        name = f"replica{len(self.daemons) + 1}"
        if not self.daemons:
            # Money is counted all along, under caps that never stop anything.
            money = {'prices."gpt-4o-mini"': "input = 1\noutput = 2", "budget": "daily = 1000\nper_job = 1000"}
            self.shared = self.config(**{**money, **self.options})  # once: it writes the key's file, which those that start are reading
        config = self.shared.replace(f'"{self.url}"', f'"{self.url}&application_name={name}"')
        self.daemons.append(Replica(self.place, name, config, **variables))
        return self.daemons[-1]

    def sql(self, text):
        """One statement; COPY's data needs a psql of its own."""
        return self.asked.ask(text) if hasattr(self, "asked") and "FROM STDIN" not in text else super().sql(text)

    def ask(self, kind, count, job="default", model="gpt-4o-mini"):
        """Enqueues `count` prompts that the simulator answers as `kind` says, and remembers what should become of them."""
        prompts = [f"{kind} {len(self.rows) + i}" for i in range(count)]
        if kind == "invalid":
            bodies = ["[]"] * count
        else:
            sim_kind = kind if kind in ("once-429", "once-missing", "400", "poison_silent", "poison_create") else None
            bodies = [asking_for(sim_kind, prompt) if sim_kind else chat(prompt) for prompt in prompts]
        ids = self.enqueue(bodies, job=job, model=model)
        self.sql("SELECT pg_notify('batchd_request', '')")  # a planner that was busy until now may look at the queue in 5 s only
        self.rows.update({id: (kind, prompt) for id, prompt in zip(ids, prompts)})

    def ask_by(self, kind, count, deadline):
        """Enqueues prompts of a model that nobody serves, with a deadline in so long."""
        ids = self.sql(f"INSERT INTO batchd.request (model, body, job, deadline) SELECT 'unserved', '{{}}', 'late', now() + '{deadline}'::interval "
                       f"FROM generate_series(1, {count}) RETURNING id").split()
        self.rows.update({int(id): (kind, f"{kind} {id}") for id in ids})

    def until(self, what, check, seconds=PATIENCE):
        """Polls until check() is true, doing whatever mischief is due meanwhile."""
        deadline = time.monotonic() + seconds
        while True:
            self.mischief.tend(self)
            found = check()
            if found:
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds} s")
            time.sleep(0.1)

    def shards(self, condition):
        return self.number_of(f"SELECT count(*) FROM batchd.shard WHERE {condition}")

    def work(self, workload, mischief):
        """The whole of a workload, from the first row to replicas that have left."""
        self.mischief = mischief
        self.options = workload.options
        self.sim(*workload.sim)
        for fault in workload.faults:
            self.fault(**fault)
        workload.prepare(self)
        mischief.begin(self)
        workload.drive(self)
        self.until("every result", lambda: self.number_of("SELECT count(*) FROM batchd.result") >= len(self.rows))
        self.until("every shard is closed", lambda: self.shards("state <> 'closed'") == 0)
        mischief.before_stop(self)
        mischief.end(self)
