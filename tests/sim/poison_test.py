"""Poisoned lines: a file that is refused for one of its requests, with and without the line's number."""
import unittest

from support import Api, SimTest


class Poison(SimTest):
    def failed(self, api, *kinds):
        """The errors of a batch with a plain line, then a line of each kind, then a plain one."""
        lines = [api.line("first")] + [api.line(f"r-{i}", body_user="sim:" + kind) for i, kind in enumerate(kinds)] + [api.line("last")]
        return api.wait(api.created(*lines), "failed")["errors"]["data"]

    def test_the_poisoned_line_is_named_as_a_number_as_text_or_not_at_all(self):
        for api in self.each_dialect():
            for kind, line in (("poison", 2), ("poison_string", "2"), ("poison_silent", None)):
                errors = self.failed(api, kind)
                self.assertEqual([("invalid_request", line)], [(error["code"], error["line"]) for error in errors])

    def test_several_poisoned_lines_are_several_errors(self):
        api = Api(self.sim, "openai")
        self.assertEqual([2, "3", None], [error["line"] for error in self.failed(api, "poison", "poison_string", "poison_silent")])

    def test_poison_can_stand_in_the_metadata(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line(body_metadata={"sim": "poison"})), "failed")
        self.assertEqual(1, batch["errors"]["data"][0]["line"])

    def test_the_creation_can_be_refused_without_a_line(self):
        for api in self.each_dialect():
            file_id = api.uploaded(api.line(), api.line("r-2", body_user="sim:poison_create"))
            for _ in range(2):
                answer = api.create(file_id)
                self.assertEqual((400, "invalid_request"), (answer.status, answer.error["code"]))
                self.assertNotIn("line", answer.error)

    def test_the_upload_can_be_refused(self):
        for api in self.each_dialect():
            answer = api.upload(api.file_of(api.line(), api.line("r-2", body_user="sim:poison_upload")))
            self.assertEqual(400, answer.status)
            self.assertEqual("invalid_request" if api.dialect == "openai" else "jsonlValidationFailed", answer.error["code"])
        self.assertEqual(0, self.sim.ledger()["files_now"])

    def tearDown(self):
        ledger = self.sim.ledger()
        self.assertEqual(([], 0), (ledger["violations"], ledger["requests_executed"]), "poison is no fault of the client, and runs nothing")


if __name__ == "__main__":
    unittest.main()
