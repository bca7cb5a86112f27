"""The whole of batchd for a test: a private PostgreSQL for each class, a database, a simulator and daemons for each test.

Real processes only; the Python standard library is all it needs. Environment: BATCHD_BIN and BATCHD_SIM name the programs; with
BATCHD_TEST_PGBOUNCER=1 a PgBouncer in transaction mode stands between them and PostgreSQL.
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("BATCHD_SHARED", ROOT.parent / "shared"))
sys.path.insert(0, str(ROOT / "tests" / "sim"))
from support import Sim  # noqa: E402

BATCHD = os.environ.get("BATCHD_BIN", str(ROOT / "build/release/batchd"))
POOLED = os.environ.get("BATCHD_TEST_PGBOUNCER") == "1"  # the daemons and commands speak through a PgBouncer
COMMON = 'set -euo pipefail; me=test; root=$1; . "$root/deploy/common.sh"; '
# Seconds; far above what anything here takes, because tests share a busy machine. Programs under a sanitizer take several times that.
DEADLINE = 120 * int(os.environ.get("BATCHD_TEST_PATIENCE", "1"))


def environment(**more):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BATCHD_", "PG"))}
    return {**clean, **more}


def until(what, check, seconds=DEADLINE):
    """Polls until check() is true and returns its value."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.03)
    return found


class Daemon:
    """One `batchd serve`."""

    def __init__(self, place, name, config):
        self.log_path = place / f"{name}.log"
        self.config = place / f"{name}.toml"
        self.config.write_text(config)
        self.process = None
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.seen = self.log_path.stat().st_size
            self.process = subprocess.Popen([BATCHD, "serve", "--config", self.config], stdout=subprocess.DEVNULL, stderr=log,
                                            env=environment())

    def events(self):
        """Log lines since the last start, as objects."""
        lines = self.log_path.read_bytes()[self.seen:].split(b"\n")
        # A server that ends a connection in the instant in which it is made is quoted by libpq, before anybody can ask it not to.
        return [self.event(line) for line in lines[:-1] if line and not line.startswith(b"FATAL:  ")]

    def event(self, line):
        try:
            return json.loads(line)
        except ValueError:
            raise AssertionError(f"the log has a line that is no JSON: {line!r}") from None

    def saw(self, event):
        return [line for line in self.events() if line["event"] == event]

    def port(self):
        return until("the daemon's port", lambda: self.saw("started"))[0]["http_port"]

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metric(self, line):
        """The value of one series, named as the exposition writes it; None when it is not there."""
        for text in self.get("/metrics")[1].splitlines():
            if text.startswith(line + " "):
                return float(text.rsplit(" ", 1)[1])
        return None

    def stop(self, seconds=DEADLINE):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)


