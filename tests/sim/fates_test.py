"""What a test can decree of a batch: its end, its states, cancellations that race (PROTOCOL.md 6, 19.5, 19.9 to 19.13, 19.20)."""
import json
import unittest

from support import Api, Sim, SimTest, wait_for

OVER = ("completed", "failed", "expired", "cancelled")


class Fates(SimTest):
    def setUp(self):
        super().setUp()
        self.api = Api(self.sim, "openai")

    def fated(self, lines=10, api=None, **fate):
        """A batch whose creation decides what becomes of it."""
        self.sim.fault(operation="create_batch", fault="fate", fate=fate)
        api = api or self.api
        return api.created(*[api.line(f"r-{i}", f"prompt {i}") for i in range(lines)])

    def over(self, batch_id):
        return wait_for(lambda: (batch := self.api.batch(batch_id))["status"] in OVER and batch, "the end")

    def test_a_batch_can_fail_late_with_its_result_files(self):
        errors = {"object": "list", "data": [{"code": "brand_new", "message": "m"}]}
        batch = self.over(self.fated(end="failed", share=0.6, errors=errors))
        self.assertEqual(("failed", errors, 6), (batch["status"], batch["errors"], batch["request_counts"]["completed"]))
        self.assertTrue(batch["in_progress_at"] and batch["finalizing_at"])
        self.assertEqual(6, len(self.api.results(batch)[0]))

    def test_the_errors_of_a_failed_batch_are_what_was_asked_for(self):
        for errors in (None, [], {"object": "list", "data": {"code": "invalid_json_line", "line": "7"}}, {"code": "x"}):
            batch = self.over(self.fated(end="failed", errors=errors))
            self.assertEqual(errors, batch["errors"])
            self.assertEqual((None, None), (batch["in_progress_at"], batch["output_file_id"]))
        self.assertEqual("internal_error", self.over(self.fated(end="failed"))["errors"]["data"][0]["code"])
        self.assertEqual([], self.sim.ledger()["violations"])

    def test_an_expired_batch_can_lose_requests(self):
        batch = self.over(self.fated(end="expired", share=0.5, lost=2))
        output, errors = self.api.results(batch)
        self.assertEqual((5, 3), (len(output), len(errors)))
        self.assertEqual({"batch_expired"}, {json.loads(line)["error"]["code"] for line in errors})
        self.assertEqual(8, len({json.loads(line)["custom_id"] for line in output + errors}))

    def test_every_request_can_fail_alike(self):
        for kind in ("401", "404"):
            batch = self.over(self.fated(kind=kind))
            self.assertEqual(("completed", None), (batch["status"], batch["output_file_id"]))
            self.assertEqual({"total": 10, "completed": 0, "failed": 10}, batch["request_counts"])
            self.assertEqual({int(kind)}, {json.loads(line)["response"]["status_code"] for line in self.api.results(batch)[1]})

    def test_a_completed_batch_can_have_no_files_and_a_cancelled_one_all_answers(self):
        batch = self.over(self.fated(end="completed", files=False))
        self.assertEqual((None, 10), (batch["output_file_id"], batch["request_counts"]["completed"]))
        batch = self.over(self.fated(end="cancelled", share=1))
        self.assertEqual(("cancelled", None, 10), (batch["status"], batch["cancelling_at"], len(self.api.results(batch)[0])))
        batch = self.over(self.fated(end="cancelled", share=0.5, rest="cancelled"))
        self.assertEqual((5, 5), tuple(len(lines) for lines in self.api.results(batch)))

    def test_states_can_be_skipped(self):
        batch = self.over(self.fated(skip=["validating", "in_progress", "finalizing"]))
        self.assertEqual(("completed", None, None), (batch["status"], batch["in_progress_at"], batch["finalizing_at"]))
        self.sim.fault(operation="create_batch", fault="fate", fate={"skip": ["validating"], "end": "failed"})
        answer = self.api.create(self.api.uploaded(self.api.line()))
        self.assertEqual("failed", answer.json()["status"])

    def test_states_can_hang_until_released_or_for_a_while(self):
        for state in ("validating", "in_progress", "finalizing"):
            batch_id = self.fated(hold=state)
            self.api.wait(batch_id, state)
            self.sim.control(f"batches/{batch_id}/state", release=True)
            self.assertEqual("completed", self.over(batch_id)["status"])
        batch_id = self.fated(**{"hold": "finalizing", "for": "1s"})
        self.api.wait(batch_id, "finalizing")
        self.over(batch_id)

    def test_nonsense_is_refused(self):
        for fate in ({"end": "validating"}, {"end": "x"}, {"share": 2}, {"colour": 1}, {"after": "finalizing"}, {"kind": "x"}, {"skip": ["failed"]},
                     {"hold": "completed"}, {"for": "soon"}, {"rest": "x"}, {"lost": -1}, {"files": 1}, []):
            rule = {"operation": "create_batch", "fault": "fate", "fate": fate}
            self.assertEqual(400, self.sim.request("POST", "/sim/faults", json.dumps(rule)).status, fate)


