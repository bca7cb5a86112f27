"""The Batch API (PROTOCOL.md 4 to 6, 8, 11) in each dialect: creation, states, cancellation, lists, quota."""
import json
import unittest

from support import Api, Sim, SimTest, wait_for


class Creation(SimTest):
    def test_a_batch_is_created_as_the_dialect_does(self):
        statuses = {"azure": 200, "azure-v1": 201, "openai": 200}
        for api in self.each_dialect():
            file_id = api.uploaded(api.line())
            answer = api.create(file_id, metadata={"a": "b"})
            self.assertEqual(statuses[api.dialect], answer.status)
            batch = answer.json()
            self.assertRegex(batch["id"], "^batch_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$")
            self.assertEqual(("batch", "validating", file_id, "24h", {"a": "b"}, api.facts["batch_url"]),
                             tuple(batch[name] for name in ("object", "status", "input_file_id", "completion_window", "metadata", "endpoint")))
            self.assertEqual({"total": 0, "completed": 0, "failed": 0}, batch["request_counts"])
            self.assertEqual(86400, batch["expires_at"] - batch["created_at"])
            self.assertEqual(api.dialect != "openai", "deployment-enqueued-tokens" in answer.headers)
        self.assertEqual(201, Api(self.sim, "azure", "2025-04-01-preview").create(Api(self.sim, "azure").uploaded(Api(self.sim, "azure").line())).status)

    def test_bad_creations_are_refused(self):
        for api in self.each_dialect():
            file_id = api.uploaded(api.line())
            cases = [
                dict(input_file_id=...), dict(input_file_id=7), dict(input_file_id="file-none"), dict(endpoint=...), dict(endpoint="/chat"),
                dict(endpoint="/v1/assistants"), dict(completion_window=...), dict(completion_window=24), dict(colour="red"), dict(metadata=[]),
                dict(metadata={"a": 1}), dict(metadata={"a": None}), dict(metadata={"k" * 65: "v"}), dict(metadata={"k": "v" * 513}),
                dict(metadata={str(i): "v" for i in range(17)}), dict(output_expires_after={"anchor": "created_at"}),
                dict(output_expires_after={"anchor": "created_at", "seconds": 5}),
            ]
            for changes in cases:
                with self.subTest(dialect=api.dialect, changes=changes):
                    self.assertEqual(400, api.create(file_id, **changes).status)
            self.assertEqual(400, api.call("POST", "/batches", "{").status)
            self.assertEqual(400, api.call("POST", "/batches", "[]").status)
            self.assertIn(api.create(file_id, metadata={"k" * 64: "v" * 512, **{str(i): "" for i in range(15)}}).status, (200, 201))
            self.assertIn(api.create(file_id, metadata=None).status, (200, 201))

    def test_endpoints_are_those_of_the_dialect(self):
        known = {
            "azure": ["/chat/completions"],
            "azure-v1": ["/chat/completions", "/v1/chat/completions", "/v1/responses", "/responses"],
            "openai": ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/moderations"],
        }
        everything = {endpoint for endpoints in known.values() for endpoint in endpoints} | {"/embeddings"}
        for api in self.each_dialect():
            file_id = api.uploaded(api.line())
            accepted = {endpoint for endpoint in everything if api.create(file_id, endpoint=endpoint).status < 300}
            self.assertEqual(set(known[api.dialect]), accepted)

    def test_another_window_is_refused_at_once_or_by_failing(self):
        for api in self.each_dialect():
            answer = api.create(api.uploaded(api.line()), completion_window="1h")
            if api.dialect == "openai":
                self.assertEqual(400, answer.status)
            else:
                batch = api.wait(answer.json()["id"], "failed")
                self.assertEqual("completion_window", batch["errors"]["data"][0]["param"])

    def test_a_result_file_is_no_input(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line()), "completed")
        self.assertIn("purpose", api.create(batch["output_file_id"]).error["message"])

    def test_every_answer_has_an_id_of_its_own(self):
        for api in self.each_dialect():
            name = "x-request-id" if api.dialect == "openai" else "apim-request-id"
            seen = {api.call("GET", path).headers[name] for path in ("/batches", "/batches", "/batches/batch_none")}
            self.assertEqual(3, len(seen - {None}))

    def test_an_unknown_batch_is_404(self):
        for api in self.each_dialect():
            self.assertEqual(404, api.call("GET", "/batches/batch_none").status)
            self.assertEqual(404, api.call("POST", "/batches/batch_none/cancel").status)

    def test_the_same_input_again_is_a_second_batch_and_is_noted(self):
        api = Api(self.sim, "openai")
        file_id = api.uploaded(api.line())
        first, second = (api.create(file_id).json()["id"] for _ in range(2))
        self.assertNotEqual(first, second)
        api.wait(first, "completed")
        api.wait(second, "completed")
        ledger = self.sim.ledger()
        self.assertEqual((1, 2, 1, 1), (ledger["inputs_used_again"], ledger["requests_executed"], ledger["requests_executed_more_than_once"],
                                        ledger["prompts_executed_more_than_once"]))