class Stack(unittest.TestCase):
    """Subclass it; each test has a fresh migrated database, `self.sim()` and `self.serve()`."""

    settings = ("fsync=off",)  # of the private PostgreSQL, beside those in deploy/common.sh

    @classmethod
    def setUpClass(cls):
        cls.cluster = tempfile.mkdtemp(prefix="bd-", dir="/tmp")  # a socket's path has room for 107 bytes
        cls.addClassCleanup(shutil.rmtree, cls.cluster, True)
        started = subprocess.run(["bash", "-c", COMMON + 'd=$2; shift 2; pg_start "$d" "$@"', "-", ROOT, cls.cluster, *cls.settings],
                                 capture_output=True, env=environment())
        if started.returncode != 0:
            raise RuntimeError((started.stdout + started.stderr).decode())
        cls.addClassCleanup(subprocess.run, ["bash", "-c", COMMON + 'pg_stop "$2"', "-", ROOT, cls.cluster], capture_output=True)
        if POOLED:
            cls.start_pgbouncer()
        cls.psql("CREATE DATABASE template", "postgres")
        subprocess.run([BATCHD, "migrate"], check=True, capture_output=True, env=environment(BATCHD_DATABASE_URL=cls.url_of("template")))
        cls.number = 0

    @classmethod
    def start_pgbouncer(cls):
        """Fewer server connections than a daemon has clients, so that every transaction may meet another session."""
        program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            raise unittest.SkipTest("there is no PgBouncer here: deploy/install-dependencies --tests installs it")
        place = pathlib.Path(cls.cluster, "pool")
        place.mkdir()
        settings = place / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host={cls.cluster} user=batchd\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {place}\n"
            "auth_type = any\npool_mode = transaction\ndefault_pool_size = 3\nmax_client_conn = 500\nserver_login_retry = 1\n"
            f"server_idle_timeout = 5\nlogfile = {place}/log\npidfile = {place}/pid\n")
        started = subprocess.run(["bash", "-c", COMMON + 'chown -R "$(pg_user)" "$2"; chmod 0755 "$2"; pg_run "$3" -q -d "$2/pgbouncer.ini" '
                                  "</dev/null >/dev/null 2>&1", "-", ROOT, place, program], env=environment())
        if started.returncode != 0:
            raise RuntimeError("PgBouncer does not start: " + (place / "log").read_text())
        cls.addClassCleanup(lambda: os.kill(int((place / "pid").read_text()), signal.SIGTERM))

    @classmethod
    def pg_ctl(cls, *command):
        """`stop`, `start` or `restart` of the class's PostgreSQL, immediately."""
        done = subprocess.run(["bash", "-c", COMMON + 'd=$2; shift 2; pg_run "$(pg_bin)/pg_ctl" -D "$d/data" -l "$d/data/server.log" -w "$@" '
                               '</dev/null >/dev/null 2>&1', "-", ROOT, cls.cluster, *command, "-m", "immediate"], env=environment())
        if done.returncode != 0:
            raise AssertionError(f"pg_ctl {command}: exit code {done.returncode}")

    @classmethod
    def url_of(cls, database):
        return f"postgresql:///{database}?host={cls.cluster}&user=batchd"

    @classmethod
    def pooled_url_of(cls, database):
        return f"postgresql:///{database}?host={cls.cluster}/pool&port=6432&user=batchd" if POOLED else cls.url_of(database)

    @classmethod
    def psql(cls, text, database):
        done = subprocess.run(cls.psql_command(database), input=text.encode(), capture_output=True, env=environment())
        if done.returncode != 0:
            raise AssertionError(done.stderr.decode())
        return done.stdout.decode().rstrip("\n")

    @classmethod
    def psql_command(cls, database):
        return ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", cls.cluster, "-U", "batchd", "-d", database]

    def setUp(self):
        type(self).number += 1
        self.database = f"t{self.number}"
        self.psql(f"CREATE DATABASE {self.database} TEMPLATE template", "postgres")
        # A clone of a database must not share its name with another instance.
        self.sql("UPDATE batchd.instance SET database_oid = NULL, id = encode(sha256(random()::text::bytea), 'hex')::varchar(12)")
        self.url = self.pooled_url_of(self.database)
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="batchd-test."))
        self.addCleanup(shutil.rmtree, self.place, True)
        self.daemons = []
        self.provider = None

    def afresh(self):
        """Another database and simulator for the next part of a test; what ran before is stopped."""
        for daemon in self.daemons:
            daemon.kill()
        self.setUp()

    def tearDown(self):
        result = self._outcome.result
        failed = result and any(self in (test, getattr(test, "test_case", None))  # it, or a part of it
                                for test, _ in result.failures + result.errors)
        for daemon in self.daemons:
            if daemon.process.poll() is None:
                daemon.kill()
            if failed:
                sys.stderr.write(f"--- {daemon.log_path.name}\n" + daemon.log_path.read_text()[-20000:])

    def sql(self, text):
        return self.psql(text, self.database)

    def number_of(self, text):
        return int(self.sql(text))

    def sim(self, *arguments):
        """Starts the simulator; every test ends with no protocol violation on its books unless it says otherwise."""
        self.provider = Sim(*arguments)
        self.addCleanup(self.provider.stop)
        return self.provider

    def ledger(self, query=""):
        return self.provider.request("GET", "/sim/ledger" + query).json()

    def executions(self):
        return self.provider.executions()

    def fault(self, **fault):
        self.provider.fault(**fault)

    def no_more_faults(self):
        self.provider.request("DELETE", "/sim/faults")

    def control(self, path, **wish):
        """A call of the simulator's control plane, such as control(f"batches/{id}/vanish", status=200)."""
        return self.provider.control(path, **wish)

    def complete(self, batch):
        """Ends a batch at once, from whatever state, with an answer to each of its requests."""
        self.control(f"batches/{batch}/end", end="completed")

    def release(self, batch):
        """Ends the state that a batch is held in."""
        self.control(f"batches/{batch}/state", release=True)

    def config(self, kind="azure", limit="1B", **sections):
        """A configuration for quick tests; `planner='linger = "1s"'` replaces a section's lines."""
        key = self.place / "key"
        if not key.exists():  # a daemon that starts meanwhile would find the file empty
            key.write_text("canary-key\n")
        lines = {
            "database": "",
            "planner": 'linger = "50ms"',
            "poll": 'interval = "150ms"\nfile_interval = "50ms"',
            "retry": 'base_delay = "50ms"\nmax_delay = "500ms"\nsettle_window = "1s"',
            "retention": "",
            "lease": 'ttl = "3s"',
            "tokens": 'vocabulary_dir = "none"',  # the simulator counts a quarter of the bytes, and the estimate never less
            **sections,
        }
        version = 'api_version = "2024-10-21"\n' if kind == "azure" else ""
        direct = f'listen_url = "{self.url_of(self.database)}"\nmigrate_url = "{self.url_of(self.database)}"' if POOLED else ""
        text = f'[database]\nurl = "{self.url}"\n{direct}\n{lines.pop("database")}\n[http]\nlisten = "127.0.0.1:0"\n[limits]\nstate_dir = "{self.place}/state"\n'
        text += f'[[provider]]\nname = "sim"\nkind = "{kind}"\nendpoint = "http://127.0.0.1:{self.provider.port}"\n'
        text += f'{version}api_key_file = "{key}"\n'
        text += f'[[deployment]]\nname = "mini"\nprovider = "sim"\nmodel = "gpt-4o-mini"\nenqueued_token_limit = "{limit}"\n'
        return text + "".join(f"[{name}]\n{body}\n" for name, body in lines.items() if body)

    def serve(self, config=None, **options):
        daemon = Daemon(self.place, f"daemon{len(self.daemons) + 1}", config or self.config(**options))
        self.daemons.append(daemon)
        return daemon

    def enqueue(self, bodies, job="default", model="gpt-4o-mini"):
        """Enqueues bodies (JSON texts or objects) by COPY, in order; returns their ids."""
        texts = [body if isinstance(body, str) else json.dumps(body) for body in bodies]
        escape = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
        rows = "".join(f"{model}\t{job}\t{text.translate(escape)}\n" for text in texts)
        before = self.number_of("SELECT coalesce(max(id), 0) FROM batchd.request")
        self.sql(f"COPY batchd.request (model, job, body) FROM STDIN;\n{rows}\\.\n")
        ids = [int(id) for id in self.sql(f"SELECT id FROM batchd.request WHERE id > {before} AND job = '{job}' ORDER BY id").split()]
        self.assertEqual(len(texts), len(ids))
        return ids

    def settled(self, count):
        """Waits until that many results exist, then checks that nothing was lost and no rule broken."""
        until(f"{count} results", lambda: self.number_of("SELECT count(*) FROM batchd.result") >= count)
        self.assertEqual(count, self.number_of("SELECT count(*) FROM batchd.result"))
        self.conserved()
        if self.provider:
            self.assertEqual([], self.ledger()["violations"])

    def conserved(self):
        """P1, by the rows themselves and by the counters."""
        rows = self.sql("""
            SELECT (SELECT count(*) FROM batchd.request),
                   (SELECT count(*) FROM batchd.queue) + (SELECT count(*) FROM batchd.retry) + (SELECT count(*) FROM batchd.answer)
                     + (SELECT coalesce(sum(m.requests), 0) FROM batchd.shard_member m)
                     - (SELECT coalesce(sum(bit_count(p.decided)), 0) FROM batchd.shard_progress p JOIN batchd.shard s ON s.id = p.shard_id
                        WHERE s.state NOT IN ('merged', 'closed')),
                   (SELECT coalesce(sum(accepted), 0) FROM batchd.job_progress),
                   (SELECT coalesce(sum(queued + in_flight + succeeded + failed + cancelled + expired), 0) FROM batchd.job_progress)""")
        accepted, placed, counted, split = map(int, rows.split("|"))
        self.assertEqual((accepted, accepted, accepted), (placed, counted, split))

    def outcomes(self):
        """{request id: (outcome, error code or None, attempt)}"""
        rows = self.sql("SELECT request_id, outcome, coalesce(error->>'code', ''), attempt FROM batchd.result ORDER BY 1").splitlines()
        return {int(id): (outcome, code or None, int(attempt)) for id, outcome, code, attempt in (row.split("|") for row in rows)}


def chat(text, **more):
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **more}


def asking_for(kind, text):
    """A prompt that the simulator answers with an outcome of that kind."""
    return chat(text, user=f"sim:{kind}")
