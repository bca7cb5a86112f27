"""What the simulator refuses in input files (PROTOCOL.md 3 and 10): creation succeeds, then the batch turns failed."""
import json
import unittest

from support import Api, SimTest


class Lines(SimTest):
    def setUp(self):
        super().setUp()
        self.api = Api(self.sim, "azure")

    def errors_of(self, content, api=None, **changes):
        api = api or self.api
        answer = api.upload(content)
        self.assertIn(answer.status, (200, 201), answer.body)
        created = api.create(answer.json()["id"], **changes)
        self.assertIn(created.status, (200, 201), created.body)
        self.assertEqual("validating", created.json()["status"])
        batch = api.wait(created.json()["id"], "failed")
        self.assertIsNone(batch["output_file_id"])
        self.assertEqual(0, self.sim.ledger()["requests_executed"])
        errors = batch["errors"]["data"]
        kinds = (str, type(None)) if api.dialect == "azure" else (int, type(None))
        self.assertTrue(all(isinstance(error["line"], kinds) for error in errors), errors)
        return [{**error, "line": error["line"] and int(error["line"])} for error in errors]

    def assert_refused(self, content, code, line=None, text="", api=None):
        errors = self.errors_of(content, api)
        self.assertEqual(code, errors[0]["code"], errors)
        self.assertEqual(line, errors[0]["line"], errors)
        self.assertIn(text, errors[0]["message"])

    def assert_second_line_refused(self, text, code, fragment):
        good = self.api.file_of(self.api.line("r-1"))
        self.assert_refused(good + text + b"\n" + self.api.file_of(self.api.line("r-3")), code, 2, fragment)

    def assert_accepted(self, content):
        api = self.api
        answer = api.create(api.upload(content).json()["id"])
        api.wait(answer.json()["id"], "completed")
        self.assertEqual([], self.sim.ledger()["violations"])

    def test_text_that_is_not_json_is_refused_with_its_line(self):
        for text in (b"{", b"nonsense", b'{"custom_id": "x",}', b'{"a":1} x', b"[1]", b'"text"', b'{"a":01}', b'{"a":1.}', b'{"a":.5}', b'{"a":+1}',
                     b'{"a":NaN}', b"{'a':1}", b'{"a":"\\x"}', b'{"a":"\\u12"}', b'{"a" 1}', b"{} {}", b'{"a":tru}', b'{"a":1e}', b'{"a":-}'):
            self.sim.reset()
            # A value that is no object, or members that nobody knows, are told apart from text that is not JSON at all.
            with self.subTest(text=text):
                errors = self.errors_of(text + b"\n")
                self.assertIn(errors[0]["code"], ("invalid_json_line", "invalid_request"))
                self.assertEqual(1, errors[0]["line"])

    def test_broken_json_inside_a_body_is_refused(self):
        whole = json.dumps(self.api.line("r-2")).encode()
        for broken in (b'"x":01', b'"x":1.', b'"x":+1', b'"x":NaN', b'"x":"\\x"', b'"x":"\\u12"', b'"x" 1', b'"x":tru', b'"x":1e', b'"x":[1,]', b'"x":{,}'):
            self.sim.reset()
            with self.subTest(broken=broken):
                self.assert_second_line_refused(whole.replace(b'"model"', broken + b',"model"'), "invalid_json_line", "byte")

    def test_every_kind_of_valid_json_is_accepted(self):
        values = [0, -0.0, 1e300, 2**53 + 1, 0.1, True, False, None, "", "\u0000", "é漢字🎉", "\"\\/\b\f\n\r\t", [], {}, [[{}]], {"a": {"b": [1]}}]
        lines = [self.api.line(f"r-{i}", body_x=value) for i, value in enumerate(values)]
        text = self.api.file_of(*lines) + (json.dumps(self.api.line("raw", body_x="é漢字🎉"), ensure_ascii=False) + "\n").encode()
        self.assert_accepted(text)

    def test_blanks_between_tokens_and_a_missing_last_newline_are_accepted(self):
        self.assert_accepted(json.dumps(self.api.line(), separators=(" ,\t ", "\t: ")).encode())

    def test_invalid_utf8_is_refused(self):
        for bad in (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82", b"\x80"):
            self.sim.reset()
            with self.subTest(bad=bad):
                self.assert_second_line_refused(json.dumps(self.api.line("r-2", "AAAA")).encode().replace(b"AAAA", bad), "invalid_json_line", "UTF-8")

    def test_lone_surrogates_are_refused(self):
        for bad in (b"\\ud800", b"\\udc00", b"\\ud800\\u0041"):
            self.sim.reset()
            self.assert_second_line_refused(json.dumps(self.api.line("r-2", "AAAA")).encode().replace(b"AAAA", bad), "invalid_json_line", "surrogate")

    def test_raw_nul_and_carriage_return_are_refused(self):
        line = json.dumps(self.api.line("r-2", "AAAA")).encode()
        self.assert_second_line_refused(line.replace(b"AAAA", b"\0"), "invalid_json_line", "NUL")
        self.sim.reset()
        self.assert_second_line_refused(line + b"\r", "invalid_json_line", "carriage return")
        self.sim.reset()
        self.assert_second_line_refused(line.replace(b"AAAA", b"\r"), "invalid_json_line", "carriage return")

    def test_blank_lines_are_refused(self):
        self.assert_second_line_refused(b"", "invalid_json_line", "blank")
        self.sim.reset()
        self.assert_second_line_refused(b"  ", "invalid_json_line", "blank")

    def test_a_byte_order_mark_is_refused_with_the_misleading_message(self):
        self.assert_refused(b"\xef\xbb\xbf" + self.api.file_of(self.api.line()), "invalid_request", None, "deployment name couldn't be extracted")
        openai = Api(self.sim, "openai")
        self.sim.reset()
        self.assert_refused(b"\xef\xbb\xbf" + openai.file_of(openai.line()), "invalid_json_line", 1, api=openai)

    def test_an_empty_file_is_refused(self):
        self.assert_refused(b"", "empty_file")

    def test_custom_ids_are_required_unique_and_plain(self):
        api = self.api
        cases = [(..., "custom_id"), (None, "string"), (7, "string"), ("", "64"), ("x" * 65, "64"), ("a b", "64"), ("ä", "64"), ("a/b", "64")]
        for custom_id, fragment in cases:
            self.sim.reset()
            with self.subTest(custom_id=custom_id):
                self.assert_second_line_refused(json.dumps(api.line(custom_id)).encode(), "invalid_request", fragment)
        self.sim.reset()
        self.assert_refused(api.file_of(api.line("a"), api.line("b"), api.line("a")), "duplicate_custom_id", 3, "'a'")
        self.sim.reset()
        self.assert_accepted(api.file_of(api.line("x" * 64), api.line("A-z_0.9:1")))

    def test_members_are_required_known_and_typed(self):
        api = self.api
        cases = [
            (api.line("r-2", method=...), "method"),
            (api.line("r-2", method="GET"), "POST"),
            (api.line("r-2", url=...), "url"),
            (api.line("r-2", url=1), "url"),
            (api.line("r-2", body=...), "body"),
            (api.line("r-2", body=[]), "object"),
            (api.line("r-2", body="{}"), "object"),
            (api.line("r-2", body_model=...), "model"),
            (api.line("r-2", body_model=""), "model"),
            (api.line("r-2", body_model=5), "model"),
            (api.line("r-2", body_stream=True), "stream"),
            (api.line("r-2", surprise=1), "surprise"),
        ]
        for line, fragment in cases:
            self.sim.reset()
            with self.subTest(line=line):
                self.assert_second_line_refused(json.dumps(line).encode(), "invalid_request", fragment)

    def test_members_that_stand_twice_are_refused(self):
        line = json.dumps(self.api.line("r-2"))
        self.assert_second_line_refused(line.replace('{"custom_id"', '{"url": "x", "custom_id"').encode(), "invalid_request", "twice")
        self.sim.reset()
        self.assert_second_line_refused(line.replace('{"model"', '{"model": "x", "model"').encode(), "invalid_request", "twice")

    def test_a_line_of_many_megabytes_is_accepted_and_an_absurd_one_refused(self):
        api = self.api
        self.assert_accepted(api.file_of(api.line("a"), api.line("b", "x" * 30_000_000), api.line("c")))
        self.sim.reset()
        self.assert_second_line_refused(json.dumps(api.line("r-2", "x" * 70_000_000)).encode(), "invalid_json_line", "64 MiB")

    def test_stream_false_is_accepted(self):
        self.assert_accepted(self.api.file_of(self.api.line(body_stream=False)))

    def test_urls_must_agree_with_each_other_and_with_the_endpoint(self):
        api = self.api
        self.assert_refused(api.file_of(api.line("a"), api.line("b", url="/v1/chat/completions")), "url_mismatch", 2)
        for api in self.each_dialect():
            self.sim.reset()
            wrong = "/v1/chat/completions" if api.dialect == "azure" else "/chat/completions"
            self.assert_refused(api.file_of(api.line(url=wrong)), "url_mismatch", 1, api=api)

    def test_models_must_agree(self):
        api = self.api
        self.assert_refused(api.file_of(api.line("a"), api.line("b", body_model="other")), "model_mismatch", 2)

    def test_several_bad_lines_are_all_reported(self):
        api = self.api
        errors = self.errors_of(b"{\n" + api.file_of(api.line("a")) + b"}\n" + api.file_of(api.line("a")))
        self.assertEqual([(1, "invalid_json_line"), (3, "invalid_json_line"), (4, "duplicate_custom_id")], [(e["line"], e["code"]) for e in errors])

    def test_too_many_requests_are_refused_at_each_dialects_limit(self):
        for dialect, limit in (("openai", 50_000), ("azure", 100_000)):
            self.sim.reset()
            api = Api(self.sim, dialect)
            template = json.dumps(api.line("ID", "x"))
            content = "".join(template.replace("ID", str(i)) + "\n" for i in range(limit + 1)).encode()
            self.assert_refused(content, "too_many_tasks", None, str(limit), api=api)
            whole = api.create(api.upload(content[: content.rindex(b"\n", 0, -1) + 1]).json()["id"]).json()["id"]
            self.assertEqual(limit, api.wait(whole, "completed")["request_counts"]["completed"])

    def test_every_refusal_is_a_violation_in_the_ledger(self):
        self.errors_of(b"{\n")
        violations = self.sim.ledger()["violations"]
        self.assertEqual(1, len(violations))
        self.assertIn("invalid_json_line", violations[0])


class Deployments(SimTest):
    arguments = ("--fast", "--deployment", "m=1000", "--deployment", "a=b=7")

    def test_unknown_deployments_are_refused(self):
        for api in self.each_dialect():
            batch = api.wait(api.created(api.line(body_model="other")), "failed")
            self.assertEqual("model_not_found", batch["errors"]["data"][0]["code"])
            api.wait(api.created(api.line()), "completed")


if __name__ == "__main__":
    unittest.main()
