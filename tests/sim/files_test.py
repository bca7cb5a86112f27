"""The Files API (PROTOCOL.md 2) in each dialect."""
import os
import re
import unittest

from support import Api, Sim, SimTest, wait_for


class Files(SimTest):
    def test_an_upload_is_answered_as_the_dialect_does(self):
        for api in self.each_dialect():
            answer = api.upload(api.file_of(api.line()))
            self.assertEqual(201 if api.dialect == "azure" else 200, answer.status)
            file = answer.json()
            self.assertRegex(file["id"], "^file-[0-9a-f]{32}$")
            self.assertEqual(("file", "batch", "in.jsonl", "processed"), (file["object"], file["purpose"], file["filename"], file["status"]))
            self.assertEqual(len(api.file_of(api.line())), file["bytes"])
            if api.dialect == "azure":
                self.assertIn("/openai/files/" + file["id"], answer.headers["Location"])
            self.assertEqual(file, api.call("GET", "/files/" + file["id"]).json())

    def test_content_comes_back_byte_for_byte(self):
        for api in self.each_dialect():
            for content in (b"", b"x", b"\r\n--bn\r\n--bnX\r\n\r\n-", bytes(range(256)) * 5000):
                self.assertEqual(content, api.content(api.upload(content).json()["id"]))

    def test_the_form_is_checked(self):
        for api in self.each_dialect():
            content = api.file_of(api.line())
            cases = [
                (dict(filename="in.json"), "Must be .jsonl"),
                (dict(filename=None), "Must be .jsonl"),
                (dict(fields=()), "purpose"),
                (dict(fields=(("purpose", "assistants"),)), "assistants"),
                (dict(fields=(("purpose", "batch"), ("purpose", "batch"))), "two parts"),
                (dict(fields=(("purpose", "batch"), ("colour", "red"))), "colour"),
            ]
            if api.dialect != "openai":
                cases.append((dict(content_type=None), "content type"))
            for form, fragment in cases:
                with self.subTest(dialect=api.dialect, form=form):
                    answer = api.upload(content, **form)
                    self.assertEqual(400, answer.status)
                    self.assertIn(fragment, answer.error["message"])
            self.assertEqual(400, api.upload(None).status)
            self.assertEqual(len(cases) + 1, self.sim.ledger()["violation_count"])
            self.sim.reset()

    def test_a_body_that_is_no_form_is_refused(self):
        api = Api(self.sim, "openai")
        for body, kind in ((b"{}", "application/json"), (b"x", "multipart/form-data"), (b"junk", "multipart/form-data; boundary=bnd"),
                           (api.form(b"x")[:-9], "multipart/form-data; boundary=bnd")):
            self.assertEqual(400, api.call("POST", "/files", body, {"Content-Type": kind}).status)

    def test_openai_takes_a_file_part_without_content_type(self):
        api = Api(self.sim, "openai")
        self.assertEqual(200, api.upload(b"{}", content_type=None).status)

    def test_a_chunked_upload_is_understood(self):
        api = Api(self.sim, "openai")
        content = api.file_of(*[api.line(str(i)) for i in range(1000)])
        body = api.form(content)
        pieces = (body[i : i + 1000] for i in range(0, len(body), 1000))
        answer = api.call("POST", "/files", pieces, {"Content-Type": "multipart/form-data; boundary=bnd"})
        self.assertEqual(200, answer.status, answer.body)
        self.assertEqual(content, api.content(answer.json()["id"]))

    def test_expiry_fields_follow_the_dialect(self):
        bracketed, dotted = ("expires_after[anchor]", "expires_after[seconds]"), ("expires_after.anchor", "expires_after.seconds")
        cases = [
            (Api(self.sim, "openai"), bracketed, 3600, 200),
            (Api(self.sim, "openai"), bracketed, 3599, 400),
            (Api(self.sim, "openai"), dotted, 3600, 400),
            (Api(self.sim, "azure-v1"), bracketed, 1209600, 200),
            (Api(self.sim, "azure-v1"), dotted, 1209600, 200),
            (Api(self.sim, "azure-v1"), bracketed, 3600, 400),
            (Api(self.sim, "azure"), dotted, 1209600, 400),
            (Api(self.sim, "azure", "2025-04-01-preview"), dotted, 1209600, 201),
        ]
        for api, names, seconds, status in cases:
            with self.subTest(dialect=api.dialect, names=names, seconds=seconds):
                answer = api.upload(b"{}", fields=(("purpose", "batch"), (names[0], "created_at"), (names[1], str(seconds))))
                self.assertEqual(status, answer.status, answer.body)
                if status < 300:
                    self.assertEqual(seconds, answer.json()["expires_at"] - answer.json()["created_at"])

    def test_a_file_above_the_limit_is_refused_with_413(self):
        api = Api(self.sim, "azure")
        content = b"x" * 209_715_200
        self.assertEqual(201, api.upload(content).status)
        self.assertEqual(413, api.upload(content + b"x").status)
        answer = api.call("POST", "/files", b"", {"Content-Type": "multipart/form-data; boundary=bnd", "Content-Length": "0"})
        self.assertEqual(400, answer.status)

    def test_deletion_is_answered_once(self):
        for api in self.each_dialect():
            file_id = api.uploaded(api.line())
            answer = api.call("DELETE", "/files/" + file_id)
            self.assertEqual((200, {"object": "file", "id": file_id, "deleted": True}), (answer.status, answer.json()))
            for method, path in (("DELETE", "/files/" + file_id), ("GET", "/files/" + file_id), ("GET", f"/files/{file_id}/content")):
                self.assertEqual(404, api.call(method, path).status)
            self.assertEqual(400, api.create(file_id).status)

    def test_results_outlive_their_input_and_deletion_is_noted(self):
        api = Api(self.sim, "openai")
        file_id = api.uploaded(api.line())
        batch = api.wait(api.create(file_id).json()["id"], "completed")
        api.call("DELETE", "/files/" + file_id)
        self.assertEqual(1, len(api.results(batch)[0]))
        self.assertEqual(0, self.sim.ledger()["inputs_deleted_while_needed"])

    def test_azure_and_openai_are_apart_while_azures_dialects_share(self):
        file_id = Api(self.sim, "azure").uploaded(Api(self.sim, "azure").line())
        self.assertEqual(200, Api(self.sim, "azure-v1").call("GET", "/files/" + file_id).status)
        self.assertEqual(404, Api(self.sim, "openai").call("GET", "/files/" + file_id).status)


