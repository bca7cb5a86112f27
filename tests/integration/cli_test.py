#!/usr/bin/env python3
"""The program as operators and scripts meet it: real processes, a private PostgreSQL, exit codes, stdout and stderr."""

import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCHD = os.environ.get("BATCHD_BIN", "")
COMMON = 'set -euo pipefail; me=cli_test; root=$1; . "$root/deploy/common.sh"; '


def environment(**more):
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BATCHD_", "PG"))}
    return {**clean, **more}


def batchd(*arguments, stdin="", **variables):
    return subprocess.run([BATCHD, *map(str, arguments)], input=stdin.encode() if isinstance(stdin, str) else stdin,
                          capture_output=True, timeout=60, env=environment(**variables))


def until(what, check, seconds=120):
    """Polls until check() is true."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return found


class Place(unittest.TestCase):
    """A directory of its own for each test."""

    def setUp(self):
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="batchd-cli."))
        self.addCleanup(shutil.rmtree, self.place, True)

    def write(self, name, text):
        path = self.place / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path


class WithoutDatabase(Place):
    def test_version(self):
        self.assertRegex(batchd("version").stdout.decode(), r"^batchd \d+\.\d+\.\d+\n$")
        self.assertIn("version", json.loads(batchd("version", "--json").stdout))

    def test_every_command_has_help(self):
        for command in ([], ["serve"], ["migrate"], ["check-config"], ["submit"], ["status"], ["results"], ["version"]):
            with self.subTest(command):
                help = batchd(*command, "--help")
                self.assertEqual(0, help.returncode)
                self.assertIn(b"Usage: batchd", help.stdout)
                self.assertIn(b"--config", help.stdout)

    def test_wrong_usage_is_exit_2_and_said_on_stderr(self):
        for arguments, expected in ((["submti"], b"the nearest is 'submit'"), ([], b"no command"), (["submit", "f"], b"--job is required"),
                                    (["results"], b"JOB is required"), (["status", "--nonsense"], b"--nonsense"),
                                    (["submit", "-", "--job", "j", "--priority", "high"], b"high")):
            with self.subTest(arguments):
                wrong = batchd(*arguments)
                self.assertEqual((2, b""), (wrong.returncode, wrong.stdout))
                self.assertIn(expected, wrong.stderr)

    FIVE = """
