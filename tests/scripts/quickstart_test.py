#!/usr/bin/env python3
"""Runs ./deploy/quickstart on this machine, in the build directory that ctest uses: answers are printed, the second run
works too, nothing is left behind however it ends, and what cannot work is said in one sentence before anything starts."""

import glob
import http.client
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "deploy" / "quickstart"


class Quickstart(unittest.TestCase):
    def setUp(self):
        if not os.environ.get("BATCHD_BUILD_DIR"):
            self.fail("run this through ctest, or set BATCHD_BUILD_DIR to a configured build directory")
        self.base = tempfile.mkdtemp(prefix="bq.", dir="/tmp")  # short: a socket's path has 107 bytes
        os.chmod(self.base, 0o755)
        self.environment = {**os.environ, "TMPDIR": self.base}

    def tearDown(self):
        left, processes = os.listdir(self.base), self.processes()
        shutil.rmtree(self.base)
        self.assertEqual([], left, "a run left its directory behind")
        self.assertEqual([], processes, "a run left processes behind")

    def processes(self):
        """Those that mention this test's directory."""
        found = []
        for process in glob.glob("/proc/[0-9]*"):
            try:
                command = pathlib.Path(process, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if self.base in command:
                found.append(f"{process} {command}")
        return found

    def run_it(self, *arguments, **variables):
        return subprocess.run([QUICKSTART, *arguments], cwd="/", env={**self.environment, **variables}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)

    def test_it_answers_every_sample_prompt_and_works_again(self):
        for _ in range(2):
            result = self.run_it()
            self.assertEqual(0, result.returncode, result.stdout + result.stderr)
            self.assertIn("All 1000 prompts were answered", result.stdout)
            rows = re.findall(r"^ (sample-[1-5]) +\| (.*?) +\| (\w+) +\| (\S.*)$", result.stdout, re.MULTILINE)
            self.assertEqual([f"sample-{n}" for n in range(1, 6)], [row[0] for row in rows], result.stdout)
            for _, prompt, outcome, answer in rows:
                self.assertEqual("succeeded", outcome, result.stdout)
                self.assertTrue(answer.startswith("echo:" + prompt.strip()[:36]), result.stdout)
            self.assertRegex(result.stdout, r"(?m)^ quickstart +\| +1000 +\| +0 ")
            self.assertIn("/metrics", result.stdout)
            self.assertNotIn("\r", result.stdout, "a progress bar belongs on a terminal only")

    def test_keep_leaves_it_running_until_its_stop_script_is_run(self):
        result = self.run_it("--keep")
        self.assertEqual(0, result.returncode, result.stdout + result.stderr)
        page = re.search(r"status page +http://([^/\s]+)/", result.stdout).group(1)
        stop = re.search(r"stop it +(\S+)", result.stdout).group(1)
        try:
            for path in ("/metrics", "/", "/readyz"):
                connection = http.client.HTTPConnection(page, timeout=10)
                connection.request("GET", path)
                self.assertEqual(200, connection.getresponse().status, path)
                connection.close()
        finally:
            subprocess.run([stop], cwd="/", check=True, timeout=60, stdout=subprocess.DEVNULL)

    def test_a_signal_in_the_middle_stops_everything(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([QUICKSTART], cwd="/", env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True, start_new_session=True)
            output = []
            for line in process.stdout:
                output.append(line)
                if line.startswith("3."):
                    break
            process.send_signal(number)
            output += process.communicate(timeout=120)
            self.assertEqual(128 + number, process.returncode, output)

    def test_an_unsupported_distribution_is_refused_in_one_sentence(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, content, says in [
                ("jammy", 'ID=ubuntu\nVERSION_ID="22.04"\nVERSION_CODENAME=jammy\nPRETTY_NAME="Ubuntu 22.04.4 LTS"\n',
                 "Ubuntu 22.04.4 LTS is too old: its Boost is older than the 1.81"),
                ("fedora", 'ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41"\n', "Fedora Linux 41 is not supported"),
                ("nothing", None, "this is not Debian or Ubuntu"),
            ]:
                file = pathlib.Path(folder, name)
                if content is not None:
                    file.write_text(content)
                result = self.run_it(BATCHD_OS_RELEASE=str(file))
                self.assertEqual((1, ""), (result.returncode, result.stdout), result.stderr)
                self.assertIn(says, result.stderr)
                self.assertEqual(1, result.stderr.count("\n"), result.stderr)

    def with_commands(self, folder, replaced, removed=()):
        """A PATH with this machine's commands, some replaced by a script, some missing."""
        for place in os.environ["PATH"].split(":") + ["/usr/sbin", "/sbin"]:
            for command in glob.glob(place + "/*"):
                link = pathlib.Path(folder, os.path.basename(command))
                if link.name not in removed and not link.is_symlink():
                    link.symlink_to(command)
        for name, script in replaced.items():
            link = pathlib.Path(folder, name)
            link.unlink(missing_ok=True)
            link.write_text("#!/bin/sh\n" + script)
            link.chmod(0o755)
        return folder

    def test_missing_packages_without_sudo_are_named_with_the_command_to_run(self):
        with tempfile.TemporaryDirectory() as folder:
            path = self.with_commands(folder, {"dpkg-query": "exit 1\n", "id": 'if [ "$1" = -u ]; then echo 1000; else exit 1; fi\n'},
                                      removed=("sudo",))
            result = self.run_it(PATH=path)
        self.assertEqual((1, ""), (result.returncode, result.stdout), result.stderr)
        self.assertRegex(result.stderr, r"needs root or sudo, which is not here; as root, run: apt-get install .*libpqxx-dev")
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)

    def test_a_sudo_that_wants_a_password_without_a_terminal_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = self.with_commands(folder, {"dpkg-query": "exit 1\n", "sudo": "exit 1\n",
                                               "id": 'if [ "$1" = -u ]; then echo 1000; else exit 1; fi\n'})
            result = self.run_it(PATH=path)
        self.assertEqual((1, ""), (result.returncode, result.stdout), result.stderr)
        self.assertIn("sudo wants a password but there is no terminal", result.stderr)

    def test_a_full_disk_is_noticed_before_anything_starts(self):
        with tempfile.TemporaryDirectory() as folder:
            df = "echo Filesystem 1024-blocks Used Available Capacity Mounted; echo /dev/sda 100 99 1024 99% /\n"
            result = self.run_it(PATH=self.with_commands(folder, {"df": df}))
        self.assertEqual((1, ""), (result.returncode, result.stdout), result.stderr)
        self.assertRegex(result.stderr, r"^quickstart: \S+ has 1 MB free and \d+ MB are needed")

    def test_an_unknown_argument_is_refused(self):
        result = self.run_it("--fast")
        self.assertEqual(1, result.returncode)
        self.assertIn("unknown argument '--fast'", result.stderr)


if __name__ == "__main__":
    if shutil.which("psql") is None:
        print("psql is missing: run deploy/install-dependencies --tests")
        sys.exit(1)
    sys.exit(unittest.main(verbosity=1))
