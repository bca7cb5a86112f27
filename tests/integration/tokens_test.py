#!/usr/bin/env python3
"""`batchd tokens` and what a file's tokens are reserved by: real processes. Tests of exact counts need the vocabularies that
deploy/fetch-vocabulary fetches (BATCHD_TEST_VOCABULARY names the folder) and are skipped, with the reason, without them."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from stack import BATCHD, SHARED, Stack, chat, environment, until  # noqa: E402

VOCABULARY = os.environ.get("BATCHD_TEST_VOCABULARY", str(ROOT / "build/release/vocabulary"))
ENCODINGS = {"o200k_base": "o200k", "cl100k_base": "cl100k"}


def tokens(*arguments, stdin=b"", vocabulary=VOCABULARY):
    variables = {"BATCHD_TOKENS_VOCABULARY_DIR": vocabulary} if vocabulary else {}
    return subprocess.run([BATCHD, "tokens", *map(str, arguments)], input=stdin.encode() if isinstance(stdin, str) else stdin,
                          capture_output=True, timeout=120, env=environment(**variables))


def needs_vocabulary(test):
    there = all(pathlib.Path(VOCABULARY, f"{name}.tiktoken").is_file() for name in ENCODINGS)
    return unittest.skipUnless(there, f"no vocabularies in {VOCABULARY}: deploy/fetch-vocabulary fetches them")(test)


def counts(*arguments, **options):
    done = tokens(*arguments, **options)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode())
    return [int(line) for line in done.stdout.split()]


class Command(unittest.TestCase):
    @needs_vocabulary
    def test_counts_equal_the_oracle(self):
        for encoding, name in ENCODINGS.items():
            oracle = SHARED / "data/tokens" / f"oracle_{name}.jsonl"
            if not oracle.is_file():
                self.skipTest(f"there is no oracle at {oracle} (BATCHD_SHARED names the directory that has it)")
            expected = [json.loads(line)["n"] for line in oracle.read_text().split("\n") if line]
            self.assertGreater(len(expected), 1000)
            self.assertEqual(expected, counts("--encoding", encoding, oracle))

    @needs_vocabulary
    def test_counts_equal_what_openais_tokenizer_says_of_texts_made_by_hand(self):
        file = ROOT / "tests/tokenizers/expected.jsonl"
        rows = [json.loads(line) for line in file.read_text().split("\n") if line]
        self.assertGreater(len(rows), 100)
        for encoding in ENCODINGS:
            found = counts("--encoding", encoding, "-", stdin=file.read_bytes())
            wrong = [(row["text"], row[encoding], count) for row, count in zip(rows, found, strict=True) if row[encoding] != count]
            self.assertEqual([], wrong)

    @needs_vocabulary
    def test_requests_are_counted_by_their_models(self):
        body = chat("Hello world")
        lines = [{"text": "DON'T"}, body, {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body},
                 {**body, "model": "gpt-4"}, {"custom_id": "b", "method": "POST", "url": "/v1/embeddings", "body": {"input": ["a b", "c"]}}]
        text = "\n".join(map(json.dumps, lines)) + "\n\n"
        self.assertEqual([2, 9, 9, 9, 3], counts("-", stdin=text))
        found = json.loads(tokens("-", "--json", stdin="\ufeff" + text).stdout)
        self.assertEqual(32, found["tokens"])
        self.assertEqual({"line": 4, "tokens": 9, "encoding": "cl100k_base"}, found["counts"][3])

    @needs_vocabulary
    def test_bad_lines_are_named_and_the_others_counted(self):
        text = b'{"text":"a"}\n{"text":\n[1]\n{"text":"\xff"}\n{"text":"b c"}\n'
        done = tokens("-", stdin=text)
        self.assertEqual((1, b"1\n2\n"), (done.returncode, done.stdout))
        self.assertEqual(["batchd: line 2: not a JSON object", "batchd: line 3: not a JSON object", "batchd: line 4: not UTF-8"],
                         done.stderr.decode().splitlines())

    @needs_vocabulary
    def test_a_megabyte_without_a_break_takes_no_longer_than_one_with_breaks(self):
        # Quadratic would be hours.
        text = "".join(json.dumps({"text": c * 2_000_000}) + "\n" for c in ("a", " ", "\n", "漢", "1", "=", "\u0301"))
        found = counts("-", stdin=text)
        self.assertEqual((250_000, 666_667), (found[0], found[4]))

    def test_what_is_missing_is_said(self):
        done = tokens("-", stdin='{"text":"a"}\n', vocabulary="none")
        self.assertEqual((1, b""), (done.returncode, done.stdout))
        self.assertIn("deploy/fetch-vocabulary", done.stderr.decode())
        done = tokens("-", stdin='{"text":"a"}\n', vocabulary="/nonexistent")
        self.assertEqual(1, done.returncode)
        self.assertIn("/nonexistent/o200k_base.tiktoken", done.stderr.decode())
        done = tokens("--encoding", "p50k_base", "-")
        self.assertEqual(2, done.returncode)
        self.assertIn("p50k_base", done.stderr.decode())
        self.assertEqual(2, tokens("/nonexistent").returncode)


class Fetching(unittest.TestCase):
    def test_without_npm_it_says_so_and_changes_nothing(self):
        with tempfile.TemporaryDirectory() as place:
            for tool in ("bash", "dirname", "sha256sum", "nproc", "awk"):
                os.symlink(shutil.which(tool), f"{place}/{tool}")
            done = subprocess.run(["/bin/bash", ROOT / "deploy/fetch-vocabulary", f"{place}/vocabulary"], capture_output=True,
                                  env=environment(PATH=place))
            self.assertEqual(1, done.returncode)
            self.assertIn(b"npm is not here", done.stderr)
            self.assertFalse(os.path.exists(f"{place}/vocabulary"))

    @needs_vocabulary
    def test_what_is_there_and_right_is_left_alone(self):
        with tempfile.TemporaryDirectory() as place:
            for tool in ("bash", "dirname", "sha256sum"):
                os.symlink(shutil.which(tool), f"{place}/{tool}")
            done = subprocess.run(["/bin/bash", ROOT / "deploy/fetch-vocabulary", VOCABULARY], capture_output=True, env=environment(PATH=place))
            self.assertEqual((0, b""), (done.returncode, done.stderr))


class Reserved(Stack):
    """What a shard's file is taken to hold of the quota."""

    def tokens_of_shard(self, vocabulary):
        self.sim()
        daemon = self.serve(tokens=f'vocabulary_dir = "{vocabulary}"')
        self.enqueue([chat("How many apples are there? " * 20)] * 3)
        self.settled(3)
        return daemon, self.number_of("SELECT sum(tokens) FROM batchd.shard")

    @needs_vocabulary
    def test_a_small_file_is_counted_exactly(self):
        _, reserved = self.tokens_of_shard(VOCABULARY)
        expected = counts("-", stdin=json.dumps(chat("How many apples are there? " * 20)) + "\n")
        self.assertEqual(3 * expected[0], reserved)

    def test_without_a_vocabulary_it_is_estimated_and_the_log_says_so_once(self):
        for vocabulary in ("none", "/nonexistent"):
            with self.subTest(vocabulary):
                self.afresh()
                daemon, reserved = self.tokens_of_shard(vocabulary)
                self.assertGreater(reserved, 3 * len(chat("How many apples are there? " * 20)) // 4)
                until("the log's word", lambda: daemon.saw("tokens.estimated"))
                self.assertEqual(1, len(daemon.saw("tokens.estimated")))


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
