#!/usr/bin/env python3
"""Files at the provider that nobody will ever ask for: found by their names and deleted, and nothing else is. The simulator counts files."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, chat, until  # noqa: E402
from support import Api  # noqa: E402  (of tests/sim, which stack.py has made findable)

DIALECTS = {"azure": "azure", "azure-v1": "azure-v1", "openai": "openai"}


class Orphans(Stack):
    def files(self):
        return self.ledger()["files_now"]

    def named(self, kind, *names):
        """Uploads somebody's files under these names."""
        api = Api(self.provider, DIALECTS[kind])
        return [api.upload(b"{}\n", filename=name).json()["id"] for name in names]

    def ours(self, shard, attempt=1):
        return f"batchd-{self.sql('SELECT id FROM batchd.instance')}-{shard}-{attempt}.jsonl"

    def swept(self):
        """Looks through the files once more and waits until that is done."""
        until("an earlier look is over", lambda: self.sql("SELECT every(due_at > now()) FROM batchd.orphan_search") == "t")
        self.sql("UPDATE batchd.orphan_search SET due_at = now() - interval '1 s', suspected_at = clock_timestamp()")
        until("the files were looked through", lambda: self.sql("SELECT every(due_at > now()) FROM batchd.orphan_search") == "t")

    def deleted(self, *daemons):
        return [line["filename"] for daemon in daemons for line in daemon.saw("file.orphan_deleted")]


class Lost(Orphans):
    def test_an_upload_whose_answer_was_lost_leaves_nothing_behind(self):
        for fault in ("reset_after", "500_after", "502_html_after", "empty", "garbage"):
            with self.subTest(fault):
                self.afresh()
                self.sim("--fast")
                self.fault(operation="upload", fault=fault)
                daemon = self.serve()
                self.enqueue([chat(f"prompt {i}") for i in range(20)])
                self.settled(20)
                until("it is found", lambda: self.deleted(daemon))
                until("no file is left", lambda: self.files() == 0)
                self.assertEqual([self.ours(1)], self.deleted(daemon))
                self.assertEqual(20, self.ledger()["requests_executed"])

    def test_one_that_outlived_its_uploader_is_left_alone_while_that_lives_and_found_when_it_is_dead(self):
        self.sim("--fast")
        self.fault(operation="upload", fault="hang_after")
        first = self.serve(lease='ttl = "1s"')
        self.enqueue([chat(f"prompt {i}") for i in range(20)])
        until("the file", lambda: self.files() == 1)
        looks = lambda: self.ledger()["calls"].get("files", 0)  # noqa: E731
        until("the look of the start", lambda: looks() > 0)
        seen = looks()
        self.sql("UPDATE batchd.orphan_search SET due_at = now(), suspected_at = clock_timestamp()")
        until("another look", lambda: looks() > seen)
        self.assertEqual(1, self.files(), "somebody may be about to record it")
        self.assertEqual([], self.deleted(first))
        first.kill()
        second = self.serve(lease='ttl = "1s"')
        self.settled(20)
        until("no file is left", lambda: self.files() == 0)
        self.assertEqual([self.ours(1)], self.deleted(second))
        self.assertEqual(20, self.ledger()["requests_executed"])

    def test_kept_files_are_those_that_were_recorded(self):
        self.sim("--fast")
        self.fault(operation="upload", fault="reset_after")
        daemon = self.serve(retention='remote_files = "keep"')
        self.enqueue([chat("kept")])
        self.settled(1)
        until("the lost one is found", lambda: self.deleted(daemon))
        self.named("azure", self.ours(77))
        self.swept()
        recorded = self.number_of("SELECT num_nonnulls(input_file, output_file, error_file) FROM batchd.shard")
        self.assertEqual(recorded + 1, self.files(), "the recorded ones, and one of a shard that was retired")


class Others(Orphans):
    def test_nothing_is_deleted_that_is_not_certainly_ours_and_nobodys(self):
        for kind in DIALECTS:
            with self.subTest(kind):
                self.afresh()
                self.sim("--fast", "--foreign", "3", "--running", "1h")
                instance = self.sql("SELECT id FROM batchd.instance")
                daemon = self.serve(kind=kind)
                self.enqueue([chat("runs")])
                until("a batch", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted'") == 1)
                self.swept()
                before = self.files()
                self.named(kind, f"batchd-other-1-1.jsonl", f"batchd-{instance}0-1-1.jsonl", f"batchd-{instance[:-1]}-1-1.jsonl",
                           f"batchd-{instance}-1.jsonl", f"batchd-{instance}-x-1.jsonl", f"batchd-{instance}-01-1.jsonl", "prompts.jsonl")
                self.named(kind, self.ours(1))  # the shard has recorded another one
                self.swept()
                self.assertEqual([self.ours(1)], self.deleted(daemon))
                self.assertEqual(before + 7, self.files())
                self.assertEqual([], self.ledger()["violations"])
                self.assertEqual(0, self.ledger()["inputs_deleted_while_needed"])
                daemon.kill()


class Many(Orphans):
    def test_all_of_them_over_many_pages_by_one_of_two_replicas(self):
        for kind, page in (("openai", "10"), ("azure", "1000")):
            with self.subTest(kind):
                self.afresh()
                self.sim("--fast", "--page-size", page, "--foreign", "5")
                self.named(kind, *[self.ours(1000 + i) for i in range(45)])
                foreign = self.files() - 45
                daemons = [self.serve(kind=kind) for _ in range(2)]
                until("all are gone", lambda: self.files() == foreign)
                until("it is logged", lambda: len(self.deleted(*daemons)) == 45)
                self.assertEqual({"200"}, set(self.ledger()["answers"]["delete"]), "each was deleted once")
                self.assertEqual(1, self.number_of("SELECT count(owner) FROM batchd.role WHERE name = 'files:sim'"))
                self.assertEqual([], self.ledger()["violations"])

    def test_a_provider_in_trouble_is_asked_again_later(self):
        self.sim("--fast")
        self.named("azure", *[self.ours(1000 + i) for i in range(3)])
        self.fault(operation="files", fault="500_before", times=2)
        self.fault(operation="delete", fault="429", times=2)
        daemon = self.serve()
        until("all are gone", lambda: self.files() == 0)
        self.assertEqual("list_files", daemon.saw("orphans.failed")[0]["step"])
        self.assertEqual({"200": 3, "429": 2}, self.ledger()["answers"]["delete"])


if __name__ == "__main__":
    unittest.main()
