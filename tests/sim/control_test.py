"""The control plane and the process: ledger, faults, TLS, command line, bounded memory."""
import http.client
import json
import os
import signal
import socket
import subprocess
import time
import unittest

from support import BINARY, Api, Sim, SimTest, wait_for


class Ledger(SimTest):
    def test_it_counts_what_happened(self):
        api = Api(self.sim, "azure")
        file_id = api.uploaded(api.line("a", "one"), api.line("b", "two"), api.line("c", "two", body_user="sim:429"))
        batch_id = api.create(file_id, metadata={"k": "v"}).json()["id"]
        batch = api.wait(batch_id, "completed")
        api.results(batch)
        api.call("GET", "/batches")
        api.call("DELETE", "/files/" + file_id)
        ledger = self.sim.ledger(details=True)
        expected = {
            "files_uploaded": 1, "files_deleted": 1, "files_now": 2, "batches_created": 1, "batches": {"completed": 1}, "requests_executed": 3,
            "requests_answered": 2, "requests_executed_more_than_once": 0, "prompts_executed_more_than_once": 1, "violations": [],
        }
        self.assertEqual(expected, {name: ledger[name] for name in expected})
        self.assertEqual(ledger["tokens_billed"], ledger["input_tokens_billed"] + ledger["output_tokens_billed"])
        self.assertEqual({"upload": 1, "create_batch": 1, "download": 2, "list": 1, "delete": 1},
                         {name: ledger["calls"][name] for name in ("upload", "create_batch", "download", "list", "delete")})
        detail = ledger["details"][0]
        self.assertEqual((batch_id, file_id, {"k": "v"}, "completed", 3), tuple(detail[name] for name in ("id", "input_file_id", "metadata", "status", "requests")))
        self.assertEqual({("a", 200), ("b", 200), ("c", 429)}, {(run["custom_id"], run["status"]) for run in self.sim.executions()})
        self.assertEqual({batch_id}, {run["batch_id"] for run in self.sim.executions()})

    def test_deleting_the_input_of_a_living_batch_is_noted(self):
        with Sim("--running", "10m") as sim:
            api = Api(sim, "openai")
            file_id = api.uploaded(api.line())
            api.create(file_id)
            api.call("DELETE", "/files/" + file_id)
            self.assertEqual(1, sim.ledger()["inputs_deleted_while_needed"])

    def test_a_reset_forgets_everything(self):
        api = Api(self.sim, "openai")
        batch_id = api.created(api.line())
        self.sim.reset()
        self.assertEqual(404, api.call("GET", "/batches/" + batch_id).status)
        self.assertEqual((0, 0, 0), tuple(self.sim.ledger()[name] for name in ("files_now", "batches_created", "requests_executed")))
        self.assertEqual([], self.sim.executions())


