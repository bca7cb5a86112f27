#!/usr/bin/env python3
"""Trouble on our own machine: no disk, no descriptors, clocks that are set. It is said clearly, nothing is lost, and it goes on by itself."""

import glob
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import stack  # noqa: E402
from stack import COMMON, ROOT, Daemon, Stack, chat, environment, until  # noqa: E402

FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") + [None])[0]
LONG = "x" * 1000


class LocalFault(Stack):
    def results(self):
        return self.number_of("SELECT count(*) FROM batchd.result")

    def ran_once(self, count):
        self.settled(count)
        self.assertEqual(count, self.ledger()["requests_executed"])
        self.assertEqual(0, self.ledger()["prompts_executed_more_than_once"])
        self.assertEqual({1}, {attempt for _, _, attempt in self.outcomes().values()}, "our trouble is no attempt of the rows")

    def seldom(self, daemon, event, seconds=4):
        """That an event is written about once a second."""
        before, began = len(daemon.saw(event)), time.monotonic()
        while time.monotonic() < began + seconds:
            self.assertIsNone(daemon.process.poll())
            time.sleep(0.1)
        lines = len(daemon.saw(event)) - before
        self.assertLessEqual(lines, time.monotonic() - began + 1)


class Disk(LocalFault):
    def test_files_that_may_not_grow_are_like_a_full_disk(self):
        self.sim("--fast")
        daemon = self.serve()
        until("ready", lambda: daemon.saw("ready"))
        soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (150_000, hard))
        self.enqueue([chat(f"prompt {i} {LONG}") for i in range(400)])
        until("it says so", lambda: daemon.saw("upload.failed"))
        self.assertIn("scratch", daemon.saw("upload.failed")[0]["error"])
        self.seldom(daemon, "upload.failed")
        self.conserved()
        self.assertEqual(0, self.ledger()["batches_created"])
        resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        self.ran_once(400)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small file system needs root")
    def test_a_full_scratch_disk(self):
        state = self.place / "state"
        state.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "batchd-test", state], capture_output=True).returncode != 0:
            self.skipTest("this machine does not let root mount")
        self.addCleanup(subprocess.run, ["umount", "-l", state])
        ballast = state / "ballast"
        ballast.write_bytes(b"x" * 200_000)
        self.sim("--fast")
        daemon = self.serve()
        self.enqueue([chat(f"prompt {i} {LONG}") for i in range(200)])
        until("it says so", lambda: daemon.saw("upload.failed"))
        self.assertIn("No space left on device", daemon.saw("upload.failed")[0]["error"])
        self.assertEqual(1, len(list(state.glob("scratch-*"))))
        self.conserved()
        ballast.unlink()
        self.ran_once(200)

    def test_a_budget_of_one_file_lets_them_through_one_by_one(self):
        self.sim("--fast")
        text = self.config(planner='linger = "50ms"\nmax_bytes = "1MB"').replace("[limits]\n", '[limits]\ndisk = "1MB"\n')
        daemon = self.serve(text)
        for part in range(3):
            self.enqueue([chat(f"prompt {part} {i} {LONG}") for i in range(1500)], job=f"part {part}")
        self.ran_once(4500)
        self.assertEqual([], daemon.saw("upload.failed"))


class Descriptors(LocalFault):
    def cpu(self, daemon):
        fields = pathlib.Path(f"/proc/{daemon.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_a_process_without_descriptors_neither_dies_nor_spins_and_works_on_when_it_has_some(self):
        self.sim("--fast", "--running", "300ms")
        daemon = self.serve(planner='linger = "50ms"\nmax_requests = 50')
        self.enqueue([chat(f"prompt {i}") for i in range(500)])
        until("it works", lambda: self.results() > 0)
        soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
        port = daemon.port()
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (8, hard))  # fewer than are open: not one more
        callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        for caller in callers:
            self.addCleanup(caller.close)
            caller.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        # Its database connections are taken from it, too.
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'batchd'")
        until("it says so", lambda: daemon.saw("heartbeat.failed"))
        before, started = self.cpu(daemon), time.monotonic()
        self.seldom(daemon, "heartbeat.failed")
        self.assertLess(self.cpu(daemon) - before, 0.5 * (time.monotonic() - started), "it does not spin")
        self.conserved()
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        until("it answers again", lambda: daemon.get("/readyz")[0] == 200)
        self.ran_once(500)