class Results(SimTest):
    def test_a_completed_batch_has_its_files_and_counts(self):
        for api in self.each_dialect():
            batch = api.wait(api.created(*[api.line(f"r-{i}", f"prompt {i}") for i in range(50)]), "completed")
            self.assertEqual({"total": 50, "completed": 50, "failed": 0}, batch["request_counts"])
            self.assertTrue(batch["created_at"] <= batch["in_progress_at"] <= batch["finalizing_at"] <= batch["completed_at"])
            self.assertEqual([None] * 4, [batch[name] for name in ("failed_at", "expired_at", "cancelling_at", "cancelled_at")])
            output, errors = api.results(batch)
            ids = [json.loads(line)["custom_id"] for line in output]
            self.assertEqual({f"r-{i}" for i in range(50)}, set(ids))
            self.assertNotEqual([f"r-{i}" for i in range(50)], ids)
            self.assertEqual([], errors)
            if api.dialect == "openai":
                self.assertIsNone(batch["error_file_id"])
                self.assertEqual(batch["usage"]["total_tokens"], sum(json.loads(line)["response"]["body"]["usage"]["total_tokens"] for line in output))
            else:
                file = api.call("GET", "/files/" + batch["error_file_id"]).json()
                self.assertEqual((0, "batch_output"), (file["bytes"], file["purpose"]))
            file = api.call("GET", "/files/" + batch["output_file_id"]).json()
            self.assertEqual(len(api.content(batch["output_file_id"])), file["bytes"])
            self.assertEqual(api.content(batch["output_file_id"]), api.content(batch["output_file_id"]))

    def test_a_batch_whose_requests_all_fail_has_no_output(self):
        for api in self.each_dialect():
            batch = api.wait(api.created(api.line(body_user="sim:400")), "completed")
            self.assertIsNone(batch["output_file_id"])
            self.assertEqual({"total": 1, "completed": 0, "failed": 1}, batch["request_counts"])
            self.assertEqual(1, len(api.results(batch)[1]))


class Lists(SimTest):
    def test_batches_are_listed_newest_first_with_cursors(self):
        for api in self.each_dialect():
            self.sim.reset()
            file_id = api.uploaded(api.line())
            ids = [api.create(file_id).json()["id"] for _ in range(45)][::-1]
            first = api.call("GET", "/batches").json()
            self.assertEqual(ids[:20], [batch["id"] for batch in first["data"]])
            self.assertEqual(("list", ids[0], ids[19], True), tuple(first[name] for name in ("object", "first_id", "last_id", "has_more")))
            seen, after = [], {}
            while True:
                page = api.call("GET", "/batches", limit=7, **after).json()
                seen += [batch["id"] for batch in page["data"]]
                if not page["has_more"]:
                    break
                after = {"after": page["last_id"]}
            self.assertEqual(ids, seen)
            self.assertEqual(45, len(api.call("GET", "/batches", limit=100).json()["data"]))
            self.assertEqual([], api.call("GET", "/batches", after=ids[-1]).json()["data"])
            for query in (dict(limit=0), dict(limit=101), dict(limit="x"), dict(colour="red"), dict(after="batch_none")):
                self.assertEqual(400, api.call("GET", "/batches", **query).status, query)

    def test_azure_and_openai_do_not_see_each_other(self):
        api = Api(self.sim, "openai")
        batch_id = api.created(api.line())
        self.assertEqual([], Api(self.sim, "azure").call("GET", "/batches").json()["data"])
        self.assertEqual(404, Api(self.sim, "azure").call("GET", "/batches/" + batch_id).status)