[database]
url = "postgresql:///batchd"
[[provider]]
name = "eastus"
kind = "azure"
endpoint = "http://my.openai.azure.com"
api_version = "2024-10-21"
[[deployment]]
name = "mini"
provider = "eastsu"
model = "gpt-4o-mini"
enqueued_token_limit = "1B"
[poll]
intervall = "60s"
[planner]
linger = 30
"""

    def test_five_mistakes_are_reported_at_once(self):
        file = self.write("five.toml", self.FIVE)
        for arguments in (["check-config", "--config", file], ["serve", "--config", file]):
            wrong = batchd(*arguments)
            self.assertEqual((2, b""), (wrong.returncode, wrong.stdout))
            text = wrong.stderr.decode()
            self.assertIn("5 problems", text)
            for line in (f"{file}:7: provider[eastus].endpoint: found \"http://my.openai.azure.com\"; expected an https:// URL",
                         "provider[eastus].api_key_file: missing; expected a file that holds the API key",
                         f"{file}:11: deployment[mini].provider: found \"eastsu\"; expected the name of a [[provider]]; the nearest is \"eastus\"",
                         f"{file}:15: poll.intervall: found an unknown key; expected one of interval, file_interval; nearest valid key: poll.interval",
                         f"{file}:17: planner.linger: found 30; expected a duration in quotes"):
                self.assertIn(line, text)
        problems = json.loads(batchd("check-config", "--json", BATCHD_CONFIG=str(file)).stdout)["problems"]
        self.assertEqual(5, len(problems))
        for problem in problems:
            self.assertTrue(problem["key"] and problem["expected"] and problem["nearest"], problem)

    def test_what_an_api_version_cannot_do_is_said_without_a_call(self):
        key = self.write("key", "k")
        for lines, sentence in (('api_version = "2023-05-15"', "api_version '2023-05-15' cannot be used; expected 2024-10-21 or a newer date"),
                                ('api_version = "2024-10-21"\nfile_expiry = "20d"', "no file_expiry with api_version 2024-10-21; expected 2025-03-01-preview"),
                                ('api_version = "2025-04-01-preview"\nfile_expiry = "1h"', "file_expiry must be 336h to 720h"),
                                ('api_version = "2026-11-01-preview"', "")):
            file = self.write("version.toml", f'''
[database]
url = "postgresql:///nowhere"
[[provider]]
name = "eastus"
kind = "azure"
endpoint = "http://127.0.0.1:9"
{lines}
api_key_file = "{key}"
[[deployment]]
name = "mini"
provider = "eastus"
model = "m"
enqueued_token_limit = "1B"
''')
            done = batchd("check-config", "--config", file)
            self.assertEqual(2 if sentence else 0, done.returncode, done.stderr)
            self.assertIn(sentence, done.stderr.decode())
            told = json.loads(batchd("check-config", "--json", "--config", file).stdout)
            self.assertEqual(not sentence, told["ok"])
            if sentence:
                self.assertIn(sentence, told["problems"][0]["found"])
                self.assertEqual(2, batchd("serve", "--config", file).returncode)

    def test_the_printed_example_is_a_working_configuration(self):
        example = self.write("batchd.toml", batchd("check-config", "--print-example").stdout)
        good = batchd("check-config", "--config", example, BATCHD_PROVIDER_EASTUS_API_KEY="canary-secret",
                      BATCHD_DATABASE_URL="postgresql://u:canary-password@h/d")
        self.assertEqual(0, good.returncode, good.stderr)
        self.assertIn(b"postgresql://u:***@h/d", good.stdout)
        self.assertNotIn(b"canary", good.stdout + good.stderr)

    def test_a_command_that_needs_the_database_says_how_to_name_it(self):
        wrong = subprocess.run([BATCHD, "status"], capture_output=True, cwd=self.place, env=environment())
        self.assertEqual(2, wrong.returncode)
        self.assertIn(b"BATCHD_DATABASE_URL", wrong.stderr)

    def test_a_database_that_is_away_is_a_failure_without_its_password(self):
        away = batchd("status", "--database-url", "postgresql://u:canary-password@127.0.0.1:1/d")
        self.assertEqual((1, b""), (away.returncode, away.stdout))
        self.assertNotIn(b"canary", away.stderr)


class WithDatabase(Place):
    @classmethod
    def setUpClass(cls):
        # A socket's path has room for 107 bytes.
        cls.cluster = tempfile.mkdtemp(prefix="batchd-pg.", dir="/tmp")
        cls.addClassCleanup(shutil.rmtree, cls.cluster, True)
        started = subprocess.run(["bash", "-c", COMMON + 'pg_start "$2" fsync=off', "-", ROOT, cls.cluster], capture_output=True, env=environment())
        if started.returncode != 0:
            raise RuntimeError((started.stdout + started.stderr).decode())
        cls.addClassCleanup(subprocess.run, ["bash", "-c", COMMON + 'pg_stop "$2"', "-", ROOT, cls.cluster], capture_output=True)
        cls.number = 0

    def setUp(self):
        super().setUp()
        type(self).number += 1
        self.database = f"cli_{self.number}"
        self.sql(f"CREATE DATABASE {self.database}", database="postgres")
        self.url = f"postgresql:///{self.database}?host={self.cluster}&user=batchd"

    def sql(self, text, database=None):
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", self.cluster, "-U", "batchd", "-d",
                               database or self.database], input=text.encode(), capture_output=True, env=environment())
        self.assertEqual(0, done.returncode, done.stderr)
        return done.stdout.decode().strip()

    def run_ok(self, *arguments, **more):
        done = batchd(*arguments, BATCHD_DATABASE_URL=self.url, **more)
        self.assertEqual(0, done.returncode, done.stderr)
        return done

    def fails(self, code, *arguments, **more):
        done = batchd(*arguments, BATCHD_DATABASE_URL=self.url, **more)
        self.assertEqual(code, done.returncode, done.stdout + done.stderr)
        return done.stderr.decode()

    def settle(self, job, outcome="succeeded", response='{"choices":[]}', keys=None):
        """Answers queued requests as the daemon's statements would: a result, one row less in the queue, the counters."""
        chosen = "" if keys is None else " AND r.key IN (" + ",".join(f"'{key}'" for key in keys) + ")"
        error = "NULL" if outcome == "succeeded" else """'{"code":"x","message":"y"}'"""
        self.sql(f"""
            BEGIN;
            SELECT batchd.fold();
            CREATE TEMP TABLE chosen ON COMMIT DROP AS
              SELECT r.*, q.flow, q.bytes FROM batchd.request r JOIN batchd.queue q ON q.id = r.id WHERE r.job = '{job}'{chosen};
            DELETE FROM batchd.queue WHERE id IN (SELECT id FROM chosen);
            INSERT INTO batchd.answer (request_id, outcome, status_code, response, error, input_tokens, output_tokens,
                                       provider_request_id, attempt)
              SELECT id, '{outcome}', 200, $${response}$$, {error}, 1, 2, 'req-' || id, 1 FROM chosen;
            INSERT INTO batchd.delta (flow, model, endpoint, job, priority, queued, queued_bytes, {outcome}, input_tokens, output_tokens)
              SELECT flow, model, endpoint, job, priority, -count(*), -sum(bytes), count(*), count(*), 2 * count(*)
              FROM chosen GROUP BY flow, model, endpoint, job, priority;
            COMMIT;""")


