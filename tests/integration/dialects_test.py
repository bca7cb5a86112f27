#!/usr/bin/env python3
"""What a user of each dialect gets, end to end: the same job through every one, endpoints beside chat, large bodies, file places,
cancellation. What the simulator refuses would stand among its violations, and every test ends by looking at them."""

import base64
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import Stack, chat, until  # noqa: E402

DIALECTS = {
    "azure 2024-10-21": {"kind": "azure"},
    "azure 2025-03-01-preview": {"kind": "azure", "api_version": "2025-03-01-preview"},
    "azure 2025-04-01-preview": {"kind": "azure", "api_version": "2025-04-01-preview"},
    "azure-v1": {"kind": "azure-v1"},
    "openai": {"kind": "openai"},
    "like openai": {"kind": "openai", "below": "/gateway"},
}
KINDS = ("azure 2025-04-01-preview", "azure-v1", "openai")  # where the versions of a kind make no difference
PICTURE = "data:image/png;base64," + base64.b64encode(b"\x89PNG" + b"\0" * 60).decode()


class Dialects(Stack):
    def start(self, *sim, kind="azure", api_version="2024-10-21", below="", provider="", **options):
        self.sim(*(sim or ("--fast",)), *(("--base-path", below) if below else ()))
        text = self.config(kind=kind, **options).replace('api_version = "2024-10-21"', f'api_version = "{api_version}"')
        endpoint = f'endpoint = "http://127.0.0.1:{self.provider.port}'
        return self.serve(text.replace(endpoint, provider + "\n" + endpoint + below))

    def each(self, names=DIALECTS):
        for name in names:
            with self.subTest(name):
                self.afresh()
                yield DIALECTS[name]

    def enqueue_at(self, endpoint, bodies):
        for body in bodies:
            self.sql(f"INSERT INTO batchd.request (model, endpoint, body) VALUES ('gpt-4o-mini', '{endpoint}', $b${body}$b$)")

    def batch(self):
        return until("a batch", lambda: self.sql("SELECT batch_id FROM batchd.shard WHERE state = 'submitted'"))

    def calls(self, operation):
        return self.ledger()["calls"].get(operation, 0)


class Every(Dialects):
    def test_the_same_job_goes_through_every_dialect(self):
        picture = {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}}
        linked = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
        bodies = [
            chat("plain"),
            {"model": "x", "messages": [{"role": "user", "content": [{"type": "text", "text": "what is this?"}, picture, linked]}]},
            chat("structured", response_format={"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}),
            chat("tools", tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]),
        ]
        for dialect in self.each():
            self.start(**dialect)
            self.enqueue(bodies)
            self.settled(len(bodies))
            self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
            until("nothing is left there", lambda: self.ledger()["files_now"] == 0)

    def test_a_batch_is_cancelled_in_every_dialect(self):
        for dialect in self.each(KINDS):
            self.start("--fast", "--running", "10m", "--cancelling", "300ms", **dialect)
            self.enqueue([chat(f"prompt {i}") for i in range(5)])
            self.batch()
            self.assertEqual(5, self.number_of("SELECT batchd.cancel_job('default')"))
            self.settled(5)
            self.assertLessEqual({outcome for outcome, _, _ in self.outcomes().values()}, {"cancelled", "succeeded"})
            self.assertEqual(1, self.calls("cancel"))

    def test_a_batch_that_is_over_before_it_is_cancelled_keeps_its_answers_in_every_dialect(self):
        for dialect in self.each(KINDS):
            self.start("--fast", "--running", "10m", poll='interval = "3s"\nfile_interval = "50ms"', **dialect)
            self.enqueue([chat(f"prompt {i}") for i in range(5)])
            self.complete(self.batch())
            self.sql("SELECT batchd.cancel_job('default')")
            self.settled(5)
            self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))

    def test_a_quota_that_is_full_is_waited_for_in_both_manners_of_refusal_in_every_dialect(self):
        for manner in ("fast", "late"):
            for dialect in self.each(KINDS):
                self.start("--fast", "--running", "400ms", "--limit", "200", "--quota-mode", manner, "--enqueued-headers", "absent",
                           planner='linger = "50ms"\nmax_requests = 4', **dialect)
                self.enqueue([chat(f"prompt {i}") for i in range(12)])
                self.settled(12)
                self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()), "a refusal is no attempt")
                self.assertGreater(sum(self.ledger()["quota_refusals"].values()), 0)
                self.assertEqual(3, self.calls("upload"), "each file is sent once and used again")

    def test_a_refused_file_goes_again_when_room_is_there_and_not_when_a_timer_says(self):
        for manner in ("fast", "late"):
            with self.subTest(manner):
                self.afresh()
                self.start("--fast", "--running", "1s", "--limit", "120", "--quota-mode", manner, "--enqueued-headers", "absent",
                           planner='linger = "50ms"\nmax_requests = 2', retry='base_delay = "1h"\nmax_delay = "1h"\nsettle_window = "1s"')
                self.enqueue([chat(f"prompt {i}") for i in range(8)])
                self.settled(8)  # long before the five minutes that a full quota is waited for at most
                self.assertGreater(sum(self.ledger()["quota_refusals"].values()), 0)
                self.assertEqual(4, self.calls("upload"))