class Faults(SimTest):
    def setUp(self):
        super().setUp()
        self.api = Api(self.sim, "openai")

    def broken(self, call):
        """What the client sees instead of an answer."""
        with self.assertRaises((ConnectionResetError, http.client.HTTPException, socket.timeout)):
            call()

    def test_before_means_without_effect_and_after_with_it(self):
        api = self.api
        file_id = api.uploaded(api.line())
        for fault, created in (("reset_before", 0), ("500_before", 0), ("502_html", 0), ("503", 0), ("reset_after", 1), ("500_after", 1),
                               ("502_html_after", 1), ("408_after", 1), ("empty", 1), ("garbage", 1)):
            with self.subTest(fault=fault):
                before = self.sim.ledger()["batches_created"]
                self.sim.fault(operation="create_batch", fault=fault)
                if fault.startswith("reset"):
                    self.broken(lambda: api.create(file_id))
                else:
                    answer = api.create(file_id)
                    expected = int(fault[:3]) if fault[0].isdigit() else 200
                    self.assertEqual(expected, answer.status)
                    self.assertEqual("html" in fault, answer.headers["Content-Type"] == "text/html")
                self.assertEqual(created, self.sim.ledger()["batches_created"] - before)
        self.assertEqual(0, self.sim.ledger()["faults_pending"])

    def test_every_operation_can_be_struck(self):
        api = self.api
        file_id = api.uploaded(api.line())
        batch_id = api.create(file_id).json()["id"]
        calls = {
            "upload": lambda: api.upload(b"{}"),
            "files": lambda: api.call("GET", "/files"),
            "file": lambda: api.call("GET", "/files/" + file_id),
            "download": lambda: api.call("GET", f"/files/{file_id}/content"),
            "create_batch": lambda: api.create(file_id),
            "list": lambda: api.call("GET", "/batches"),
            "retrieve": lambda: api.call("GET", "/batches/" + batch_id),
            "cancel": lambda: api.call("POST", f"/batches/{batch_id}/cancel"),
            "delete": lambda: api.call("DELETE", "/files/" + file_id),
        }
        for operation, call in calls.items():
            self.sim.fault(operation=operation, fault="503")
            self.assertEqual(503, call().status, operation)
            self.assertNotEqual(503, call().status, operation)

    def test_the_nth_call_and_the_next_k_are_struck(self):
        self.sim.fault(operation="list", fault="429", nth=3, times=2)
        self.assertEqual([200, 200, 429, 429, 200], [self.api.call("GET", "/batches").status for _ in range(5)])

    def test_chance_strikes_by_its_seed(self):
        self.sim.fault(operation="any", fault="503", probability=0.3)
        statuses = [self.api.call("GET", "/batches").status for _ in range(200)]
        self.assertTrue(30 < statuses.count(503) < 90, statuses.count(503))
        self.sim.request("DELETE", "/sim/faults")
        self.assertEqual(200, self.api.call("GET", "/batches").status)

    def test_throttling_carries_its_headers_verbatim(self):
        self.sim.fault(operation="list", fault="429", retry_after="Wed, 21 Oct 2026 07:28:00 GMT", retry_after_ms=1500)
        answer = self.api.call("GET", "/batches")
        self.assertEqual((429, "Wed, 21 Oct 2026 07:28:00 GMT", "1500"), (answer.status, answer.headers["Retry-After"], answer.headers["retry-after-ms"]))
        for status in (401, 403, 404):
            self.sim.fault(operation="list", fault=str(status))
            self.assertEqual(status, self.api.call("GET", "/batches").status)

    def test_a_download_can_be_cut_or_short(self):
        content = b"0123456789" * 100_000
        file_id = self.api.upload(content).json()["id"]
        self.sim.fault(operation="download", fault="truncate")
        self.broken(lambda: self.api.content(file_id))
        self.sim.fault(operation="download", fault="shorten")
        self.assertEqual(content[:500_000], self.api.content(file_id))
        self.sim.fault(operation="download", fault="slow", delay="20ms")
        started = time.monotonic()
        self.assertEqual(content, self.api.content(file_id))
        self.assertGreater(time.monotonic() - started, 0.1)

    def test_a_call_can_hang(self):
        file_id = self.api.uploaded(self.api.line())
        for fault, created in (("hang", 0), ("hang_after", 1)):
            self.sim.fault(operation="create_batch", fault=fault)
            connection = http.client.HTTPConnection("127.0.0.1", self.sim.port, timeout=1)
            body = json.dumps({"input_file_id": file_id, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
            connection.request("POST", "/v1/batches", body, self.api.headers)
            self.assertRaises(socket.timeout, connection.getresponse)
            connection.close()
            self.assertEqual(created, self.sim.ledger()["batches_created"])

    def test_a_lost_creation_can_come_true_late(self):
        file_id = self.api.uploaded(self.api.line())
        self.sim.fault(operation="create_batch", fault="late", delay="2s")
        self.broken(lambda: self.api.create(file_id))
        self.assertEqual(0, self.sim.ledger()["batches_created"])
        wait_for(lambda: self.sim.ledger()["batches_created"] == 1, "the late batch")
        self.sim.fault(operation="create_batch", fault="late", delay="2s")
        self.broken(lambda: self.api.create(file_id))
        self.api.call("DELETE", "/files/" + file_id)
        time.sleep(2.5)  # a batch that must not appear cannot be waited for
        self.assertEqual(1, self.sim.ledger()["batches_created"])

    def test_one_batch_or_file_can_stay_out_of_sight(self):
        self.sim.fault(operation="upload", fault="file_invisible", delay="2s")
        file_id = self.api.uploaded(self.api.line())
        self.assertEqual(404, self.api.call("GET", "/files/" + file_id).status)
        wait_for(lambda: self.api.call("GET", "/files/" + file_id).status == 200, "the file")
        self.sim.fault(operation="create_batch", fault="list_lag", delay="2s")
        self.api.create(file_id)
        self.assertEqual([], self.api.call("GET", "/batches").json()["data"])
        wait_for(lambda: self.api.call("GET", "/batches").json()["data"], "the batch")

    def test_nonsense_is_refused(self):
        for rule in ([1], {}, {"fault": "x"}, {"fault": "503", "operation": "x"}, {"fault": "503", "nth": 0}, {"fault": "503", "colour": 1},
                     {"fault": "slow", "delay": "x"}):
            self.assertEqual(400, self.sim.request("POST", "/sim/faults", json.dumps(rule)).status, rule)
        self.assertEqual(400, self.sim.request("POST", "/sim/faults", "{").status)


class Tls(SimTest):
    tls = True

    def test_everything_works_over_tls(self):
        for api in self.each_dialect():
            content = api.file_of(*[api.line(str(i), "x" * 1000) for i in range(2000)])
            file_id = api.upload(content).json()["id"]
            self.assertEqual(content, api.content(file_id))
            batch = api.wait(api.create(file_id).json()["id"], "completed")
            self.assertEqual(2000, len(api.results(batch)[0]))
        self.sim.fault(operation="any", fault="reset_before")
        with self.assertRaises((OSError, http.client.HTTPException)):
            api.call("GET", "/batches")


class Http(SimTest):
    def test_a_connection_serves_many_calls(self):
        connection = self.sim.connect()
        for _ in range(50):
            connection.request("GET", "/v1/batches", headers={"Authorization": "Bearer k"})
            self.assertEqual(200, connection.getresponse().read() and 200)
        connection.close()

    def test_a_refused_upload_leaves_the_connection_usable(self):
        api = Api(self.sim, "openai")
        connection = self.sim.connect()
        for headers, status in (({}, 401), (api.headers, 400)):
            connection.request("POST", "/v1/files", b"x" * 5_000_000, {**headers, "Content-Type": "text/plain"})
            answer = connection.getresponse()
            self.assertEqual(status, answer.status)
            answer.read()
        connection.close()

    def test_expect_continue_is_answered(self):
        api = Api(self.sim, "openai")
        body = api.form(b"{}")
        with socket.create_connection(("127.0.0.1", self.sim.port), timeout=10) as client:
            client.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nExpect: 100-continue\r\n"
                           b"Content-Type: multipart/form-data; boundary=bnd\r\nContent-Length: %d\r\n\r\n" % len(body))
            self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 100"))
            client.sendall(body)
            self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 200"))

    def test_a_client_that_leaves_in_the_middle_of_an_upload_harms_nobody(self):
        with socket.create_connection(("127.0.0.1", self.sim.port)) as client:
            client.sendall(b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"
                           b"Content-Type: multipart/form-data; boundary=bnd\r\nContent-Length: 1000\r\n\r\n--bnd\r\n")
        self.assertEqual(0, self.sim.ledger()["files_uploaded"])


class Process(unittest.TestCase):
    def run_with(self, *arguments):
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=20, check=False)

    def test_help_lists_every_switch_of_the_readme(self):
        text = self.run_with("--help").stdout
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md"), encoding="utf-8") as file:
            readme = file.read()
        switches = {word.strip("`") for line in readme.splitlines() if line.startswith("| `--") for word in line.split()[1:2]}
        shown = {word.rstrip(",") for word in text.split() if word.startswith("--") and word[2:3].isalpha()}
        self.assertEqual(set(), switches - shown)
        self.assertEqual(set(), {line.split()[0] for line in text.splitlines() if line.startswith("  --")} - switches)

    def test_help_lists_every_kind_and_fault_of_the_readme(self):
        """And nothing that the README does not describe in a table's first cell."""
        lines = self.run_with("--help").stdout.splitlines()
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md"), encoding="utf-8") as file:
            readme = file.read()
        for heading, first, last in (("Kinds", "| kind |", "A request runs"), ("Faults", "| fault |", "Error styles")):
            shown = next(after.split() for line, after in zip(lines, lines[1:]) if line.startswith(heading))
            rows = readme.split(first)[1].split(last)[0].splitlines()
            described = [name for row in rows if row.startswith("| `") for name in row.split(" | ")[0].replace("|", "").replace("`", "").split()]
            self.assertEqual(sorted(set(shown) - {"ok"}), sorted(described))
            self.assertEqual(len(shown), len(set(shown)))

    def test_bad_usage_is_refused_with_a_reason(self):
        for arguments, fragment in ((["--colour"], "--colour"), (["--running", "soon"], "soon"), (["--deployment", "m"], "NAME=TOKENS"),
                                    (["--count", "exact"], "vocabulary"), (["--count", "table"], "--token-table"), (["--fault", "{}"], "--fault"),
                                    (["--tls-cert", "x"], "--tls-key"), (["--quota-mode", "x"], "--quota-mode")):
            with self.subTest(arguments=arguments):
                done = self.run_with("--port", "0", *arguments)
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(fragment, done.stderr)

    def test_a_port_in_use_is_a_failure(self):
        with Sim() as sim:
            self.assertEqual(1, self.run_with("--port", str(sim.port)).returncode)

    def test_it_ends_cleanly_on_either_signal_and_leaves_no_files(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Sim("--running", "10m") as sim:
                api = Api(sim, "openai")
                api.created(api.line())
                connection = sim.connect()
                connection.request("GET", "/v1/batches", headers=api.headers)
                connection.getresponse().read()
                self.assertEqual(["port"], os.listdir(sim.directory.name))
                sim.process.send_signal(number)
                self.assertEqual(0, sim.process.wait(10))
                connection.close()

    def test_faults_can_be_given_on_the_command_line(self):
        with Sim("--fault", '{"operation":"list","fault":"503"}') as sim:
            api = Api(sim, "openai")
            self.assertEqual([503, 200], [api.call("GET", "/batches").status for _ in range(2)])


if __name__ == "__main__":
    unittest.main()
