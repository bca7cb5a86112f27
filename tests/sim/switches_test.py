"""Switches by which the simulator leans to one side of what the sources dispute (PROTOCOL.md 17, 18, 19's last paragraph), and the life of files."""
import json
import pathlib
import tempfile
import unittest

from support import Api, Sim, SimTest, wait_for


class Codes(unittest.TestCase):
    def test_success_has_any_status(self):
        with Sim("--upload-status", "202", "--create-status", "203") as sim:
            for dialect in ("azure", "openai"):
                api = Api(sim, dialect)
                answer = api.upload(api.file_of(api.line()))
                self.assertEqual((202, 203), (answer.status, api.create(answer.json()["id"]).status))

    def test_another_window_is_refused_at_once_or_fails(self):
        for how in ("sync", "async"):
            with Sim("--fast", "--window-refusal", how) as sim:
                for dialect in ("azure", "openai"):
                    api = Api(sim, dialect)
                    answer = api.create(api.uploaded(api.line()), completion_window="1h")
                    if how == "sync":
                        self.assertEqual(400, answer.status)
                    else:
                        self.assertEqual("invalid_request", api.wait(answer.json()["id"], "failed")["errors"]["data"][0]["code"])

    def test_limits_are_set(self):
        with Sim("--fast", "--max-requests", "2", "--max-upload", "1000") as sim:
            api = Api(sim, "azure")
            errors = api.wait(api.created(*[api.line(str(i)) for i in range(3)]), "failed")["errors"]["data"]
            self.assertEqual("too_many_tasks", errors[0]["code"])
            api.wait(api.created(api.line("a"), api.line("b")), "completed")
            self.assertEqual(413, api.upload(b"x" * 1001).status)

    def test_rules_can_be_passed_over(self):
        with Sim("--fast", *[word for rule in ("content-type", "filename", "bom", "embeddings") for word in ("--accept", rule)]) as sim:
            api = Api(sim, "azure")
            file_id = api.upload(b"\xef\xbb\xbf" + api.file_of(api.line()), content_type=None, filename="in.txt").json()["id"]
            api.wait(api.create(file_id).json()["id"], "completed")
            line = api.line(url="/embeddings", body={"model": "m", "input": "x"})
            api.wait(api.created(line, endpoint="/embeddings"), "completed")

    def test_what_only_resembles_openai_answers_below_a_path_too(self):
        with Sim("--fast", "--base-path", "/gateway") as sim:
            api = Api(sim, "openai")
            api.facts["base"] = "/gateway/v1"
            api.wait(api.created(api.line()), "completed")

    def test_calls_are_written_down_without_their_keys(self):
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place, "calls")
            with Sim("--fast", "--record", str(file)) as sim:
                api = Api(sim, "azure")
                api.created(api.line(content="x" * 100_000))
                api.call("GET", "/batches", limit=3)
            calls = [json.loads(line) for line in file.read_text().splitlines()]
            self.assertEqual([("POST", 201), ("POST", 200), ("GET", 200)], [(call["method"], call["status"]) for call in calls])
            upload, create, listed = calls
            self.assertEqual(16 * 1024, len(upload["body"]), "the beginning of it")
            self.assertGreater(upload["length"], 100_000)
            self.assertTrue(upload["headers"]["content-type"].startswith("multipart/form-data"))
            self.assertEqual("24h", json.loads(create["body"])["completion_window"])
            self.assertEqual({"api-version": "2024-10-21", "limit": "3"}, listed["query"])
            self.assertEqual("api-key", listed["shown"])
            self.assertNotIn('"k"', file.read_text())

    def test_a_window_can_pass_without_end(self):
        with Sim("--validating", "0", "--running", "600ms", "--window", "100ms", "--never-expire") as sim:
            api = Api(sim, "azure")
            batch = api.wait(api.created(api.line()), "completed")
            self.assertGreaterEqual(batch["completed_at"], batch["expires_at"])

    def test_an_error_file_without_bytes_is_there_or_not(self):
        for how in ("always", "never", "dialect"):
            with Sim("--fast", "--empty-error-file", how) as sim:
                for dialect in ("azure", "openai"):
                    api = Api(sim, dialect)
                    file_id = api.wait(api.created(api.line()), "completed")["error_file_id"]
                    self.assertEqual(how == "always" or (how == "dialect" and dialect == "azure"), file_id is not None)
                    if file_id:
                        self.assertEqual(b"", api.content(file_id))