class States(unittest.TestCase):
    def test_every_state_is_passed_in_order(self):
        with Sim("--validating", "150ms", "--running", "150ms", "--finalizing", "150ms") as sim:
            api = Api(sim, "azure")
            batch_id, seen = api.created(api.line(), api.line("r-2", body_user="sim:500")), []

            def over():
                batch = api.batch(batch_id)
                if batch["status"] not in seen:
                    seen.append(batch["status"])
                self.assertEqual(batch["status"] == "completed", batch["output_file_id"] is not None)
                self.assertEqual(0 if batch["status"] == "validating" else 2, batch["request_counts"]["total"])
                return batch["status"] == "completed"

            wait_for(over, "completed")
            self.assertEqual(["validating", "in_progress", "finalizing", "completed"], seen)

    def test_nothing_is_executed_before_the_batch_leaves_in_progress(self):
        with Sim("--validating", "0", "--running", "10m") as sim:
            api = Api(sim, "azure")
            api.wait(api.created(api.line()), "in_progress")
            self.assertEqual(0, sim.ledger()["requests_executed"])

    def test_cancelling_while_validating_runs_nothing(self):
        with Sim("--validating", "10m", "--cancelling", "100ms") as sim:
            for dialect in ("azure", "openai"):
                api = Api(sim, dialect)
                batch_id = api.created(api.line())
                answer = api.call("POST", f"/batches/{batch_id}/cancel")
                self.assertEqual((200, "cancelling"), (answer.status, answer.json()["status"]))
                batch = api.wait(batch_id, "cancelled")
                self.assertEqual([[], []], api.results(batch))
            self.assertEqual(0, sim.ledger()["requests_executed"])

    def test_cancelling_while_running_keeps_what_was_done(self):
        for arguments, in_error_file in (((), False), (("--cancelled-lines",), True)):
            with Sim("--validating", "0", "--running", "2s", "--cancelling", "0", *arguments) as sim:
                api = Api(sim, "openai")
                batch_id = api.created(*[api.line(str(i), str(i)) for i in range(1000)])
                wait_for(lambda: api.batch(batch_id)["request_counts"]["completed"] > 50, "progress")
                api.call("POST", f"/batches/{batch_id}/cancel")
                batch = api.wait(batch_id, "cancelled")
                output, errors = api.results(batch)
                self.assertTrue(50 < len(output) < 1000)
                self.assertEqual(1000 - len(output) if in_error_file else 0, len(errors))
                self.assertEqual({"total": 1000, "completed": len(output), "failed": 0}, batch["request_counts"])
                self.assertEqual(len(output), sim.ledger()["requests_executed"])
                self.assertTrue(all(json.loads(line)["error"]["code"] == "batch_cancelled" for line in errors))

    def test_cancelling_while_finalizing_keeps_everything(self):
        with Sim("--validating", "0", "--running", "0", "--finalizing", "10m", "--cancelling", "0") as sim:
            api = Api(sim, "openai")
            batch_id = api.created(api.line())
            api.wait(batch_id, "finalizing")
            api.call("POST", f"/batches/{batch_id}/cancel")
            self.assertEqual(1, len(api.results(api.wait(batch_id, "cancelled"))[0]))

    def test_cancelling_twice_is_fine_and_after_the_end_a_conflict(self):
        with Sim("--fast", "--cancelling", "200ms", "--running", "10m") as sim:
            for dialect in ("azure", "azure-v1", "openai"):
                api = Api(sim, dialect)
                batch_id = api.created(api.line())
                answers = [api.call("POST", f"/batches/{batch_id}/cancel") for _ in range(2)]
                self.assertEqual([(200, "cancelling")] * 2, [(answer.status, answer.json()["status"]) for answer in answers])
                api.wait(batch_id, "cancelled")
                answer = api.call("POST", f"/batches/{batch_id}/cancel")
                self.assertEqual(409, answer.status)
                self.assertEqual("Cannot cancel a batch with status 'cancelled'.", answer.error["message"])
                self.assertEqual(None if dialect == "openai" else "conflict", answer.error["code"])

    def test_a_batch_that_outlasts_its_window_expires_with_partial_results(self):
        with Sim("--validating", "0", "--running", "1s", "--window", "500ms") as sim:
            api = Api(sim, "openai")
            batch = api.wait(api.created(*[api.line(str(i), str(i)) for i in range(100)]), "expired")
            output, errors = api.results(batch)
            self.assertEqual(100, len(output) + len(errors))
            self.assertTrue(output and errors)
            self.assertEqual({"batch_expired"}, {json.loads(line)["error"]["code"] for line in errors})
            self.assertEqual(len(output), sim.ledger()["requests_executed"])

    def test_a_new_batch_is_listed_late(self):
        with Sim("--list-lag", "400ms") as sim:
            api = Api(sim, "openai")
            batch_id = api.created(api.line())
            self.assertEqual([], api.call("GET", "/batches").json()["data"])
            self.assertEqual(batch_id, api.batch(batch_id)["id"])
            wait_for(lambda: api.call("GET", "/batches").json()["data"], "the batch in the list")


