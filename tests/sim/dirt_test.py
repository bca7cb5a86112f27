"""Dirt in result files (PROTOCOL.md 7, 18, 19.14): lines that are odd though the requests were answered, and the rarer failures."""
import json

import unittest

from support import Api, SimTest


class Dirt(SimTest):
    def run_one(self, kind, dialect="openai"):
        """The raw bytes of both result files of a batch with a plain request and one of that kind; its counts."""
        api = Api(self.sim, dialect)
        lines = [api.line("plain", "plain prompt"), api.line("r-1", "odd prompt", body_user="sim:" + kind)]
        batch = api.wait(api.created(*lines), "completed")
        files = [api.content(batch[name]) if batch[name] else b"" for name in ("output_file_id", "error_file_id")]
        size = api.call("GET", "/files/" + batch["output_file_id"]).json()["bytes"]
        self.assertEqual(len(files[0]), size, "the size that the file object tells is that of the content")
        return (*files, batch["request_counts"])

    def line_of(self, kind, dialect="openai"):
        """The one line of that request, parsed."""
        output, errors, _ = self.run_one(kind, dialect)
        lines = [json.loads(line) for line in (output + errors).splitlines() if line.strip()]
        return [line for line in lines if line["custom_id"] == "r-1"][0]

    def test_invalid_utf8_stands_beside_the_answer_or_in_it(self):
        for kind, good in (("bad_utf8", 1), ("bad_utf8_answer", 0)):
            lines = [line for line in self.run_one(kind)[0].splitlines() if b'"r-1"' in line]
            bad = [line for line in lines if b"\xff\xc3(" in line]
            self.assertEqual((1, good), (len(bad), len(lines) - len(bad)))
            self.assertRaises(UnicodeDecodeError, bad[0].decode)

    def test_blank_lines_crlf_and_no_final_newline(self):
        output = self.run_one("blank_lines")[0]
        self.assertEqual(3, len([line for line in output.split(b"\n")[:-1] if not line.strip()]))
        self.assertEqual(1, self.run_one("crlf")[0].count(b"}\r\n"))
        output = self.run_one("no_newline")[0]
        self.assertTrue(output.endswith(b"}"))
        self.assertEqual(2, len([json.loads(line) for line in output.split(b"\n")]))

    def test_line_ids_can_be_the_same_or_absent(self):
        for dialect in ("azure", "openai"):
            self.assertEqual("batch_req_same", self.line_of("same_id", dialect)["id"])
            self.assertNotIn("id", self.line_of("no_id", dialect))

    def test_answers_can_hold_escapes_that_no_text_column_takes(self):
        for kind, text in (("surrogate", "\ud800"), ("nul", "\0")):
            self.assertIn(text, self.line_of(kind)["response"]["body"]["choices"][0]["message"]["content"])

    def test_an_answer_can_be_nested_deeply(self):
        self.assertIn(b"[" * 2000 + b"]" * 2000, self.run_one("deep")[0])

    def test_lines_that_are_no_results_stand_beside_the_answer(self):
        lines = [json.loads(line) for line in self.run_one("not_object")[0].splitlines()]
        others = [line for line in lines if not (isinstance(line, dict) and isinstance(line.get("custom_id"), str))]
        self.assertEqual([["not an object"], 42, "text", None, {}, {"custom_id": 7}], others)
        self.assertEqual({"plain", "r-1"}, {line["custom_id"] for line in lines if line not in others})

    def test_answers_that_answer_nothing(self):
        expected = {
            "empty_body": {"status_code": 200, "request_id": "", "body": {}},
            "status0_null": {"status_code": 0, "request_id": "", "body": None},
            "neither": None,
        }
        for kind, response in expected.items():
            line = self.line_of(kind)
            self.assertEqual((response, None), (line["response"], line["error"]))
        line = self.line_of("error200")
        self.assertEqual((200, "server_error"), (line["response"]["status_code"], line["response"]["body"]["error"]["code"]))

    def test_the_answers_time_can_be_a_float_and_its_end_a_filter(self):
        self.assertIsInstance(self.line_of("float_time")["response"]["body"]["created"], float)
        self.assertEqual("content_filter", self.line_of("filtered")["response"]["body"]["choices"][0]["finish_reason"])

    def test_rarer_failures(self):
        for kind in ("403", "408", "409", "422", "503"):
            line = self.line_of(kind)
            self.assertEqual((int(kind), None), (line["response"]["status_code"], line["error"]))
            self.assertTrue(line["response"]["body"]["error"]["code"])
        self.assertEqual("context_length_exceeded", self.line_of("too_long")["response"]["body"]["error"]["code"])
        self.assertEqual({"total": 2, "completed": 1, "failed": 1}, self.run_one("too_long")[2])


if __name__ == "__main__":
    unittest.main()
