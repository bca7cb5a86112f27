"""Errors in every form, throttling, transport that breaks on the way, clocks (PROTOCOL.md 4, 9, 11, 13, 19.4, 19.15, 19.16)."""
import email.utils
import http.client
import json
import tempfile
import socket
import time
import unittest

from support import Api, Sim, SimTest


class Styles(SimTest):
    def refused(self, dialect, style, fault="429"):
        self.sim.fault(operation="list", fault=fault, style=style)
        return Api(self.sim, dialect).call("GET", "/batches")

    def test_an_error_object_comes_in_every_form(self):
        buried = self.refused("azure", "innererror").error
        self.assertEqual(("invalidPayload", "tooManyRequests"), (buried["code"], buried["innererror"]["innererror"]["code"]))
        self.assertEqual("tooManyRequests", self.refused("azure-v1", "inner_error").error["inner_error"]["innererror"]["code"])
        self.assertEqual("429", self.refused("azure", "numeric").error["code"])
        answer = self.refused("openai", "detail").json()
        self.assertEqual(answer["detail"], answer["error"]["message"])
        self.assertEqual(["message"], list(self.refused("openai", "message").error))
        self.assertIsInstance(self.refused("openai", "text").error, str)
        html, empty = self.refused("azure", "html", "503"), self.refused("azure", "empty", "503")
        self.assertEqual((503, "text/html", 503, b""), (html.status, html.headers["Content-Type"], empty.status, empty.body))

    def test_a_switch_dresses_every_error(self):
        for style in ("innererror", "numeric", "html", "empty"):
            with Sim("--error-style", style) as sim:
                answer = Api(sim, "azure").call("GET", "/batches/batch_none")
                self.assertEqual(404, answer.status)
                seen = {"innererror": "notFound", "numeric": '"404"', "html": "<html>", "empty": ""}[style]
                self.assertIn(seen, answer.body.decode())

    def test_any_response_can_be_scripted(self):
        api = Api(self.sim, "openai")
        self.sim.fault(operation="retrieve", fault="respond", status=200, body={"error": {"message": "gone"}})
        answer = api.call("GET", "/batches/batch_x")
        self.assertEqual((200, {"error": {"message": "gone"}}), (answer.status, answer.json()))
        self.sim.fault(operation="create_batch", fault="respond_after", status=418, body="short and stout")
        answer = api.create(api.uploaded(api.line()))
        self.assertEqual((418, b"short and stout", 1), (answer.status, answer.body, self.sim.ledger()["batches_created"]))

    def test_any_bytes_can_be_an_answer(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"\xff\0{")
            file.flush()
            self.sim.fault(operation="list", fault="respond", status=200, body_file=file.name)
            answer = Api(self.sim, "openai").call("GET", "/batches")
        self.assertEqual((200, b"\xff\0{"), (answer.status, answer.body))

    def test_nonsense_is_refused(self):
        for rule in ({"style": "x"}, {"status": 99}, {"headers": []}, {"at": -1}, {"retry_after": "in a while"}):
            self.assertEqual(400, self.sim.request("POST", "/sim/faults", json.dumps({"fault": "respond", **rule})).status, rule)


class Throttling(SimTest):
    def test_headers_are_whatever_is_asked_for(self):
        api = Api(self.sim, "azure")
        wanted = {"x-should-retry": "false", "x-ratelimit-remaining-tokens": "-1", "x-ratelimit-limit-requests": "0", "x-ratelimit-reset-requests": "6m0s"}
        self.sim.fault(operation="list", fault="500_before", headers=wanted)
        answer = api.call("GET", "/batches")
        self.assertEqual((500, wanted), (answer.status, {name: answer.headers[name] for name in wanted}))
        self.sim.fault(operation="list", fault="headers", headers=wanted)
        answer = api.call("GET", "/batches")
        self.assertEqual((200, wanted), (answer.status, {name: answer.headers[name] for name in wanted}))

    def test_waiting_times_come_in_every_form(self):
        api = Api(self.sim, "openai")
        for wanted, seen in (({"retry_after": 86400}, ("86400", None)), ({"retry_after": 10, "retry_after_ms": 500}, ("10", "500")), ({}, (None, None)),
                             ({"retry_after": "1.5"}, ("1.5", None))):
            self.sim.fault(operation="list", fault="429", **wanted)
            answer = api.call("GET", "/batches")
            self.assertEqual(seen, (answer.headers["Retry-After"], answer.headers["retry-after-ms"]))
        self.sim.fault(operation="list", fault="429", retry_after="in 90s")
        answer = api.call("GET", "/batches")
        ahead = email.utils.parsedate_to_datetime(answer.headers["Retry-After"]) - email.utils.parsedate_to_datetime(answer.headers["Date"])
        self.assertIn(ahead.total_seconds(), (90, 91))

    def test_calls_above_a_rate_are_throttled(self):
        with Sim("--rate-limit", "list=3/h", "--rate-limit", "upload=1/h") as sim:
            for dialect in ("azure", "openai"):
                api = Api(sim, dialect)
                answers = [api.call("GET", "/batches") for _ in range(5)]
                self.assertEqual([200, 200, 200, 429, 429], [answer.status for answer in answers])
                self.assertTrue(1 <= int(answers[-1].headers["Retry-After"]) <= 1200)
                self.assertEqual(("3", "0"), tuple(answers[-1].headers["x-ratelimit-" + name] for name in ("limit-requests", "remaining-requests")))
                self.assertEqual(404, api.call("GET", "/batches/none").status)
            self.assertEqual([200, 429], [api.upload(b"{}").status for _ in range(2)])
            self.assertEqual([], [text for text in sim.ledger()["violations"] if "rate" in text.lower()])
        with Sim("--rate-limit", "any=5/s") as sim:
            api = Api(sim, "openai")
            self.assertIn(429, [api.call("GET", "/files").status for _ in range(30)])
            time.sleep(0.5)  # the allowance must come back with time, and nothing else tells
            self.assertEqual(200, api.call("GET", "/files").status)