class Quota(unittest.TestCase):
    def tokens_of(self, api, *lines):
        return sum((len(json.dumps(line["body"])) + 3) // 4 for line in lines)

    def test_the_late_mode_fails_the_batch(self):
        with Sim("--limit", "50", "--validating", "0", "--running", "10m", "--cancelling", "0", "--finalizing", "0") as sim:
            for dialect in ("azure", "openai"):
                api = Api(sim, dialect)
                line = api.line("r-1", "x" * 60)
                file_id, tokens = api.uploaded(line), self.tokens_of(api, line)
                self.assertTrue(25 < tokens <= 50)
                first = api.create(file_id)
                if dialect == "azure":
                    self.assertEqual((str(tokens), "50"), tuple(first.headers[f"deployment-{name}enqueued-tokens"] for name in ("", "maximum-")))
                refused = api.wait(api.create(file_id).json()["id"], "failed")
                self.assertEqual("token_limit_exceeded", refused["errors"]["data"][0]["code"])
                api.call("POST", f"/batches/{first.json()['id']}/cancel")
                api.wait(first.json()["id"], "cancelled")
                api.wait(api.create(file_id).json()["id"], "in_progress")
            ledger = sim.ledger()
            self.assertEqual({"azure/m": tokens, "openai/m": tokens}, ledger["max_enqueued"])
            self.assertEqual({"azure/m": 2 * tokens, "openai/m": 2 * tokens}, ledger["max_enqueued_asked"])
            self.assertEqual({"azure/m": 1, "openai/m": 1}, ledger["quota_refusals"])
            self.assertEqual([], ledger["violations"])

    def test_the_fast_mode_refuses_the_creation(self):
        with Sim("--deployment", "m=50", "--quota-mode", "fast", "--running", "10m") as sim:
            for dialect in ("azure", "azure-v1", "openai"):
                api = Api(sim, dialect)
                if dialect == "azure-v1":
                    sim.reset()
                file_id = api.uploaded(api.line("r-1", "x" * 60))
                self.assertLess(api.create(file_id).status, 300)
                answer = api.create(file_id)
                self.assertEqual(400, answer.status)
                self.assertIn("token_limit_exceeded", answer.error["message"])
            self.assertEqual(2, sim.ledger()["batches_created"])

    def test_tokens_are_given_back_at_the_end_or_somewhat_later(self):
        for lag in ("0", "400ms"):
            with Sim("--fast", "--release-lag", lag) as sim:
                api = Api(sim, "azure")
                api.wait(api.created(api.line()), "completed")
                self.assertEqual(lag == "0", sim.ledger()["enqueued"]["azure/m"] == 0)
                wait_for(lambda: sim.ledger()["enqueued"]["azure/m"] == 0, "the release")

    def test_tokens_can_be_counted_by_a_table(self):
        with Sim("--fast") as plain:
            table = plain.directory.name + "/tokens.json"
            with open(table, "w", encoding="utf-8") as file:
                json.dump({"hello wörld": 1234}, file)
            with Sim("--fast", "--count", "table", "--token-table", table) as sim:
                api = Api(sim, "openai")
                output, _ = api.results(api.wait(api.created(api.line("a", "hello wörld"), api.line("b", "12345678")), "completed"))
                tokens = {line["custom_id"]: line["response"]["body"]["usage"]["prompt_tokens"] for line in map(json.loads, output)}
                self.assertEqual({"a": 1234, "b": 2}, tokens)


if __name__ == "__main__":
    unittest.main()