class Endpoints(Dialects):
    def test_responses_embeddings_and_completions_are_batches_of_their_own_at_openai(self):
        self.start(kind="openai")
        self.enqueue_at("/v1/chat/completions", ['{"messages": [{"role": "user", "content": "one"}]}'])
        self.enqueue_at("/v1/responses", ['{"input": "two", "text": {"format": {"type": "text"}}}'])
        self.enqueue_at("/v1/embeddings", ['{"input": ["three", "four"]}'])
        self.enqueue_at("/v1/completions", ['{"prompt": "five"}'])
        self.settled(4)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
        self.assertEqual(4, self.ledger()["batches_created"], "what shares a file shares its endpoint")

    def test_responses_are_taken_by_azure_v1(self):
        self.start(kind="azure-v1")
        self.enqueue_at("/v1/responses", ['{"input": "two"}', '{"input": "three"}'])
        self.settled(2)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))

    def test_an_endpoint_that_no_deployment_takes_waits_visibly_and_is_never_sent(self):
        daemon = self.start(planner='linger = "50ms"\nunroutable_after = "1h"')
        self.enqueue_at("/v1/embeddings", ['{"input": "a"}', '{"input": "b"}'])
        self.enqueue([chat("meanwhile")])
        self.settled(1)
        until("it is shown", lambda: daemon.metric('batchd_unroutable_requests{model="gpt-4o-mini"}') == 2)
        self.assertEqual(1, self.ledger()["files_uploaded"])
        self.assertEqual("2", self.sql("SELECT count(*) FROM batchd.request_status WHERE state = 'queued'"))
        daemon.kill()
        self.serve(self.config(planner='linger = "50ms"\nunroutable_after = "100ms"'))
        self.settled(3)
        self.assertEqual("2", self.sql("SELECT count(*) FROM batchd.result WHERE error->>'code' = 'no_deployment' AND error->>'message' LIKE "
                                       "'%gpt-4o-mini at /v1/embeddings'"))
        self.assertEqual(1, self.ledger()["files_uploaded"], "never sent")

    def test_a_deployment_that_takes_the_endpoint_is_found_among_those_that_serve_the_model(self):
        self.sim("--fast")
        key = self.place / "key"
        text = self.config(kind="azure")
        text += f'[[provider]]\nname = "other"\nkind = "openai"\nendpoint = "http://127.0.0.1:{self.provider.port}"\napi_key_file = "{key}"\n'
        text += '[[deployment]]\nname = "other"\nprovider = "other"\nmodel = "gpt-4o-mini"\nenqueued_token_limit = "1B"\n'
        self.serve(text)
        self.enqueue_at("/v1/embeddings", [f'{{"input": "{i}"}}' for i in range(5)])
        self.settled(5)
        self.assertEqual("other", self.sql("SELECT DISTINCT deployment FROM batchd.shard"))

    def test_embeddings_are_split_over_batches_by_the_number_of_their_texts(self):
        self.start(kind="openai", planner='linger = "1s"')
        body = '{"input": [' + ", ".join(['"x"'] * 2000) + "]}"
        self.sql(f"INSERT INTO batchd.request (model, endpoint, body) SELECT 'gpt-4o-mini', '/v1/embeddings', $b${body}$b$ FROM generate_series(1, 60)")
        self.settled(60)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
        self.assertEqual(3, self.ledger()["files_uploaded"], "a batch may have 50,000 texts")

    def test_pictures_of_twenty_megabytes_are_split_over_files_by_their_bytes(self):
        self.start(planner='linger = "100ms"\nmax_bytes = "50MB"')
        url = "data:image/png;base64," + "iVBOR" * 4_000_000
        bodies = [{"messages": [{"role": "user", "content": [{"type": "text", "text": f"{i}"}, {"type": "image_url", "image_url": {"url": url}}]}]}
                  for i in range(5)]
        self.enqueue(bodies)
        self.settled(5)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
        ledger = self.ledger()
        self.assertGreaterEqual(ledger["files_uploaded"], 3, "two of them fit in a file")
        self.assertGreater(ledger["bytes_uploaded"], 100_000_000)