class Migrate(WithDatabase):
    def test_brings_the_schema_and_then_has_nothing_to_do(self):
        self.assertIn("batchd migrate", self.fails(4, "migrate", "--check"))
        first = self.run_ok("migrate")
        self.assertIn(b"applied 0001_", first.stdout)
        self.run_ok("migrate", "--check")
        self.assertEqual(b"", self.run_ok("migrate").stdout)
        self.assertEqual("ok", json.loads(self.run_ok("migrate", "--check", "--json").stdout)["state"])

    def test_an_older_schema_is_exit_4_with_the_remedy(self):
        self.run_ok("migrate")
        self.sql("DELETE FROM batchd.schema_migration WHERE version = (SELECT max(version) FROM batchd.schema_migration)")
        self.assertIn("run `batchd migrate`", self.fails(4, "migrate", "--check"))

    def test_an_edited_migration_is_refused(self):
        self.run_ok("migrate")
        self.sql("UPDATE batchd.schema_migration SET checksum = repeat('0', length(checksum)) WHERE version = 1")
        self.fails(4, "migrate", "--check")
        self.fails(4, "migrate")

    def test_other_commands_tell_a_missing_schema_from_a_missing_database(self):
        for command in (["status"], ["results", "j"], ["submit", self.write("f", '{"model":"m"}\n'), "--job", "j"]):
            self.assertIn("migrate", self.fails(4, *command))
        self.fails(1, "status", "--database-url", self.url.replace(self.database, "nowhere"))

    def test_serve_refuses_a_schema_that_does_not_fit(self):
        key = self.write("key", "k\n")
        file = self.write("batchd.toml", serve_config(self.url, key, self.place))
        self.assertIn("migrate", self.fails(4, "serve", "--config", file))


