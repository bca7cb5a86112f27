#!/usr/bin/env python3
"""Malformed inputs and the real program: every row ends in its named state, the daemon goes on, and no neighbour pays for it.

The cases are those of cases/*.txt; what they come to in the process is malformed_cases' matter. Class by class, as ctest runs them."""

import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import read  # noqa: E402
from stack import BATCHD, Stack, chat, environment, until  # noqa: E402

ONE_ATTEMPT = 'max_attempts = 1\nbase_delay = "20ms"\nmax_delay = "200ms"\nsettle_window = "1s"'
NEIGHBOUR = b'{"custom_id":"5-1","response":{"status_code":200,"body":{"neighbour":true}}}'


class Malformed(Stack):
    def answer_with(self, name, content, **fault):
        """Lets the simulator answer a call with these bytes."""
        path = self.place / name
        path.write_bytes(content)
        self.fault(fault="respond", status=200, body_file=str(path), **fault)

    def codes(self):
        """{request id: what became of it, `succeeded` or an error's code}"""
        rows = self.sql("SELECT request_id, CASE WHEN outcome = 'succeeded' THEN outcome ELSE error->>'code' END FROM batchd.result")
        return {int(id): code for id, code in (row.split("|", 1) for row in rows.splitlines())}

    def next_result_file(self, content):
        """The output file of the batch that ends next is `content`, for the first time that it is asked for."""
        self.answer_with("answers", content, operation="download")
        self.fault(operation="file", fault="respond", status=200, body={"id": "file-x", "object": "file", "status": "processed"})

    def settled_in(self, daemon, requests):
        until("results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == requests)
        self.assertIsNone(daemon.process.poll())
        self.conserved()


class Answers(Malformed):
    def test_every_line_of_a_result_file_settles_its_request_as_its_verdict_says(self):
        cases = read("output_lines")
        self.sim("--fast")
        self.sql("SELECT setval('batchd.request_id', 100000)")  # no id in the corpus is that of another case's request
        ids = self.enqueue([chat(f"case {n}") for n in range(2 * len(cases))])
        lines = []
        for n, case in enumerate(cases):
            for id, line in ((ids[2 * n], case.input()), (ids[2 * n + 1], NEIGHBOUR)):
                lines.append(line.replace(b"5-1", b"%d-1" % id))
        self.next_result_file(b"\n".join(lines) + b"\n")
        daemon = self.serve(kind="openai", retry=ONE_ATTEMPT)
        self.settled_in(daemon, len(ids))
        codes = self.codes()
        for n, case in enumerate(cases):
            with self.subTest(case.name, where=case.where):
                self.assertEqual(self.expected(case), codes[ids[2 * n]])
                self.assertEqual("succeeded", codes[ids[2 * n + 1]], "its neighbour")
        self.sql("SELECT error->>'message' FROM batchd.result WHERE outcome <> 'succeeded'")  # each can be read
        self.assertGreater(daemon.metric('batchd_output_lines_ignored_total{kind="corrupt"}'), 300)
        self.assertGreater(daemon.metric('batchd_output_lines_ignored_total{kind="unknown"}'), 15)
        self.assertEqual(0, daemon.stop())

    @staticmethod
    def expected(case):
        ours = b"5-1" in case.input()  # else it cannot be told whose it is: two cases spell an id in escapes
        if case.word == "free_retry" or (case.word == "success" and ours and case.name != "id_of_another_attempt"):
            return "succeeded"  # a request that goes round at no cost is answered then
        return case.told if case.word in ("retry", "permanent") else "no_answer"

    def test_every_malformed_file_is_worth_what_can_be_read_in_it(self):
        cases = read("result_files")
        self.sim("--fast")
        self.sql("SELECT setval('batchd.request_id', 100000)")
        daemon = self.serve(kind="openai", retry=ONE_ATTEMPT)
        downloads = 0
        for done, case in enumerate(cases):
            with self.subTest(case.name, where=case.where):
                first = self.number_of("SELECT nextval('batchd.request_id')") + 1
                self.next_result_file(re.sub(b'"([123])-1"', lambda found: b'"%d-1"' % (first - 1 + int(found[1])), case.input()))
                ids = self.enqueue([chat(f"{case.name} {n}") for n in range(3)])
                self.assertEqual([first, first + 1, first + 2], ids)
                self.settled_in(daemon, 3 * done + 3)
                told = case.told if case.word == "settled" else "succeeded/succeeded/succeeded"
                self.assertEqual(told, "/".join(self.codes()[id] for id in ids))
                downloads += 2 if case.word == "again" else 1
                self.assertEqual(downloads, self.ledger()["calls"]["download"])
        self.assertEqual(3 * len(cases), self.ledger()["requests_executed"], "nothing is bought again")


class Provider(Malformed):
    def test_lists_and_batches_that_are_none_are_asked_for_again(self):
        self.sim("--running", "300ms")
        bodies = [case for case in read("lists", largest=100_000) + read("batches", largest=100_000) if case.word == "nothing" and case.cut is None]
        ids = self.enqueue([chat("one"), chat("two")])
        for n, case in enumerate(bodies):
            self.answer_with(f"odd{n}", case.input().removeprefix(b"files "), operation=("list", "retrieve")[n % 2])
        daemon = self.serve(retry='base_delay = "1ms"\nmax_delay = "5ms"\nsettle_window = "1s"', poll='interval = "20ms"\nfile_interval = "20ms"')
        self.settled(2)
        self.assertEqual({"succeeded"}, set(self.codes().values()), ids)
        self.assertIsNone(daemon.process.poll())
        self.assertEqual(1, self.ledger()["batches_created"])

    def test_a_creation_answered_by_nonsense_is_looked_for_and_made_once(self):
        cases = [case for case in read("batches", largest=100_000) if case.word == "nothing" and case.cut is None][:40:4]
        self.sim("--fast")
        for n, case in enumerate(cases):
            self.answer_with(f"odd{n}", case.input(), operation="create_batch", nth=2 * n + 1)
        self.serve(planner='linger = "0s"\nmax_requests = 1', retry='base_delay = "20ms"\nmax_delay = "50ms"\nsettle_window = "300ms"')
        self.enqueue([chat(f"prompt {n}") for n in range(12)])
        self.settled(12)
        self.assertEqual({"succeeded"}, set(self.codes().values()))
        self.assertEqual(12, self.ledger()["batches_created"])
        self.assertEqual(0, self.ledger()["requests_executed_more_than_once"])


class Rows(Malformed):
    def test_every_body_that_postgresql_takes_is_sent_or_refused_by_name(self):
        self.sim("--fast")
        cases = read("request_bodies", largest=2_000_000)
        statements = ["\\set ON_ERROR_STOP off"]
        for n, case in enumerate(cases):
            body = f"convert_from(decode('{case.input().hex()}', 'hex'), 'UTF8')::json"
            statements.append(f"INSERT INTO batchd.request (model, job, key, body) VALUES ('gpt-4o-mini', 'odd', 'case {n}', {body});")
            good = json.dumps(chat(f"neighbour {n}"))
            statements.append(f"INSERT INTO batchd.request (model, job, key, body) VALUES ('gpt-4o-mini', 'good', 'case {n}', '{good}');")
        subprocess.run(self.psql_command(self.database), input="\n".join(statements).encode(), capture_output=True, env=environment())
        taken = {int(key.split()[1]): int(id) for key, id in (row.split("|") for row in self.sql(
            "SELECT key, id FROM batchd.request WHERE job = 'odd'").splitlines())}
        self.assertGreater(len(taken), 45)
        daemon = self.serve(planner='linger = "300ms"\nmax_bytes = "1500KB"')
        until("results", lambda: self.number_of("SELECT count(*) FROM batchd.result") == len(taken) + len(cases))
        self.conserved()
        codes = self.codes()
        for n, id in taken.items():
            with self.subTest(cases[n].name, where=cases[n].where):
                # What PostgreSQL takes and the provider does not, such as a member twice, costs that row only.
                by_provider = ("succeeded", "invalid_json_line", "invalid_request")
                self.assertIn(codes[id], by_provider if cases[n].word == "sent" else (cases[n].word,))
        self.assertEqual(str(len(cases)), self.sql("SELECT count(*) FROM batchd.result JOIN batchd.request ON id = request_id "
                                                   "WHERE job = 'good' AND outcome = 'succeeded' AND attempt = 1"))
        self.assertIsNone(daemon.process.poll())

    def test_odd_names_and_bodies_too_large_cost_nobody_else_anything(self):
        self.sim("--fast")
        self.sql(r"""
            INSERT INTO batchd.request (model, job, key, body) VALUES
              ('gpt-4o-mini', E'two\nlines\t"quoted" {braces} \U0001F600', E'k\x01\n', '{}'),
              ('gpt-4o-mini', '-- ; DROP SCHEMA batchd', ''';', '{}'),
              ('gpt-4o-mini', 'j', E'\uFEFF', '{}');
            INSERT INTO batchd.request (model, job, body) SELECT 'gpt-4o-mini', 'large', json_build_object('x', repeat('y', 3000000));
            INSERT INTO batchd.request (model, job, body) VALUES (E'a\nb "c"} 1', 'nobody serves it', '{}')""")
        daemon = self.serve(planner='linger = "50ms"\nmax_bytes = "1MB"\nunroutable_after = "1s"')
        self.settled(5)
        self.assertEqual({"succeeded", "request_too_large", "no_deployment"}, set(self.codes().values()))
        self.assertEqual(3, list(self.codes().values()).count("succeeded"))
        self.assertEqual(200, daemon.get("/metrics")[0])
        json.loads(daemon.get("/status")[1])


class Commands(Malformed):
    def command(self, *arguments, stdin=b"", **variables):
        return subprocess.run([BATCHD, *map(str, arguments)], input=stdin, capture_output=True, timeout=60,
                              env=environment(BATCHD_DATABASE_URL=self.url, **variables))

    SENTENCES = {"utf8": "not valid UTF-8", "json": "not valid JSON", "not_object": "not a JSON object", "custom_id": "custom_id must",
                 "no_custom_id": "a batch line needs a custom_id", "no_body": "a batch line needs a body", "body": "body must be an object",
                 "method": "method must", "url": "url must", "model": "model must"}

    def test_submit_names_each_bad_line_and_enqueues_nothing_of_such_a_file(self):
        cases = [case for case in read("submit_lines") if case.cut is None]
        good = b'{"custom_id":"good","body":{"model":"m"}}\n'
        for case in cases:
            # A blank line is passed over where lines are counted; in the process it is asked for by itself.
            if case.word == "request" or not case.input().strip(b" \t\r"):
                continue
            with self.subTest(case.name, where=case.where):
                file = self.place / "lines.jsonl"
                file.write_bytes(good + case.input() + b"\n" + good)
                done = self.command("submit", file, "--job", "j", "--model", "m")
                said = done.stderr.decode()
                self.assertEqual(1, done.returncode, said)
                self.assertIn(f"line 2: {self.SENTENCES[case.word]}", said)
                self.assertIn("1 bad lines of 3: nothing was enqueued", said)
        self.assertEqual(0, self.number_of("SELECT count(*) FROM batchd.request"))
        lines = [case.input() for case in cases if case.word == "request"]
        done = self.command("submit", "-", "--job", "j", "--model", "m", stdin=b"\xef\xbb\xbf" + b"\r\n".join(lines))
        self.assertEqual(0, done.returncode, done.stderr.decode())
        self.assertEqual(len(lines), self.number_of("SELECT count(*) FROM batchd.request") + done.stdout.count(b"known") - 1
                         + int(done.stdout.split(b", ")[1].split()[0]))

    def test_a_configuration_that_is_none_ends_with_2_and_names_its_keys(self):
        key = self.place / "key"
        key.write_text("secret\n")
        file = self.place / "batchd.toml"
        for case in read("configurations"):
            with self.subTest(case.name, where=case.where):
                file.write_bytes(case.input().replace(b'"KEY"', f'"{key}"'.encode()))
                done = subprocess.run([BATCHD, "check-config", "--json", "--config", file], capture_output=True, timeout=60, env=environment())
                told = json.loads(done.stdout.decode())
                self.assertEqual(case.told, "+".join(problem["key"] for problem in told["problems"]))
                self.assertEqual(0 if case.word == "ok" else 2, done.returncode)
        file.write_bytes(b"[log]\nlevel = 7\n")
        done = subprocess.run([BATCHD, "serve", "--config", file], capture_output=True, timeout=60, env=environment())
        self.assertEqual((2, True), (done.returncode, b"log.level" in done.stderr))


if __name__ == "__main__":
    unittest.main()
