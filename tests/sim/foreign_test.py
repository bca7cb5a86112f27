"""Batches and files of other users of the resource: listed, counted, and not to be touched (PROTOCOL.md 8, 19.18, 19.19)."""
import json
import unittest

from support import Api, Sim, SimTest


class Foreign(SimTest):
    def test_they_stand_in_the_lists_and_count_as_files(self):
        for api in self.each_dialect():
            self.sim.reset()
            resource = "openai" if api.dialect == "openai" else "azure"
            made = self.sim.control("foreign", batches=3, files=2, resource=resource)
            mine = api.created(api.line())
            listed = [batch["id"] for batch in api.call("GET", "/batches").json()["data"]]
            self.assertEqual({mine, *made["batches"]}, set(listed))
            files = {file["id"] for file in api.call("GET", "/files").json()["data"]}
            self.assertTrue(set(made["files"]) <= files)
            self.assertEqual(5, len(made["files"]), "an input for each batch, and two more")
            self.assertEqual({"owner": "somebody else"}, api.batch(made["batches"][0])["metadata"])
            self.assertEqual([], self.sim.ledger()["violations"], "looking is no touch")
            self.assertEqual((1, 3), tuple(self.sim.ledger()[name] for name in ("batches_created", "foreign_batches")))

    def test_any_touch_is_a_violation(self):
        api = Api(self.sim, "openai")
        made = self.sim.control("foreign", batches=1, files=1, resource="openai")
        touches = [
            lambda: api.call("POST", f"/batches/{made['batches'][0]}/cancel"),
            lambda: api.call("GET", f"/files/{made['files'][0]}/content"),
            lambda: api.create(made["files"][0]),
            lambda: api.call("DELETE", f"/files/{made['files'][0]}"),
        ]
        for number, touch in enumerate(touches, 1):
            touch()
            violations = self.sim.ledger()["violations"]
            self.assertEqual(number, len(violations), violations)

    def test_their_state_metadata_and_tokens_are_chosen(self):
        api = Api(self.sim, "azure")
        for status in ("validating", "completed", "failed"):
            made = self.sim.control("foreign", batches=1, status=status, metadata={"a": "b"})
            batch = api.batch(made["batches"][0])
            self.assertEqual((status, {"a": "b"}, status == "completed"), (batch["status"], batch["metadata"], batch["output_file_id"] is not None))
        made = self.sim.control("foreign", batches=1, model="m", tokens=1000)
        self.assertEqual(1000, self.sim.ledger()["enqueued"]["azure/m"])
        self.sim.control(f"batches/{made['batches'][0]}/end", end="completed")
        self.assertEqual(0, self.sim.ledger()["enqueued"]["azure/m"])
        for wish in ({"batches": -1}, {"colour": 1}, {"status": "x"}, {"resource": ""}, []):
            self.assertEqual(400, self.sim.request("POST", "/sim/foreign", json.dumps(wish)).status)

    def test_new_batches_appear_while_a_client_pages(self):
        api = Api(self.sim, "openai")
        file_id = api.uploaded(api.line())
        mine = [api.create(file_id).json()["id"] for _ in range(3)]
        first = api.call("GET", "/batches", limit=2).json()
        self.sim.fault(operation="list", fault="insert", count=4)
        self.assertEqual(mine[:1], [batch["id"] for batch in api.call("GET", "/batches", limit=2, after=first["last_id"]).json()["data"]])
        self.assertEqual(7, len(api.call("GET", "/batches").json()["data"]))


class Switch(unittest.TestCase):
    def test_the_switch_fills_both_resources(self):
        with Sim("--foreign", "2", "--max-files", "5") as sim:
            for dialect in ("azure", "openai"):
                self.assertEqual(2, len(Api(sim, dialect).call("GET", "/batches").json()["data"]))
            api = Api(sim, "azure")
            api.uploaded(api.line())
            answer = api.upload(b"{}")
            self.assertEqual((400, "quotaExceeded"), (answer.status, answer.error["code"]))


if __name__ == "__main__":
    unittest.main()