class Places(Dialects):
    """File places: `max_files` here is what the simulator would refuse to go beyond, so that a refusal would show."""

    def test_uploads_stay_below_the_ceiling_with_other_peoples_files_counted(self):
        daemon = self.start("--fast", "--running", "200ms", "--max-files", "24", "--foreign", "6", provider="max_files = 24",
                            planner='linger = "50ms"\nmax_requests = 5')
        self.enqueue([chat(f"prompt {i}") for i in range(60)])
        self.settled(60)
        until("the others are counted", lambda: (daemon.metric('batchd_file_slots{provider="sim"}') or 0) >= 12)
        answers = self.ledger()["answers"]
        self.assertEqual({"201": 12}, answers["upload"], "no upload was refused")
        self.assertTrue(daemon.saw("upload.no_file_slot"))

    def test_files_kept_for_a_time_go_early_when_places_run_low(self):
        self.start("--fast", "--max-files", "12", provider="max_files = 12", retention='remote_delay = "1h"', planner='linger = "50ms"\nmax_requests = 5')
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.settled(40)
        self.assertEqual({"201": 8}, self.ledger()["answers"]["upload"])

    def test_an_expiry_raises_the_ceiling_where_the_version_has_one(self):
        for dialect in self.each(("azure 2025-04-01-preview", "azure-v1")):
            self.start("--fast", "--running", "10m", "--max-files", "2", planner='linger = "50ms"\nmax_requests = 1', **dialect)
            self.enqueue([chat(f"prompt {i}") for i in range(4)])
            until("more batches than files without an expiry", lambda: self.ledger()["batches_created"] == 4)
            self.assertEqual(4, self.calls("upload"), "none was refused")
        self.afresh()
        daemon = self.start("--fast", "--max-files", "2", "--foreign", "1", provider='file_expiry = "0s"', **DIALECTS["azure-v1"])
        self.enqueue([chat("one")])
        until("refused without an expiry", lambda: daemon.saw("upload.failed"))
        self.conserved()

    def test_foreign_files_are_never_touched_however_full_it_is(self):
        daemon = self.start("--fast", "--max-files", "20", "--foreign", "10", provider="max_files = 20")
        self.enqueue([chat("one")])
        until("it waits for a place", lambda: daemon.saw("upload.no_file_slot") or daemon.saw("upload.failed"))
        self.conserved()
        ledger = self.ledger()
        self.assertEqual((0, []), (ledger["files_deleted"], ledger["violations"]))


class Cancelling(Dialects):
    def test_a_batch_that_is_cancelling_for_longer_than_ten_minutes_is_waited_for(self):
        daemon = self.start("--fast", "--running", "10m", "--cancelling", "11m")
        self.enqueue([chat(f"prompt {i}") for i in range(5)])
        batch = self.batch()
        self.sql("SELECT batchd.cancel_job('default')")
        until("it is cancelling", lambda: [line for line in daemon.saw("batch.status") if line["status"] == "cancelling"])
        # Eleven minutes are too long to wait for; what is shown is that nobody counts them: many polls later nothing has changed.
        polled = self.calls("list")
        until("many polls", lambda: self.calls("list") > polled + 20)
        self.assertEqual(("submitted", 1), (self.sql("SELECT state FROM batchd.shard"), self.calls("cancel")), "asked once, and still waited for")
        self.release(batch)
        self.settled(5)

    def test_a_second_wish_for_the_same_batch_is_no_second_cancellation(self):
        self.start("--fast", "--running", "10m", "--cancelling", "2s")
        ids = self.enqueue([chat(f"prompt {i}") for i in range(5)])
        self.batch()
        self.sql("SELECT batchd.cancel_job('default')")
        until("cancelled once", lambda: self.calls("cancel") == 1)
        for id in ids:
            self.sql(f"SELECT batchd.cancel_request({id})")
        self.sql("SELECT batchd.cancel_job('default')")
        self.settled(5)
        self.assertEqual([], self.ledger()["violations"])


if __name__ == "__main__":
    unittest.main()
