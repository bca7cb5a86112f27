#!/usr/bin/env python3
"""PostgreSQL at its worst: restarts, terminated backends, silence, lost answers, failovers, locks, a full disk. Each time the daemon
goes on by itself, nothing is lost or bought twice, and its log stays readable: one line a second of each cause."""

import datetime
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import COMMON, DEADLINE, ROOT, Stack, chat, environment, until  # noqa: E402
from tcp_proxy import TcpProxy  # noqa: E402

SMALL_FILES = 'linger = "50ms"\nmax_requests = 50'
IMPATIENT = 'statement_timeout = "2s"'


class Session:
    """A psql that stays connected: for locks and open transactions."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                        env=environment())

    def run(self, sql):
        self.process.stdin.write(sql + ";\n\\echo :-done-:\n")
        self.process.stdin.flush()
        lines = []
        while (line := self.process.stdout.readline().rstrip("\n")) != ":-done-:":
            if not line and self.process.poll() is not None:
                raise AssertionError("psql ended: " + "\n".join(lines))
            lines.append(line)
        return lines

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class DatabaseFaults(Stack):
    def session(self):
        session = Session(self.psql_command(self.database))
        self.addCleanup(session.close)
        return session

    def through_proxy(self):
        proxy = TcpProxy(self.cluster)
        self.addCleanup(proxy.close)
        self.url = f"postgresql://batchd@127.0.0.1:{proxy.port}/{self.database}"
        return proxy

    def results(self):
        return self.number_of("SELECT count(*) FROM batchd.result")

    def progress(self):
        done = self.results()
        until("progress", lambda: done == self.rows or self.results() > done)

    def begin(self, rows, **options):
        self.sim("--fast", "--running", "150ms")
        daemon = self.serve(**{"planner": SMALL_FILES, **options})
        self.rows = 0
        self.more(rows)
        until("work under way", lambda: self.number_of("SELECT count(*) FROM batchd.shard") > 0)
        return daemon

    def more(self, rows):
        self.enqueue([chat(f"prompt {self.rows + i}") for i in range(rows)])
        self.rows += rows

    def complain(self, daemon, text):
        """Waits until the daemon's log speaks of it."""
        until(text, lambda: any(text in line.get("error", "") for line in daemon.events()))

    def finish(self):
        """All rows have their one result, every prompt was bought once, nobody was restarted, the log is calm."""
        self.settled(self.rows)
        ledger = self.ledger()
        self.assertEqual(self.rows, ledger["requests_executed"])
        self.assertEqual(0, ledger["prompts_executed_more_than_once"])
        self.assertEqual(ledger["calls"]["create_batch"], ledger["batches_created"])
        self.assertLessEqual(ledger["batches_created"], self.number_of("SELECT sum(attempt) FROM batchd.shard"), "one POST an attempt")
        for daemon in self.daemons:
            self.assertIsNone(daemon.process.poll())
            self.assertEqual([daemon.process.pid], [line["pid"] for line in daemon.saw("started")])
            until("ready", lambda d=daemon: d.get("/readyz")[0] == 200)
            self.calm(daemon)

    def calm(self, daemon):
        last = {}
        for line in daemon.events():
            if line["level"] not in ("warn", "error"):
                continue
            text = re.sub(r"\S*\d\S*", "#", str(line.get("error", line.get("message", ""))))
            fact = [] if text else sorted((k, str(v)) for k, v in line.items() if k not in ("time", "suppressed"))
            cause = (line["event"], str([line.get(k) for k in ("deployment", "provider", "kind", "code", "status")]), text, str(fact))
            now = datetime.datetime.fromisoformat(line["time"].rstrip("Z"))
            if cause in last:
                self.assertGreater((now - last[cause]).total_seconds(), 0.98, f"twice in a second: {line}")
            last[cause] = now