class Work(WithDatabase):
    def setUp(self):
        super().setUp()
        self.run_ok("migrate")

    BODY = '{ "model" : "m", "x":9007199254740993, "y":0.10, "z":"\\u0000 \\u00e9 é 日本語 😀", "messages":[] }'

    def test_batch_lines_and_bare_bodies_arrive_byte_for_byte(self):
        lines = [json.dumps({"custom_id": "a", "method": "POST", "url": "/v1/responses", "body": {}}).replace("{}", self.BODY),
                 self.BODY, "", '{"custom_id":"b","url":"/chat/completions","body":{"messages":[]}}\r']
        file = self.write("in.jsonl", "\ufeff" + "\n".join(lines))
        done = self.run_ok("submit", file, "--job", "j", "--model", "fallback", "--priority", "7")
        self.assertEqual(b"j: 3 new, 0 known\n", done.stdout)
        rows = self.sql("SELECT coalesce(key, '-'), endpoint, model, priority, md5(body::text) FROM batchd.request ORDER BY key NULLS LAST").splitlines()
        md5 = hashlib.md5(self.BODY.encode()).hexdigest()
        other = hashlib.md5(b'{"messages":[]}').hexdigest()
        self.assertEqual([f"a|/v1/responses|m|7|{md5}", f"b|/v1/chat/completions|fallback|7|{other}", f"-|/v1/chat/completions|m|7|{md5}"], rows)

    def test_known_keys_are_counted_and_enqueue_nothing(self):
        file = self.write("in.jsonl", "".join(f'{{"custom_id":"k{i}","body":{{"model":"m"}}}}\n' for i in range(25_000)))
        self.assertEqual({"job": "j", "new": 25_000, "known": 0}, json.loads(self.run_ok("submit", file, "--job", "j", "--json").stdout))
        with open(file, "a", encoding="utf-8") as more:
            more.write('{"custom_id":"late","body":{"model":"m"}}\n')
        self.assertEqual(b"j: 1 new, 25,000 known\n", self.run_ok("submit", file, "--job", "j").stdout)
        self.assertEqual("25001", self.sql("SELECT count(*) FROM batchd.request"))

    def test_one_bad_line_in_a_file_and_nothing_is_enqueued(self):
        lines = ['{"custom_id":"a","body":{"model":"m"}}', "{not json}", '{"custom_id":"b","body":[]}', '{"custom_id":"c","body":{}}']
        said = self.fails(1, "submit", self.write("in.jsonl", "\n".join(lines)), "--job", "j")
        for expected in ("line 2: not valid JSON", "line 3: body must be an object", "line 4: no model", "3 bad lines of 4: nothing was enqueued"):
            self.assertIn(expected, said)
        self.assertEqual("0", self.sql("SELECT count(*) FROM batchd.request"))

    def test_many_bad_lines_are_not_many_messages(self):
        said = self.fails(1, "submit", self.write("in.jsonl", "x\n" * 5_000), "--job", "j")
        self.assertLess(len(said.splitlines()), 30)
        self.assertIn("5,000 bad lines", said)

    def test_stdin_is_read_as_it_comes(self):
        self.assertEqual(b"j: 2 new, 0 known\n", self.run_ok("submit", "-", "--job", "j", stdin='{"model":"m"}\n{"model":"m"}').stdout)
        said = self.fails(1, "submit", "-", "--job", "j", stdin='{"model":"m"}\nbroken\n{"model":"m"}\nbroken\n')
        self.assertIn("line 2: not valid JSON", said)
        self.assertIn("line 4: not valid JSON", said)
        self.assertEqual("2", self.sql("SELECT count(*) FROM batchd.request"))

    def test_a_file_that_is_not_there_is_wrong_usage(self):
        self.assertIn("No such file", self.fails(2, "submit", self.place / "absent", "--job", "j"))
        self.assertIn("is a directory", self.fails(2, "submit", self.place, "--job", "j"))

    def test_status_and_results_of_a_job(self):
        lines = "".join(f'{{"custom_id":"k{i}","body":{{"model":"m"}}}}\n' for i in range(3)) + '{"model":"m"}\n'
        self.run_ok("submit", "-", "--job", "j", stdin=lines)
        before = json.loads(self.run_ok("status", "j", "--json").stdout)
        self.assertEqual((4, 4, False), (before["accepted"], before["queued"], before["finished"]))
        self.assertIn(b"0 of 4 settled, 0 in flight, 4 queued", self.run_ok("status", "j").stdout)

        answer = '{"id":"x","n":9007199254740993,"t":"\\u0000é","list":[1.0, 2e3]}'
        self.settle("j", response=answer, keys=["k0", "k1"])
        self.settle("j", outcome="failed", keys=["k2"])
        part = self.run_ok("results", "j")
        self.assertIn(b"3 results, 1 requests are not settled yet", part.stderr)
        self.settle("j", response=answer)

        self.assertIn(b"j: 4 of 4 settled (3 succeeded, 1 failed)", self.run_ok("status", "j").stdout)
        self.assertRegex(self.run_ok("status").stdout.decode(), r"(?m)^j +0 +0 +3 +1 +0 +0$")
        self.assertEqual(1, len(json.loads(self.run_ok("status", "--json").stdout)["jobs"]))

        output = self.place / "out.jsonl"
        self.assertEqual(b"", self.run_ok("results", "j", "-o", output).stdout)
        text = output.read_text(encoding="utf-8")
        self.assertEqual(text, self.run_ok("results", "j").stdout.decode())
        self.assertEqual(3, text.count(f'"body":{answer}}}'))
        rows = [json.loads(line) for line in text.splitlines()]
        self.assertEqual(["k0", "k1", "k2"], [row["custom_id"] for row in rows[:3]])
        self.assertEqual(f"batch_req_{rows[3]['custom_id']}", rows[3]["id"])
        self.assertEqual({"code": "x", "message": "y"}, rows[2]["error"])
        self.assertIsNone(rows[0]["error"])
        self.assertEqual(200, rows[0]["response"]["status_code"])
        self.assertEqual([output], list(self.place.glob("out*")), "nothing unfinished is left")

    def test_wait_ends_with_the_last_answer_and_tells_by_its_code(self):
        self.run_ok("submit", "-", "--job", "good", stdin='{"model":"m"}\n')
        self.run_ok("submit", "-", "--job", "bad", stdin='{"model":"m"}\n')
        waiting = [subprocess.Popen([BATCHD, "status", job, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env=environment(BATCHD_DATABASE_URL=self.url))
                   for job, more in (("good", ["--wait"]), ("bad", ["--wait", "--json"]), ("good", ["--watch"]))]
        for process in waiting:
            self.addCleanup(process.kill)
        self.assertIn(b"1 queued", waiting[2].stdout.readline())
        self.assertEqual([None] * 3, [process.poll() for process in waiting])
        self.settle("good")
        self.settle("bad", outcome="expired")
        ends = [process.communicate(timeout=60)[0] for process in waiting]
        self.assertEqual([0, 5, 0], [process.returncode for process in waiting])
        self.assertEqual(b"good: 1 of 1 settled (1 succeeded)\n", ends[0])
        self.assertEqual(1, json.loads(ends[1])["expired"])
        self.assertEqual(b"good: 1 of 1 settled (1 succeeded)\n", ends[2])

    def test_an_unknown_job_is_a_failure(self):
        self.assertIn("job 'nobody'", self.fails(1, "status", "nobody"))
        output = self.place / "out.jsonl"
        self.assertIn("job 'nobody'", self.fails(1, "results", "nobody", "-o", output))
        self.assertFalse(output.exists())

    def test_results_that_cannot_be_written_are_a_failure(self):
        self.run_ok("submit", "-", "--job", "j", stdin='{"model":"m"}\n')
        self.settle("j")
        self.assertIn("cannot be written", self.fails(1, "results", "j", "-o", self.place / "absent" / "out.jsonl"))
        with open("/dev/full", "wb") as full:
            done = subprocess.run([BATCHD, "results", "j"], stdout=full, stderr=subprocess.PIPE, env=environment(BATCHD_DATABASE_URL=self.url))
        self.assertEqual(1, done.returncode)
        self.assertIn(b"No space left", done.stderr)

    def test_the_configuration_file_serves_database_commands_without_its_secrets(self):
        file = self.write("batchd.toml", serve_config(self.url, "/nowhere/key", self.place))
        done = batchd("status", "--config", file)
        self.assertEqual((0, b"no jobs yet\n"), (done.returncode, done.stdout), done.stderr)


def serve_config(url, key, state):
    return f"""
[database]
url = "{url}"
[http]
listen = "127.0.0.1:0"
[[provider]]
name = "nobody"
kind = "openai"
endpoint = "http://127.0.0.1:1"
api_key_file = "{key}"
[[deployment]]
name = "d"
provider = "nobody"
model = "m"
enqueued_token_limit = "1M"
[limits]
state_dir = "{state}/state"
"""


class Serve(WithDatabase):
    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return None, ""
        finally:
            connection.close()

    def test_answers_its_probes_and_pages_and_stops_when_asked(self):
        self.run_ok("migrate")
        self.run_ok("submit", "-", "--job", "<b>j</b>", stdin='{"model":"unserved"}\n' * 3)
        key = self.write("key", "canary-secret\n")
        file = self.write("batchd.toml", serve_config(self.url, key, self.place))
        log = open(self.place / "log", "wb")
        self.addCleanup(log.close)
        daemon = subprocess.Popen([BATCHD, "serve", "--config", file], stdout=subprocess.DEVNULL, stderr=log, env=environment())
        self.addCleanup(daemon.wait)
        self.addCleanup(daemon.kill)
        try:
            started = until("its port", lambda: re.search(r'"http_port":(\d+)', (self.place / "log").read_text()))
            self.port = int(started.group(1))
            until("ready", lambda: self.get("/readyz")[0] == 200)
            self.assertEqual(200, self.get("/livez")[0])
            until("the numbers are there", lambda: json.loads(self.get("/status")[1])["requests"]["queued"] == 3)
            status, metrics = self.get("/metrics")
            self.assertEqual(200, status)
            self.assertIn('batchd_requests{state="queued"} 3', metrics)
            self.assertIn("batchd_build_info{version=", metrics)
            page = self.get("/")[1]
            self.assertIn("&lt;b&gt;j&lt;/b&gt;", page)
            self.assertNotIn("<b>j</b>", page)
            self.assertEqual(404, self.get("/nothing")[0])
        except AssertionError:
            sys.stderr.write((self.place / "log").read_text())
            raise
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(0, daemon.wait(timeout=60))
        lines = (self.place / "log").read_text().splitlines()
        for line in lines:
            json.loads(line)
        self.assertNotIn("canary-secret", "".join(lines))


if __name__ == "__main__":
    if not BATCHD:
        sys.exit("BATCHD_BIN must name the program")
    unittest.main()