class Cancellations(unittest.TestCase):
    def test_a_cancellation_can_lose_its_race(self):
        for end, answers in (("completed", 10), ("failed", 0), ("expired", 0)):
            with Sim("--fast", "--running", "10m", "--cancelling", "100ms") as sim:
                api = Api(sim, "openai")
                batch_id = api.created(*[api.line(str(i)) for i in range(10)])
                api.wait(batch_id, "in_progress")
                sim.fault(operation="cancel", fault="fate", fate={"end": end})
                self.assertEqual("cancelling", api.call("POST", f"/batches/{batch_id}/cancel").json()["status"])
                batch = api.wait(batch_id, end)
                self.assertTrue(batch["cancelling_at"])
                self.assertEqual(answers, len(api.results(batch)[0]))
                self.assertEqual(409, api.call("POST", f"/batches/{batch_id}/cancel").status)

    def test_cancelling_can_take_for_ever(self):
        with Sim("--fast", "--running", "10m") as sim:
            api = Api(sim, "azure")
            batch_id = api.created(api.line())
            sim.fault(operation="cancel", fault="fate", fate={"hold": "cancelling"})
            for _ in range(3):
                self.assertEqual("cancelling", api.call("POST", f"/batches/{batch_id}/cancel").json()["status"])
            sim.control(f"batches/{batch_id}/state", release=True)
            self.assertEqual("cancelled", api.batch(batch_id)["status"])

    def test_somebody_else_can_cancel_in_the_portal(self):
        with Sim("--fast", "--running", "10m") as sim:
            api = Api(sim, "azure")
            batch_id = api.created(api.line())
            self.assertEqual("cancelling", sim.control(f"batches/{batch_id}/cancel")["status"])
            api.wait(batch_id, "cancelled")
            self.assertEqual(409, sim.request("POST", f"/sim/batches/{batch_id}/cancel", "{}").status)
            self.assertEqual(0, sim.ledger()["calls"]["cancel"])

    def test_azures_conflict_has_either_code(self):
        for code in ("conflict", "unexpectedEntityState"):
            with Sim("--fast", "--cancel-conflict", code) as sim:
                api = Api(sim, "azure")
                batch_id = api.created(api.line())
                api.wait(batch_id, "completed")
                answer = api.call("POST", f"/batches/{batch_id}/cancel")
                self.assertEqual((409, code), (answer.status, answer.error["code"]))


class Control(SimTest):
    arguments = ("--validating", "0", "--running", "10m")

    def test_a_batch_can_be_ended_at_once(self):
        api = Api(self.sim, "azure")
        for end, share, answers in (("completed", None, 10), ("failed", None, None), ("failed", 0.3, 3), ("expired", 0.5, 5), ("cancelled", 0.2, 2)):
            batch_id = api.created(*[api.line(str(i)) for i in range(10)])
            wish = {"end": end} if share is None else {"end": end, "share": share}
            self.assertEqual(end, self.sim.control(f"batches/{batch_id}/end", **wish)["status"])
            batch = api.batch(batch_id)
            self.assertEqual(answers, len(api.results(batch)[0]) if batch["output_file_id"] else None)
            self.assertTrue(batch[end + "_at"])
        self.assertEqual(0, self.sim.ledger()["enqueued"]["azure/m"])

    def test_a_batch_can_be_held_where_it_is_and_let_go(self):
        api = Api(self.sim, "azure")
        batch_id = api.created(api.line())
        api.wait(batch_id, "in_progress")
        self.sim.control(f"batches/{batch_id}/state", hold="finalizing")
        self.sim.control(f"batches/{batch_id}/state", release=True)
        wait_for(lambda: api.batch(batch_id)["status"] == "completed", "the end: a release lifts every hold")
        batch_id = api.created(api.line())
        self.sim.control(f"batches/{batch_id}/state", **{"hold": True, "for": "200ms"})
        wait_for(lambda: api.batch(batch_id)["status"] in ("finalizing", "completed"), "the hold to pass")

    def test_a_batch_can_vanish(self):
        api = Api(self.sim, "openai")
        for wish, status in (({}, 404), ({"status": 200}, 200)):
            batch_id = api.created(api.line())
            self.sim.control(f"batches/{batch_id}/vanish", **wish)
            answer = api.call("GET", "/batches/" + batch_id)
            self.assertEqual(status, answer.status)
            self.assertIn("No batch found", answer.error["message"])
            self.assertNotIn(batch_id, [batch["id"] for batch in api.call("GET", "/batches").json()["data"]])
            self.assertEqual(404, api.call("POST", f"/batches/{batch_id}/cancel").status)

    def test_a_batch_can_appear_before_its_time(self):
        with Sim("--list-lag", "1h") as sim:
            api = Api(sim, "openai")
            listed = lambda: [batch["id"] for batch in api.call("GET", "/batches").json()["data"]]  # noqa: E731
            first, second = api.created(api.line()), api.created(api.line())
            self.assertEqual([], listed())
            sim.control(f"batches/{first}/appear")
            self.assertEqual([first], listed())
            sim.control(f"batches/{second}/appear")
            self.assertEqual([second, first], listed())

    def test_nonsense_is_refused(self):
        api = Api(self.sim, "openai")
        batch_id = api.created(api.line())
        for path, wish in ((f"{batch_id}/end", {}), (f"{batch_id}/end", {"end": "x"}), (f"{batch_id}/state", {}), (f"{batch_id}/state", {"hold": "x"}),
                           (f"{batch_id}/vanish", {"status": 7}), (f"{batch_id}/cancel", {"colour": 1}), (f"{batch_id}/cancel", [])):
            self.assertEqual(400, self.sim.request("POST", "/sim/batches/" + path, json.dumps(wish)).status, (path, wish))
        self.assertEqual(404, self.sim.request("POST", f"/sim/batches/{batch_id}/paint", "{}").status)
        self.assertEqual(404, self.sim.request("POST", "/sim/batches/batch_none/end", "{}").status)


if __name__ == "__main__":
    unittest.main()
