"""What becomes of a request: every kind that a prompt can ask for, the answers, and the hash that ties them to prompts."""
import hashlib
import json
import unittest

from support import Api, SimTest


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def parsed(lines):
    return [json.loads(line) for line in lines]


class Outcomes(SimTest):
    def run_one(self, kind, api=None):
        """Runs a request of that kind beside a plain one; returns the lines of the former."""
        api = api or Api(self.sim, "openai")
        batch_id = api.created(api.line("plain", "plain prompt"), api.line("r-1", "prompt of " + kind, body_metadata={"sim": kind}))
        batch = api.wait(batch_id, "completed")
        output, errors = api.results(batch)
        self.assertEqual(1, len([line for line in output if '"plain"' in line]))
        self.counts = batch["request_counts"]
        return [line for line in output if '"plain"' not in line], errors

    def test_the_answer_carries_its_prompts_hash(self):
        prompts = ["hello", "", "é漢字🎉", "line\nbreak \"quoted\" \\ \t \u0000 end", "x" * 100_000]
        for api in self.each_dialect():
            batch = api.wait(api.created(*[api.line(str(i), prompt) for i, prompt in enumerate(prompts)]), "completed")
            for line in parsed(api.results(batch)[0]):
                prompt = prompts[int(line["custom_id"])]
                body = line["response"]["body"]
                content = body["choices"][0]["message"]["content"]
                self.assertTrue(content.startswith("sha256:" + sha256(prompt) + " echo:"), content)
                self.assertEqual(200, len(content))
                self.assertEqual((200, "m", "chat.completion"), (line["response"]["status_code"], body["model"], body["object"]))
                self.assertEqual(body["usage"]["total_tokens"], body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"])
                self.assertEqual(api.dialect != "openai", "prompt_filter_results" in body)
                self.assertEqual(api.dialect == "openai", "id" in line)

    def test_the_prompt_is_all_text_of_all_messages_in_order(self):
        api = Api(self.sim, "openai")
        messages = [
            {"role": "system", "content": "one"},
            {"content": [{"type": "text", "text": "two"}, {"type": "image_url", "image_url": {"url": "data:,x"}}, {"text": "three", "type": "text"}], "role": "user"},
            {"role": "assistant", "content": None},
        ]
        batch = api.wait(api.created(api.line(body_messages=messages)), "completed")
        self.assertIn(sha256("onetwothree"), api.results(batch)[0][0])

    def test_a_body_without_messages_is_its_own_prompt(self):
        for endpoint, kind in (("/v1/responses", "response"), ("/v1/embeddings", "list"), ("/v1/completions", "text_completion")):
            api = Api(self.sim, "openai")
            line = api.line(url=endpoint, body={"model": "m", "input": "x"})
            answer = parsed(api.results(api.wait(api.created(line, endpoint=endpoint), "completed"))[0])[0]
            self.assertIn(sha256(json.dumps(line["body"])), json.dumps(answer))
            self.assertEqual(kind, answer["response"]["body"]["object"])

    def test_failed_requests_stand_in_the_error_file(self):
        for api in self.each_dialect():
            for kind in ("400", "401", "404", "429", "500"):
                output, errors = self.run_one(kind, api)
                self.assertEqual([], output)
                line = json.loads(errors[0])
                self.assertEqual((int(kind), None), (line["response"]["status_code"], line["error"]))
                self.assertTrue(line["response"]["body"]["error"]["message"])
                self.assertEqual({"total": 2, "completed": 1, "failed": 1}, self.counts)
        self.assertEqual("content_filter", json.loads(self.run_one("400")[1][0])["response"]["body"]["error"]["code"])

    def test_requests_can_expire_or_time_out(self):
        for kind, code in (("expired", "batch_expired"), ("timeout", "request_timeout")):
            output, errors = self.run_one(kind)
            self.assertEqual([], output)
            self.assertEqual((None, code), (json.loads(errors[0])["response"], json.loads(errors[0])["error"]["code"]))

    def test_a_request_can_be_missing(self):
        self.assertEqual(([], []), self.run_one("missing"))
        self.assertEqual({"total": 2, "completed": 2, "failed": 0}, self.counts)

    def test_a_line_can_stand_twice(self):
        output, _ = self.run_one("duplicate")
        self.assertEqual(["r-1", "r-1"], [line["custom_id"] for line in parsed(output)])

    def test_a_request_can_stand_in_both_files(self):
        output, errors = self.run_one("both")
        self.assertEqual((200, 500), tuple(json.loads(lines[0])["response"]["status_code"] for lines in (output, errors)))

    def test_a_corrupt_line_can_stand_beside_the_answer(self):
        output, _ = self.run_one("corrupt")
        self.assertEqual("r-1", json.loads(output[0])["custom_id"])
        with self.assertRaises(json.JSONDecodeError):
            json.loads(output[1])

    def test_a_foreign_line_can_stand_beside_the_answer(self):
        output, _ = self.run_one("unknown")
        self.assertEqual("r-1", json.loads(output[0])["custom_id"])
        self.assertTrue(json.loads(output[1])["custom_id"].startswith("not-yours-"))

    def test_output_lines_can_be_no_answers(self):
        for kind, status, body in (("empty200", 200, None), ("status0", 0, {}), ("error_in_output", 400, ...)):
            output, errors = self.run_one(kind)
            line = json.loads(output[0])
            self.assertEqual(status, line["response"]["status_code"])
            if body is not ...:
                self.assertEqual(body, line["response"]["body"])
            self.assertEqual([], errors)

    def test_an_answer_can_be_huge(self):
        output, _ = self.run_one("huge")
        self.assertGreater(len(output[0]), 2 * 1024 * 1024)

    def test_once_kinds_strike_a_prompts_first_run_only(self):
        api = Api(self.sim, "openai")
        self.assertEqual(429, json.loads(self.run_one("once-429", api)[1][0])["response"]["status_code"])
        self.assertEqual(200, json.loads(self.run_one("once-429", api)[0][0])["response"]["status_code"])
        self.assertEqual(([], []), self.run_one("once-missing", api))
        self.assertEqual(1, len(self.run_one("once-missing", api)[0]))

    def test_the_user_member_asks_as_well(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line(body_user="sim:429"), api.line("r-2", body_user="somebody")), "completed")
        self.assertEqual({"total": 2, "completed": 1, "failed": 1}, batch["request_counts"])

    def test_an_unknown_kind_is_refused(self):
        api = Api(self.sim, "openai")
        batch = api.wait(api.created(api.line(body_user="sim:nonsense")), "failed")
        self.assertIn("nonsense", batch["errors"]["data"][0]["message"])

    def test_model_names_are_escaped(self):
        api = Api(self.sim, "openai")
        name = 'a"b\\c\u00e9'
        batch = api.wait(api.created(api.line(body_model=name)), "completed")
        self.assertEqual(name, json.loads(api.results(batch)[0][0])["response"]["body"]["model"])


class LongAnswers(SimTest):
    arguments = ("--fast", "--answer-bytes", "2000", "--seed", "7")

    def test_answers_have_the_length_that_was_asked_for(self):
        api = Api(self.sim, "azure")
        batch = api.wait(api.created(*[api.line(str(i)) for i in range(500)]), "completed")
        for line in parsed(api.results(batch)[0]):
            self.assertEqual(2000, len(line["response"]["body"]["choices"][0]["message"]["content"]))
            self.assertEqual(500, line["response"]["body"]["usage"]["completion_tokens"])

    def test_the_same_seed_gives_the_same_order(self):
        api, orders = Api(self.sim, "azure"), []
        for _ in range(2):
            self.sim.reset()
            batch = api.wait(api.created(*[api.line(str(i)) for i in range(100)]), "completed")
            orders.append([line["custom_id"] for line in parsed(api.results(batch)[0])])
        self.assertEqual(orders[0], orders[1])


if __name__ == "__main__":
    unittest.main()