class Away(DatabaseFaults):
    def test_restarts_every_few_seconds(self):
        daemon = self.begin(1000)
        self.serve(planner=SMALL_FILES)
        worst = 0
        for _ in range(5):
            self.progress()
            self.pg_ctl("restart")
            back = time.monotonic()
            beats = lambda: self.sql("SELECT max(heartbeat_at) FROM batchd.replica")  # noqa: E731
            before = beats()
            until("a heartbeat", lambda: beats() != before)
            worst = max(worst, time.monotonic() - back)
            self.more(400)
            time.sleep(1)  # some load between one crash and the next
        print(f"after a restart of PostgreSQL the first heartbeat came within {worst:.1f} s")
        self.finish()
        self.assertTrue(daemon.saw("heartbeat.failed") or daemon.saw("status.failed") or daemon.saw("plan.failed"))

    def test_a_storm_of_terminated_backends(self):
        self.begin(2000)
        administrator = self.session()
        began = time.monotonic()
        while time.monotonic() - began < 6:
            administrator.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batchd'")
            time.sleep(0.2)
        self.finish()

    def test_no_connection_left_for_a_while(self):
        daemon = self.begin(1500)
        administrator = self.session()
        others = []
        self.addCleanup(lambda: [self.dismiss(other) for other in others])
        deadline = time.monotonic() + DEADLINE
        while not any("too many clients" in line.get("error", "") for line in daemon.events()):
            self.assertLess(time.monotonic(), deadline)
            administrator.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batchd'")
            for refused in [other for other in others if other.poll() is not None]:
                self.dismiss(refused)
                others.remove(refused)
            while len(others) < 25:
                others.append(subprocess.Popen(self.psql_command("postgres"), env=environment(), stdin=subprocess.PIPE,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            time.sleep(0.2)
        time.sleep(2)  # as long as it lasts
        for other in others:
            self.dismiss(other)
        until("a free connection", self.connectable)
        self.finish()

    def dismiss(self, process):
        process.kill()
        process.wait()
        process.stdin.close()

    def connectable(self):
        return subprocess.run([*self.psql_command("postgres"), "-c", "SELECT 1"], capture_output=True, env=environment()).returncode == 0

    settings = ("fsync=off", "max_connections=30")


class Silent(DatabaseFaults):
    def test_a_way_that_is_frozen_for_longer_than_the_time_outs(self):
        proxy = self.through_proxy()
        daemon = self.begin(1500, database=IMPATIENT)
        self.progress()
        proxy.freeze()
        self.complain(daemon, "no answer within")
        time.sleep(6)
        self.assertEqual(200, daemon.get("/livez")[0])
        proxy.thaw()
        self.finish()

    def test_connections_that_fell_silent_for_ever(self):
        proxy = self.through_proxy()
        daemon = self.begin(1500, database=IMPATIENT)
        self.progress()
        self.assertGreater(proxy.silence(), 1)
        self.complain(daemon, "no answer within")
        self.finish()

    def test_a_listening_connection_that_nobody_speaks_on(self):
        proxy = self.through_proxy()
        self.begin(50)
        self.settled(50)
        until("LISTEN", lambda: any(c.listens for c in list(proxy.connections)))
        self.assertEqual(1, proxy.silence(only_listeners=True))
        self.more(50)  # no hint comes
        self.settled(100)
        until("another LISTEN", lambda: any(c.listens and not c.silent for c in list(proxy.connections)))
        self.finish()

    def test_answers_of_commits_that_are_lost(self):
        proxy = self.through_proxy()
        self.begin(400, planner='linger = "50ms"\nmax_requests = 20')
        proxy.loss = 0.2
        deadline = time.monotonic() + 2 * DEADLINE
        while proxy.lost < 30:
            self.assertLess(time.monotonic(), deadline)
            if self.results() > self.rows - 200:
                self.more(200)
            time.sleep(0.05)
        proxy.loss = 0
        print(f"{proxy.lost} commits whose answers were lost")
        self.finish()


class Unwilling(DatabaseFaults):
    def test_locks_held_for_longer_than_the_time_out(self):
        daemon = self.begin(500, database=IMPATIENT)
        other = self.session()
        other.run("BEGIN; LOCK TABLE batchd.shard IN ACCESS EXCLUSIVE MODE")
        self.complain(daemon, "lock timeout")
        time.sleep(4)  # longer than the lease, with every thread of the pool waiting for the lock now and then
        self.assertEqual([], daemon.saw("replica.lost"), "the heartbeat does not wait with the others")
        other.run("ROLLBACK")
        self.finish()

    def test_statements_that_take_too_long(self):
        daemon = self.begin(500, database='statement_timeout = "1s"')
        self.sql("CREATE FUNCTION public.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(3); RETURN NEW; END';"
                 "CREATE TRIGGER slow BEFORE UPDATE ON batchd.shard FOR EACH ROW EXECUTE FUNCTION public.slow()")
        self.more(100)  # what came before may be done with
        self.complain(daemon, "statement timeout")
        until("no trigger", lambda: subprocess.run(
            [*self.psql_command(self.database), "-c", "DROP TRIGGER slow ON batchd.shard"], capture_output=True, env=environment()).returncode == 0)
        self.finish()

    def test_a_server_that_is_made_read_only(self):
        daemon = self.begin(1500)
        switch = "SET default_transaction_read_only = off; ALTER SYSTEM SET default_transaction_read_only = {}; SELECT pg_reload_conf()"
        self.sql(switch.format("on"))
        self.complain(daemon, "read-only")
        time.sleep(2)
        self.sql(switch.format("off"))
        self.finish()

    def test_an_open_transaction_while_rows_pass(self):
        self.sql("CREATE EXTENSION pg_stat_statements")
        onlooker = self.session()
        onlooker.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM batchd.instance")
        self.sim("--fast", "--light-ledger")
        self.serve(planner='linger = "50ms"\nmax_requests = 5000')
        rows = 100_000
        self.sql("INSERT INTO batchd.request (model, body) SELECT 'gpt-4o-mini', json_build_object('model', 'gpt-4o-mini', 'messages',"
                 f" json_build_array(json_build_object('role', 'user', 'content', 'prompt ' || n))) FROM generate_series(1, {rows}) n")
        self.settled(rows)
        calls, mean, most = self.sql("SELECT sum(calls), round(sum(total_exec_time)::numeric / sum(calls)), round(max(max_exec_time)::numeric)"
                                     " FROM pg_stat_statements WHERE query LIKE '%batchd.plan_shard(%' AND rows > 0").split("|")
        print(f"while a transaction is open elsewhere a shard is planned in {mean} ms, the slowest of {calls} in {most} ms")
        self.calm(self.daemons[0])

    settings = ("fsync=off", "shared_preload_libraries=pg_stat_statements")


class Failover(DatabaseFaults):
    """A standby that is first in the URL, and takes over."""

    settings = ("fsync=off", "synchronous_commit=on")

    def standby(self):
        directory = tempfile.mkdtemp(prefix="bd-", dir="/tmp")
        self.addCleanup(shutil.rmtree, directory, True)
        self.shell('chown "root:$(id -g "$(pg_user)")" "$2" 2>/dev/null || true; chmod 0770 "$2"; '
                   'pg_run "$(pg_bin)/pg_basebackup" -D "$2/data" -R -X stream -c fast -h "$3" -U batchd; '
                   "printf \"unix_socket_directories = '%s'\\n\" \"$2\" | pg_run tee -a \"$2/data/postgresql.conf\" >/dev/null; "
                   'pg_run "$(pg_bin)/pg_ctl" -D "$2/data" -l "$2/data/server.log" -w start </dev/null', directory, self.cluster)
        self.addCleanup(self.shell, 'pg_stop "$2" || true', directory)
        return directory

    def shell(self, script, *arguments):
        done = subprocess.run(["bash", "-c", COMMON + script, "-", ROOT, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL, env=environment())
        self.assertEqual(0, done.returncode, done.stderr.decode())

    def test_a_promoted_standby_is_found_without_a_restart(self):
        second = self.standby()
        # No commit is lost: what happens when some are is another test's matter.
        self.psql("ALTER SYSTEM SET synchronous_standby_names = '*'", "postgres")
        self.psql("SELECT pg_reload_conf()", "postgres")
        self.url = f"postgresql:///{self.database}?host={second},{self.cluster}&user=batchd"
        daemon = self.begin(1000)
        self.progress()
        self.pg_ctl("stop")
        first = self.cluster
        type(self).cluster = second
        self.addCleanup(setattr, type(self), "cluster", first)
        until("trouble", lambda: [line for line in daemon.events() if "failed" in line.get("error", "")])
        self.shell('pg_run "$(pg_bin)/pg_ctl" -D "$2/data" -w promote </dev/null', second)
        self.psql("ALTER SYSTEM RESET synchronous_standby_names", "postgres")
        self.psql("SELECT pg_reload_conf()", "postgres")
        self.finish()
        self.assertTrue(any("recovery" in line.get("error", "") or "read-only" in line.get("error", "") for line in daemon.events()),
                        "both hosts of the URL are named in an error")


class DiskFull(DatabaseFaults):
    def test_a_full_disk_is_said_clearly_and_outlived(self):
        if os.geteuid() != 0:
            self.skipTest("a small file system of its own needs root")
        place = pathlib.Path(self.cluster, "small")
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0777", "none", place], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("this machine lets nobody mount: " + mounted.stderr.decode().strip())
        self.addClassCleanup(subprocess.run, ["umount", "-l", place], capture_output=True)
        data = place / "data"
        data.mkdir()
        subprocess.run(["bash", "-c", COMMON + 'chown "$(pg_user)" "$2"', "-", ROOT, data], check=True)
        self.psql(f"CREATE TABLESPACE small LOCATION '{data}'", "postgres")
        self.psql(f"ALTER DATABASE {self.database} SET TABLESPACE small", "postgres")
        self.sim("--fast", "--answer-bytes", "4000")
        self.rows = 0
        self.more(1000)
        filler = place / "filler"
        with open(filler, "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 8192):
                    pass
            except OSError as error:
                self.assertEqual("No space left on device", error.strerror)
        daemon = self.serve(planner=SMALL_FILES)
        self.complain(daemon, "No space left on device")
        time.sleep(3)
        self.assertIsNone(daemon.process.poll())
        filler.unlink()
        self.finish()


if __name__ == "__main__":
    unittest.main()