class Files(SimTest):
    def test_a_file_can_end_in_any_state(self):
        for api in self.each_dialect():
            self.sim.fault(operation="upload", fault="file_state", state="error", details="it is broken", delay="1s")
            answer = api.upload(api.file_of(api.line())).json()
            self.assertEqual("pending", answer["status"])
            self.assertIn("pending", api.create(answer["id"]).error["message"])

            def failed():
                file = api.call("GET", "/files/" + answer["id"]).json()
                return file["status"] == "error" and file

            self.assertEqual("it is broken", wait_for(failed, "the error")["status_details"])
            self.assertIn("'error' state", api.create(answer["id"]).error["message"])

    def test_a_files_state_can_be_set_by_hand(self):
        api = Api(self.sim, "azure")
        file_id = api.uploaded(api.line())
        for state in ("running", "deleted", "error", "processed"):
            self.sim.control(f"files/{file_id}/state", state=state)
            self.assertEqual(state, api.call("GET", "/files/" + file_id).json()["status"])
            self.assertEqual(state == "processed", api.create(file_id).status == 200)
        self.sim.control(f"files/{file_id}/expire")
        self.assertEqual(404, api.call("GET", "/files/" + file_id).status)
        self.assertEqual(404, self.sim.request("POST", "/sim/files/file-none/expire", "{}").status)
        other = api.uploaded(api.line())
        self.assertEqual(400, self.sim.request("POST", f"/sim/files/{other}/state", "{}").status)
        self.assertEqual(404, self.sim.request("POST", f"/sim/files/{other}/paint", "{}").status)

    def test_a_result_can_expire_before_it_is_read(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line()), "completed")
        self.sim.control(f"files/{batch['output_file_id']}/expire")
        self.assertEqual(404, api.call("GET", f"/files/{batch['output_file_id']}/content").status)

    def test_the_output_expires_as_asked(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line(), output_expires_after={"anchor": "created_at", "seconds": 3600}), "completed")
        file = api.call("GET", "/files/" + batch["output_file_id"]).json()
        self.assertEqual(3600, file["expires_at"] - file["created_at"])

    def test_a_missing_download_can_appear_after_some_calls(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line()), "completed")
        self.sim.fault(operation="download", fault="404", times=3)
        path = f"/files/{batch['output_file_id']}/content"
        self.assertEqual([404, 404, 404, 200], [api.call("GET", path).status for _ in range(4)])


class FileSwitches(unittest.TestCase):
    def test_a_file_is_pending_then_running(self):
        with Sim("--file-pending", "500ms", "--file-running", "500ms") as sim:
            api = Api(sim, "azure")
            file_id, seen = api.uploaded(api.line()), []

            def processed():
                status = api.call("GET", "/files/" + file_id).json()["status"]
                if status not in seen:
                    seen.append(status)
                return status == "processed"

            wait_for(processed, "processed")
            self.assertEqual(["pending", "running", "processed"], seen)

    def test_results_can_be_seen_late(self):
        with Sim("--fast", "--results-invisible", "1s") as sim:
            api = Api(sim, "azure")
            path = f"/files/{api.wait(api.created(api.line()), 'completed')['output_file_id']}/content"
            self.assertEqual(404, api.call("GET", path).status)
            wait_for(lambda: api.call("GET", path).status == 200, "the result")

    def test_every_file_can_expire(self):
        with Sim("--fast", "--file-expiry", "2s") as sim:
            api = Api(sim, "azure")
            batch = api.wait(api.created(api.line()), "completed")
            self.assertEqual(200, api.call("GET", "/files/" + batch["output_file_id"]).status)
            wait_for(lambda: api.call("GET", "/files/" + batch["output_file_id"]).status == 404, "the expiry of the result")
            wait_for(lambda: api.call("GET", "/files").json()["data"] == [], "the expiry of all")
            self.assertEqual(0, sim.ledger()["files_now"])

    def test_the_expiry_of_an_upload_follows_the_switches(self):
        def status(sim, style, seconds):
            api = Api(sim, "azure", "2025-04-01-preview")
            names = {"dotted": "expires_after.%s", "bracketed": "expires_after[%s]"}[style]
            fields = (("purpose", "batch"), (names % "anchor", "created_at"), (names % "seconds", seconds))
            return api.upload(api.file_of(api.line()), fields=fields).status

        for fields in ("dotted", "bracketed", "both"):
            with Sim("--expiry-fields", fields, "--expiry-min", "1h") as sim:
                for style in ("dotted", "bracketed"):
                    self.assertEqual(201 if fields in (style, "both") else 400, status(sim, style, 3600))
                self.assertEqual(400, status(sim, fields if fields != "both" else "dotted", 3599))

    def test_a_file_is_gone_when_its_own_expiry_has_passed(self):
        with Sim("--expiry-min", "1s") as sim:
            api = Api(sim, "azure", "2025-04-01-preview")
            fields = (("purpose", "batch"), ("expires_after.anchor", "created_at"), ("expires_after.seconds", 1))
            file_id = api.upload(api.file_of(api.line()), fields=fields).json()["id"]
            other = api.uploaded(api.line())
            wait_for(lambda: api.call("GET", "/files/" + file_id).status == 404, "the expiry")
            self.assertEqual(200, api.call("GET", "/files/" + other).status)

    def test_files_with_an_expiry_have_a_ceiling_of_their_own(self):
        with Sim("--max-files", "1", "--max-files-expiring", "2") as sim:
            api = Api(sim, "azure", "2025-04-01-preview")
            fields = (("purpose", "batch"), ("expires_after.anchor", "created_at"), ("expires_after.seconds", 1209600))
            api.uploaded(api.line())
            self.assertEqual("quotaExceeded", api.upload(api.file_of(api.line())).error["code"])
            self.assertEqual([201, 400], [api.upload(api.file_of(api.line()), fields=fields).status for _ in range(2)])


if __name__ == "__main__":
    unittest.main()