class Listing(SimTest):
    def test_files_are_listed_newest_first_with_cursors(self):
        for api in (Api(self.sim, "openai"), Api(self.sim, "azure-v1"), Api(self.sim, "azure", "2025-04-01-preview")):
            self.sim.reset()
            ids = [api.uploaded(api.line()) for _ in range(5)][::-1]
            whole = api.call("GET", "/files").json()
            self.assertEqual(ids, [file["id"] for file in whole["data"]])
            page = api.call("GET", "/files", limit=2, after=ids[1]).json()
            self.assertEqual(ids[2:4], [file["id"] for file in page["data"]])
            if api.dialect == "azure":
                self.assertEqual({"object", "data"}, set(page))
            else:
                self.assertEqual((ids[2], ids[3], True), (page["first_id"], page["last_id"], page["has_more"]))
            self.assertEqual(ids[::-1], [file["id"] for file in api.call("GET", "/files", order="asc").json()["data"]])
            self.assertEqual([], api.call("GET", "/files", purpose="batch_output").json()["data"])
            for query in (dict(limit=0), dict(limit=10001), dict(limit="x"), dict(order="up"), dict(colour="red"), dict(after="file-none")):
                self.assertEqual(400, api.call("GET", "/files", **query).status, query)

    def test_the_dated_ga_version_knows_no_cursors(self):
        api = Api(self.sim, "azure")
        ids = [api.uploaded(api.line()) for _ in range(3)][::-1]
        answer = api.call("GET", "/files", limit=1, after=ids[0]).json()
        self.assertEqual(ids, [file["id"] for file in answer["data"]])
        self.assertEqual({"object", "data"}, set(answer))