@unittest.skipUnless(FAKETIME, "libfaketime is not installed")
class Clocks(LocalFault):
    """Only the time of day is set: the monotonic clock goes on, as it does when somebody sets the time."""

    # libfaketime 0.9.10 moves the absolute expiry of every timerfd by the offset, of monotonic ones too. Asio says "at once" by an absolute expiry
    # of 1 ns, which an offset of -3h turns into "three hours after the machine was started": the daemon's timers are kept out of its hands.
    PLAIN_TIMERS = """
        #include <sys/syscall.h>
        #include <sys/timerfd.h>
        #include <unistd.h>
        extern "C" int timerfd_settime(int fd, int flags, const itimerspec* fresh, itimerspec* old) noexcept {
          return static_cast<int>(syscall(SYS_timerfd_settime, fd, flags, fresh, old));
        }"""

    @classmethod
    def setUpClass(cls):
        cls.server_clock = pathlib.Path("/tmp") / f"bd-clock-{os.getpid()}"
        cls.server_clock.write_text("+0\n")
        cls.server_clock.chmod(0o644)
        cls.addClassCleanup(cls.server_clock.unlink, True)
        super().setUpClass()
        # Preloaded only once it runs as its own user: what libfaketime shares between processes belongs to who came first.
        settings = [f"{name}={value}" for name, value in cls.faked(cls.server_clock).items()]
        done = subprocess.run(["bash", "-c", COMMON + 'd=$2; shift 2; pg_run env "$@" "$(pg_bin)/pg_ctl" -D "$d/data" -l "$d/data/server.log" '
                               '-w -m fast restart </dev/null >/dev/null 2>&1', "-", ROOT, cls.cluster, *settings], env=environment())
        if done.returncode != 0:
            raise AssertionError((pathlib.Path(cls.cluster) / "data" / "server.log").read_text()[-2000:])

    @staticmethod
    def faked(clock):
        return {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "DONT_FAKE_MONOTONIC": "1"}

    def setUp(self):
        self.set(self.server_clock, "+0")
        super().setUp()

    def set(self, clock, offset):
        """At one stroke: a file that is being written reads as no offset at all."""
        fresh = clock.with_name(clock.name + ".new")
        fresh.write_text(offset + "\n")
        fresh.chmod(0o644)
        fresh.rename(clock)

    def set_server(self, offset, hours):
        now = float(self.sql("SELECT extract(epoch FROM clock_timestamp())"))
        self.set(self.server_clock, offset)
        until("the server's clock", lambda: abs(float(self.sql("SELECT extract(epoch FROM clock_timestamp())")) - now - 3600 * hours) < 120)

    def progress(self, count):
        done = self.results()
        until("progress", lambda: self.results() > done or done == count)

    def test_a_daemon_whose_clock_is_set_by_hours(self):
        clock = self.place / "clock"
        self.set(clock, "+0")
        timers = self.place / "plain_timers.so"
        subprocess.run(["c++", "-x", "c++", "-shared", "-fPIC", "-o", timers, "-"], input=self.PLAIN_TIMERS, text=True, check=True)
        self.sim("--fast", "--running", "200ms")
        self.fault(operation="upload", fault="429", retry_after="in 2s", nth=3)
        outer = Daemon.start

        def start(daemon):
            plain = stack.environment
            stack.environment = lambda **more: plain(**{**self.faked(clock), "LD_PRELOAD": f"{timers}:{FAKETIME}"}, **more)
            try:
                outer(daemon)
            finally:
                stack.environment = plain
        Daemon.start = start
        try:
            daemon = self.serve(planner='linger = "50ms"\nmax_requests = 50')
        finally:
            Daemon.start = outer
        for part, offset in enumerate(("+3h", "-3h", "+30d", "+0")):
            self.enqueue([chat(f"prompt {part} {i}") for i in range(250)])  # there is always something to log
            self.progress(250 * (part + 1))
            self.set(clock, offset)
        self.ran_once(1000)
        years = {line["time"][:7] for line in daemon.events()}
        self.assertGreater(len(years), 1, "the clock was really set")
        self.assertEqual([], daemon.saw("replica.lost") + daemon.saw("submission.unknown"))

    def test_a_database_whose_clock_is_set_back_or_forth_by_an_hour(self):
        for offset, hours in (("-1h", -1), ("+1h", 1)):
            with self.subTest(offset):
                self.afresh()
                self.sim("--fast", "--running", "200ms")
                daemons = [self.serve(planner='linger = "50ms"\nmax_requests = 50', lease='ttl = "5s"') for _ in range(2)]
                until("both", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 2)
                self.enqueue([chat(f"prompt {i}") for i in range(1000)])
                self.progress(1000)
                self.set_server(offset, hours)
                until("it is noticed", lambda: any(daemon.saw("database.clock_set") for daemon in daemons))
                daemons[0].kill()
                self.ran_once(1000)
                until("the dead one is buried", lambda: self.number_of("SELECT count(*) FROM batchd.replica") == 1)
                self.assertEqual([], daemons[1].saw("replica.lost"), "and nobody else")
                self.set(self.server_clock, "+0")


if __name__ == "__main__":
    unittest.main()
