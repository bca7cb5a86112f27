"""How batches, files and lists may look although the specifications say otherwise (PROTOCOL.md 5, 17, 19.6, 19.7, 19.18)."""
import json
import os
import pathlib
import unittest

from support import Api, Sim, SimTest

SHARED = pathlib.Path(os.environ.get("BATCHD_SHARED") or pathlib.Path(__file__).resolve().parents[2].parent / "shared")


class Shapes(SimTest):
    def setUp(self):
        super().setUp()
        self.api = Api(self.sim, "openai")

    def completed(self, api=None):
        api = api or self.api
        return api.wait(api.created(api.line()), "completed")

    def failed(self):
        return self.api.wait(self.api.created(*[self.api.line(str(i), body_user="sim:poison") for i in range(2)]), "failed")

    def shaped(self, batch_id, **shape):
        """One look at the batch through that shape."""
        self.sim.fault(operation="retrieve", fault="shape", shape=shape)
        return self.api.batch(batch_id)

    def test_states_are_spelt_in_other_ways(self):
        with Sim("--fast", "--running", "10m", "--cancelling", "10m") as sim:
            api = Api(sim, "azure")
            batch_id = api.created(api.line())
            api.wait(batch_id, "in_progress")
            for how, seen in (("capital", "In_progress"), ("pascal", "InProgress"), ("spaced", "in progress"), ("upper", "IN_PROGRESS"), ("american", "in_progress")):
                sim.fault(operation="retrieve", fault="shape", shape={"status": how})
                self.assertEqual(seen, api.batch(batch_id)["status"])
            sim.fault(operation="cancel", fault="shape", shape={"status": "american"})
            self.assertEqual("canceling", api.call("POST", f"/batches/{batch_id}/cancel").json()["status"])

    def test_times_come_in_every_type(self):
        plain = self.completed()
        batch_id, created = plain["id"], plain["created_at"]
        self.assertRegex(self.shaped(batch_id, times="iso")["created_at"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00$")
        self.assertEqual(created + 0.25, self.shaped(batch_id, times="float")["created_at"])
        self.assertEqual(str(created), self.shaped(batch_id, times="text")["created_at"])
        nulls = self.shaped(batch_id, times="null")
        self.assertEqual((created, None, None), (nulls["created_at"], nulls["in_progress_at"], nulls["completed_at"]))

    def test_counts_are_null_partly_null_or_absent(self):
        batch_id = self.completed()["id"]
        for how, counts in (("null", None), ("nulls", {"total": None, "completed": None, "failed": None}),
                            ("partial", {"total": 1, "completed": None, "failed": None}), ("zero", {"total": 0, "completed": 0, "failed": 0})):
            self.assertEqual(counts, self.shaped(batch_id, counts=how)["request_counts"])
        self.assertNotIn("request_counts", self.shaped(batch_id, counts="absent"))

    def test_errors_take_every_form(self):
        plain = self.failed()
        batch_id, data = plain["id"], plain["errors"]["data"]
        self.assertEqual([1, 2], [error["line"] for error in data])
        for how, errors in (("null", None), ("empty", {}), ("no_data", {"object": "list", "data": []}), ("single", {"object": "list", "data": data[0]}), ("bare", data)):
            self.assertEqual(errors, self.shaped(batch_id, errors=how)["errors"])
        self.assertNotIn("errors", self.shaped(batch_id, errors="absent"))
        for how, lines in (("text", ["1", "2"]), ("null", [None, None])):
            self.assertEqual(lines, [error["line"] for error in self.shaped(batch_id, line=how)["errors"]["data"]])
        azure = Api(self.sim, "azure")
        batch_id_there = azure.wait(azure.created(azure.line(custom_id="bad id")), "failed")["id"]
        self.sim.fault(operation="retrieve", fault="shape", shape={"line": "number"})
        self.assertEqual(1, azure.batch(batch_id_there)["errors"]["data"][0]["line"])
        self.assertNotIn("line", self.shaped(batch_id, line="absent")["errors"]["data"][0])
        self.assertEqual("1", self.shaped(batch_id, line="text", errors="single")["errors"]["data"]["line"])

    def test_ids_that_are_not_there_are_empty_strings_or_absent(self):
        batch_id = self.completed()["id"]
        self.assertEqual("", self.shaped(batch_id, ids="empty")["error_file_id"])
        self.assertNotIn("error_file_id", self.shaped(batch_id, ids="absent"))
        self.assertTrue(self.shaped(batch_id, ids="empty")["output_file_id"])

    def test_members_are_set_dropped_or_all_that_is_left(self):
        batch_id = self.completed()["id"]
        batch = self.shaped(batch_id, set={"endpoint": None, "status": "sleeping", "extra": [1]}, drop=["metadata", "object"])
        self.assertEqual((None, "sleeping", [1]), (batch["endpoint"], batch["status"], batch["extra"]))
        self.assertFalse({"metadata", "object"} & set(batch))
        self.assertEqual({"id": batch_id, "status": "completed"}, self.shaped(batch_id, only=["id", "status"]))

    def test_lists_take_every_form(self):
        batch_id = self.completed()["id"]

        def listed(**shape):
            self.sim.fault(operation="list", fault="shape", shape=shape)
            return self.api.call("GET", "/batches").json()

        self.assertEqual([batch_id], [batch["id"] for batch in listed(list_key="value")["value"]])
        self.assertNotIn("data", listed(list_key="value"))
        self.assertEqual({"data"}, set(listed(list_drop=["object", "first_id", "last_id", "has_more"])))
        self.assertIs(True, listed(list_set={"has_more": True})["has_more"])
        inside = listed(cursor="in_items")
        self.assertEqual((batch_id, None), (inside["data"][0]["last_id"], inside.get("last_id")))
        self.assertEqual("Completed", listed(status="capital")["data"][0]["status"])

    def test_shapes_can_be_laid_over_each_other(self):
        batch_id = self.completed()["id"]
        self.sim.control("shape", list_key="value", set={"request_counts": 7, "errors": {"object": "list", "data": [1]}})
        self.assertEqual(7, self.shaped(batch_id, counts="nulls", line="text")["request_counts"])
        self.sim.fault(operation="list", fault="shape", shape={"cursor": "in_items", "list_key": "entries"})
        self.assertEqual([batch_id], [batch["id"] for batch in self.api.call("GET", "/batches").json()["value"]])

    def test_files_are_shaped_too(self):
        for operation, call in (("upload", lambda: self.api.upload(b"{}")), ("file", lambda: self.api.call("GET", "/files/" + file_id))):
            self.sim.fault(operation=operation, fault="shape", shape={"set": {"status": None, "bytes": None}})
            answer = call().json()
            file_id = answer["id"]
            self.assertEqual((None, None), (answer["status"], answer["bytes"]))
        self.sim.fault(operation="files", fault="shape", shape={"drop": ["bytes"], "list_drop": ["has_more"]})
        page = self.api.call("GET", "/files").json()
        self.assertNotIn("bytes", page["data"][0])
        self.assertNotIn("has_more", page)

    def test_a_shape_can_hold_for_one_batch_or_for_all(self):
        first, second = self.completed()["id"], self.completed()["id"]
        self.sim.control(f"batches/{first}/shape", status="capital")
        self.assertEqual(["Completed", "completed"], [self.api.batch(one)["status"] for one in (first, second)])
        self.assertEqual(["completed", "Completed"], [batch["status"] for batch in self.api.call("GET", "/batches").json()["data"]])
        self.sim.control("shape", times="text")
        self.assertEqual({str}, {type(self.api.batch(one)["created_at"]) for one in (first, second)})
        self.sim.control("shape")
        self.assertEqual(int, type(self.api.batch(first)["created_at"]))
        with Sim("--shape", '{"counts": "null"}') as sim:
            api = Api(sim, "azure")
            self.assertIsNone(api.create(api.uploaded(api.line())).json()["request_counts"])

    def test_a_poll_can_return_an_older_state(self):
        batch = self.completed()
        for state in ("retrieve", "list"):
            self.sim.fault(operation=state, fault="older")
            old = self.api.batch(batch["id"]) if state == "retrieve" else self.api.call("GET", "/batches").json()["data"][0]
            self.assertEqual(("finalizing", None, None), (old["status"], old["output_file_id"], old["completed_at"]))
        self.assertEqual("completed", self.api.batch(batch["id"])["status"])
        old = self.failed()
        self.sim.fault(operation="retrieve", fault="older")
        old = self.api.batch(old["id"])
        self.assertEqual(("validating", None), (old["status"], old["errors"]))

    def test_nonsense_is_refused(self):
        for shape in ({"status": "x"}, {"colour": 1}, {"set": []}, {"drop": [1]}, {"only": "id"}, {"list_key": ""}, {"cursor": "x"}, []):
            self.assertEqual(400, self.sim.request("POST", "/sim/shape", json.dumps(shape)).status, shape)

    @unittest.skipUnless((SHARED / "protocol/specs/examples/deviations.json").exists(), "no ../shared/protocol/specs/examples/deviations.json")
    def test_every_recorded_deviation_can_be_produced(self):
        with open(SHARED / "protocol/specs/examples/deviations.json", encoding="utf-8") as file:
            deviations = json.load(file)
        batch_id = self.completed()["id"]
        for entry in deviations["batches"]:
            self.assertEqual(entry["batch"], self.shaped(batch_id, set=entry["batch"], only=list(entry["batch"])), entry["note"])
        for entry in deviations["lists"]:
            self.sim.fault(operation="list", fault="shape",
                           shape={"list_set": entry["body"], "list_drop": ["object", "data", "first_id", "last_id", "has_more"]})
            self.assertEqual(entry["body"], self.api.call("GET", "/batches").json(), entry["note"])
        for entry in deviations["http_errors"]:
            self.sim.fault(operation="retrieve", fault="respond", status=entry["status"], body=entry["body"])
            answer = self.api.call("GET", "/batches/" + batch_id)
            self.assertEqual((entry["status"], entry["body"]), (answer.status, answer.json()), entry["note"])


class Pages(SimTest):
    def pages(self, api, limit=2):
        """What a client sees that follows last_id for at most ten pages."""
        out, after = [], {}
        while len(out) < 10:
            page = api.call("GET", "/batches", limit=limit, **after).json()
            out.append([batch["id"] for batch in page["data"]])
            if not page["has_more"]:
                break
            after = {"after": page["last_id"]} if page["last_id"] else after
        return out

    def test_a_page_can_be_empty_or_repeated(self):
        api = Api(self.sim, "openai")
        file_id = api.uploaded(api.line())
        ids = [api.create(file_id).json()["id"] for _ in range(6)][::-1]
        self.assertEqual([ids[0:2], ids[2:4], ids[4:6]], self.pages(api))
        self.sim.fault(operation="list", fault="empty_page", nth=2)
        self.assertEqual([ids[0:2], [], ids[2:4], ids[4:6]], self.pages(api))
        self.sim.fault(operation="list", fault="repeat_page", nth=2)
        self.assertEqual([ids[0:2], ids[0:2], ids[2:4], ids[4:6]], self.pages(api))
        self.sim.fault(operation="list", fault="repeat_page", times=100)
        self.assertEqual([ids[0:2]] * 10, self.pages(api))

    def test_pages_can_be_smaller_than_asked_for(self):
        with Sim("--page-size", "3") as sim:
            for dialect in ("azure", "openai"):
                api = Api(sim, dialect)
                file_id = api.uploaded(api.line())
                for _ in range(7):
                    api.create(file_id)
                self.assertEqual([3, 3, 1], [len(page) for page in self.pages(api, 100)])
            for _ in range(4):
                file_id = api.uploaded(api.line())
            page = api.call("GET", "/files").json()
            self.assertEqual((3, True), (len(page["data"]), page["has_more"]))


if __name__ == "__main__":
    unittest.main()