class Refusals(unittest.TestCase):
    def test_a_fast_refusal_names_its_code_in_one_place_only(self):
        for form in ("both", "code", "message", "inner", "429"):
            with Sim("--quota-mode", "fast", "--limit", "1", "--fast-refusal", form) as sim:
                for dialect in ("azure", "azure-v1", "openai"):
                    api = Api(sim, dialect)
                    answer = api.create(api.uploaded(api.line()))
                    error = answer.error
                    self.assertEqual(429 if form == "429" else 400, answer.status)
                    self.assertEqual(form in ("both", "message", "429"), "token_limit_exceeded" in error["message"])
                    if form in ("code", "message"):
                        self.assertEqual(form == "code", error["code"] == "token_limit_exceeded")
                    if form == "inner" and dialect != "openai":
                        self.assertEqual("token_limit_exceeded", error["innererror" if dialect == "azure" else "inner_error"]["code"])

    def test_the_enqueued_headers_have_either_meaning_or_are_absent(self):
        for form in ("all", "file", "absent"):
            with Sim("--enqueued-headers", form, "--running", "10m", "--limit", "1000") as sim:
                api = Api(sim, "azure")
                file_id = api.uploaded(api.line())
                seen = [api.create(file_id).headers["deployment-enqueued-tokens"] for _ in range(2)]
                if form == "absent":
                    self.assertEqual([None, None], seen)
                else:
                    self.assertEqual(2 if form == "all" else 1, int(seen[1]) / int(seen[0]))


class Transport(SimTest):
    def setUp(self):
        super().setUp()
        self.api = Api(self.sim, "openai")
        self.content = b"0123456789" * 100_000
        self.file_id = self.api.upload(self.content).json()["id"]

    def download(self, timeout=20):
        """What arrives before the connection breaks or falls silent, and whether the promised length came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=timeout)
        connection.request("GET", f"/v1/files/{self.file_id}/content", headers=self.api.headers)
        got = b""
        try:
            response = connection.getresponse()
            while piece := response.read1(65536):
                got += piece
        except (OSError, http.client.HTTPException):
            pass
        connection.close()
        return got

    def test_a_body_can_break_off_at_a_byte(self):
        for at in (0, 1, 400_000):
            self.sim.fault(operation="download", fault="shorten", at=at)
            self.assertEqual(self.content[:at], self.api.content(self.file_id))
            self.sim.fault(operation="download", fault="truncate", at=at)
            got = self.download()
            self.assertTrue(len(got) <= at and self.content.startswith(got))
        self.sim.fault(operation="download", fault="stall", at=300_000)
        self.assertEqual(self.content[:300_000], self.download(timeout=0.5))

    def test_a_connection_can_be_half_open(self):
        self.sim.fault(operation="upload", fault="half_open")
        with socket.create_connection(("127.0.0.1", self.sim.port), timeout=0.3) as client:
            client.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: 100000000\r\n\r\n")
            with self.assertRaises(socket.timeout):
                while True:
                    client.sendall(b"x" * 1_000_000)  # until the buffers are full: nobody reads
        self.assertEqual(1, self.sim.ledger()["files_uploaded"])

    def test_an_upload_can_break_in_the_middle(self):
        self.sim.fault(operation="upload", fault="reset_reading", at=500_000)
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.api.upload(b"x" * 50_000_000)
        self.assertEqual((1, 1), (self.sim.ledger()["files_uploaded"], self.sim.ledger()["answers"]["upload"]["0"]))


class Clock(unittest.TestCase):
    def test_the_services_clock_can_be_wrong(self):
        for switch, seconds in (("0", 0), ("2h", 7200), ("-2h", -7200)):
            with Sim("--clock-skew=" + switch, "--fast") as sim:
                api = Api(sim, "openai")
                answer = api.create(api.uploaded(api.line()))
                ahead = email.utils.parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
                self.assertAlmostEqual(seconds, ahead, delta=5)
                self.assertAlmostEqual(seconds, answer.json()["created_at"] - time.time(), delta=5)
                api.wait(answer.json()["id"], "completed")


if __name__ == "__main__":
    unittest.main()
