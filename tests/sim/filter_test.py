"""`$filter` and `$orderby` of Azure's preview versions (PROTOCOL.md 8), the versions that exist, and the order of lists."""
import unittest

from support import Api, Sim, SimTest


class Filters(SimTest):
    def setUp(self):
        super().setUp()
        self.api = Api(self.sim, "azure", "2025-04-01-preview")
        self.done = [self.api.created(self.api.line()) for _ in range(3)]
        for batch_id in self.done:
            self.api.wait(batch_id, "completed")
        self.held = self.sim.control("foreign", batches=2)["batches"]
        self.created = self.api.batch(self.done[0])["created_at"]

    def listed(self, **query):
        return [batch["id"] for batch in self.api.call("GET", "/batches", **query).json()["data"]]

    def test_batches_are_found_by_state(self):
        self.assertEqual(self.done[::-1], self.listed(**{"$filter": "status eq 'Completed'"}))
        self.assertEqual(self.held[::-1], self.listed(**{"$filter": "status ne 'completed'"}))
        self.assertEqual(self.held[::-1], self.listed(**{"$filter": "status eq 'InProgress'"}))

    def test_batches_are_found_by_time(self):
        for filter_, count in (("gt %d", 0), ("ge %d", 5), ("lt %d", 0), ("le %d", 5)):
            time = self.created + {"gt": 1000, "ge": -1000, "lt": -1000, "le": 1000}[filter_[:2]]
            self.assertEqual(count, len(self.listed(**{"$filter": "created_at " + filter_ % time})), filter_)
        self.assertEqual(2, len(self.listed(**{"$filter": f"created_at gt {self.created - 100} and status eq 'in_progress'"})))

    def test_lists_are_ordered_and_paged_as_asked(self):
        everything = self.done + self.held
        self.assertEqual(everything, self.listed(**{"$orderby": "created_at asc"}))
        self.assertEqual(everything[::-1], self.listed(**{"$orderby": "created_at desc"}))
        self.assertEqual(everything[2:4], self.listed(**{"$orderby": "created_at asc", "after": everything[1], "limit": 2}))

    def test_nonsense_is_refused_and_other_versions_know_none(self):
        for filter_ in ("status", "status gt 'Completed'", "status eq 'Sleeping'", "status eq Completed", "colour eq 'red'", "created_at eq 5",
                        "created_at gt soon", "status eq 'Completed' or status eq 'Failed'", "status eq 'Completed' and"):
            self.assertEqual(400, self.api.call("GET", "/batches", **{"$filter": filter_}).status, filter_)
        for order in ("status", "created_at up", "created_at asc desc"):
            self.assertEqual(400, self.api.call("GET", "/batches", **{"$orderby": order}).status, order)
        for api in self.each_dialect():
            self.assertEqual(400, api.call("GET", "/batches", **{"$filter": "status eq 'Completed'"}).status, api.dialect)

    def test_azure_v1_takes_the_versions_that_it_knows(self):
        for version, status in (("v1", 200), ("preview", 200), ("2024-10-21", 404)):
            self.assertEqual(status, Api(self.sim, "azure-v1", version).call("GET", "/batches").status)


class Lists(unittest.TestCase):
    def test_lists_can_begin_with_the_oldest(self):
        with Sim("--list-order", "oldest") as sim:
            api = Api(sim, "openai")
            file_id = api.uploaded(api.line())
            ids = [api.create(file_id).json()["id"] for _ in range(3)]
            self.assertEqual(ids, [batch["id"] for batch in api.call("GET", "/batches").json()["data"]])

    def test_a_stale_cursor_has_many_ends(self):
        for how, status, entries in (("400", 400, None), ("404", 404, None), ("start", 200, 2), ("empty", 200, 0)):
            with Sim("--stale-after", how) as sim:
                api = Api(sim, "openai")
                file_id = api.uploaded(api.line())
                api.create(file_id), api.create(file_id)
                answer = api.call("GET", "/batches", after="batch_gone")
                self.assertEqual(status, answer.status)
                if entries is not None:
                    self.assertEqual(entries, len(answer.json()["data"]))


if __name__ == "__main__":
    unittest.main()