class Gateway(SimTest):
    def test_dated_azure_requires_a_known_api_version(self):
        api = Api(self.sim, "azure")
        for version in ("", "2024-07-18", "v1"):
            answer = api.call("GET", "/files", **{"api-version": version})
            self.assertEqual((404, {"error": {"code": "404", "message": "Resource not found"}}), (answer.status, answer.json()))
        self.assertEqual(404, self.sim.request("GET", "/openai/files", headers=api.headers).status)
        self.assertEqual(200, api.call("GET", "/files", **{"api-version": "2025-04-01-preview"}).status)
        v1 = Api(self.sim, "azure-v1")
        self.assertEqual([200, 200, 200, 404], [v1.call("GET", "/files", **query).status for query in ({}, {"api-version": "v1"}, {"api-version": "preview"}, {"api-version": "2024-10-21"})])

    def test_a_key_is_required_in_the_dialects_form(self):
        for api in self.each_dialect():
            api.headers = {}
            answer = api.call("GET", "/files")
            self.assertEqual(401, answer.status)
            self.assertEqual("invalid_request_error" if api.dialect == "openai" else "unauthorized", answer.error["type" if api.dialect == "openai" else "code"])
            api.headers = {"Authorization": "Bearer k"}
            self.assertEqual(200, api.call("GET", "/files").status)
            api.headers = {"api-key": "k"}
            self.assertEqual(401 if api.dialect == "openai" else 200, api.call("GET", "/files").status)

    def test_unknown_paths_and_methods_are_refused(self):
        for api in self.each_dialect():
            self.assertEqual(404, api.call("GET", "/models").status)
            self.assertEqual(404, api.call("GET", "/files/a/b/c").status)
            self.assertEqual(405, api.call("PUT", "/files").status)
            self.assertEqual(405, api.call("GET", "/batches/b/cancel").status)
        self.assertEqual(404, self.sim.request("GET", "/openai/deployments/m/batches").status)
        self.assertEqual(404, self.sim.request("GET", "/").status)

    def test_error_objects_have_the_dialects_members(self):
        members = {"azure": {"code", "message"}, "azure-v1": {"code", "message", "param", "type"}, "openai": {"message", "type", "param", "code"}}
        for api in self.each_dialect():
            self.assertEqual(members[api.dialect], set(api.call("GET", "/files/none").error))


class Settings(unittest.TestCase):
    def test_given_keys_are_the_only_ones(self):
        with Sim("--api-key", "right", "--api-key", "also") as sim:
            for dialect in ("azure", "openai"):
                api = Api(sim, dialect)
                self.assertEqual(401, api.call("GET", "/files").status)
                for key in ("right", "also"):
                    api.headers = {"Authorization": "Bearer " + key}
                    self.assertEqual(200, api.call("GET", "/files").status)

    def test_a_pending_file_cannot_be_used_yet_on_azure(self):
        with Sim("--file-pending", "300ms", "--running", "0") as sim:
            api = Api(sim, "azure")
            file_id = api.uploaded(api.line())
            self.assertEqual("pending", api.call("GET", "/files/" + file_id).json()["status"])
            answer = api.create(file_id)
            self.assertEqual(400, answer.status)
            self.assertIn("'pending' state", answer.error["message"])
            wait_for(lambda: api.call("GET", "/files/" + file_id).json()["status"] == "processed", "processed")
            self.assertEqual(200, api.create(file_id).status)
            self.assertEqual(0, sim.ledger()["violation_count"])

    def test_an_invisible_file_appears_later(self):
        with Sim("--file-invisible", "300ms") as sim:
            api = Api(sim, "openai")
            file_id = api.uploaded(api.line())
            answer = api.create(file_id)
            self.assertEqual((400, "file_id"), (answer.status, answer.error["param"]))
            self.assertIn("Cannot find file", answer.error["message"])
            wait_for(lambda: api.call("GET", "/files/" + file_id).status == 200, "the file")

    def test_the_file_ceiling_counts_results_too_unless_told_otherwise(self):
        for arguments, room in (((), 0), (("--inputs-only",), 1)):
            with Sim("--fast", "--max-files", "3", *arguments) as sim:
                api = Api(sim, "azure")
                first = api.uploaded(api.line())
                api.wait(api.create(first).json()["id"], "completed")
                self.assertEqual([201] * room * 2 + [400], [api.upload(b"{}").status for _ in range(room * 2 + 1)])
                self.assertEqual("quotaExceeded", api.upload(b"{}").error["code"])
                api.call("DELETE", "/files/" + first)
                self.assertEqual(201, api.upload(b"{}").status)

    def test_lenient_passes_over_unknown_members(self):
        with Sim("--fast", "--lenient") as sim:
            api = Api(sim, "openai")
            file_id = api.upload(api.file_of(api.line(surprise=1)), fields=(("purpose", "batch"), ("colour", "red"))).json()["id"]
            api.wait(api.create(file_id, colour="red").json()["id"], "completed")

    def test_hosts_can_be_resources_of_their_own(self):
        with Sim("--resource-per-host") as sim:
            api = Api(sim, "azure")
            file_id = api.uploaded(api.line())
            statuses = [api.call("GET", "/files/" + file_id, headers={"Host": host + ":1"}).status for host in ("127.0.0.1", "other")]
            self.assertEqual([200, 404], statuses)


if __name__ == "__main__":
    unittest.main()
