"""A batchd-sim started for a test, and a small client that speaks its three dialects; standard library only."""
import http.client
import json
import os
import ssl
import subprocess
import tempfile
import time
import unittest
from urllib.parse import urlencode

BINARY = os.environ.get("BATCHD_SIM", "build/release/batchd-sim")
DEADLINE = 20  # seconds; generous, because tests share a busy machine

DIALECTS = {
    "azure": {"base": "/openai", "version": "2024-10-21", "url": "/chat/completions", "batch_url": "/chat/completions"},
    "azure-v1": {"base": "/openai/v1", "version": None, "url": "/v1/chat/completions", "batch_url": "/chat/completions"},
    "openai": {"base": "/v1", "version": None, "url": "/v1/chat/completions", "batch_url": "/v1/chat/completions"},
}


def wait_for(condition, what):
    """Polls until the condition holds; returns its value."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError("timed out waiting for " + what)


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json()["error"]


class Sim:
    """A running simulator; use as a context manager."""

    def __init__(self, *arguments, tls=False):
        self.directory = tempfile.TemporaryDirectory(prefix="batchd-sim-test-")
        port_file = os.path.join(self.directory.name, "port")
        self.certificate = os.path.join(self.directory.name, "ca.pem") if tls else None
        command = [BINARY, "--port-file", port_file, "--dir", self.directory.name, *arguments]
        if "BATCHD_SIM_RECORD" in os.environ:
            command += ["--record", os.environ["BATCHD_SIM_RECORD"]]
        if tls:
            command += ["--tls-self-signed", self.certificate]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE)
        wait_for(lambda: os.path.exists(port_file) or self.process.poll() is not None, "the port file")
        if self.process.poll() is not None:
            raise AssertionError(self.process.stderr.read().decode())
        with open(port_file, encoding="ascii") as file:
            self.port = int(file.read())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends it with SIGTERM; it must end with 0 and have complained about nothing, a sanitizer's report included."""
        self.process.terminate()
        complaints = self.process.communicate(timeout=DEADLINE)[1].decode().splitlines()[1:]
        self.directory.cleanup()
        assert self.process.returncode == 0 and not complaints, (self.process.returncode, complaints)

    def connect(self):
        if self.certificate is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        context = ssl.create_default_context(cafile=self.certificate)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=context)

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def ledger(self, details=False):
        return self.request("GET", "/sim/ledger" + ("?details=1" if details else "")).json()

    def executions(self):
        text = self.request("GET", "/sim/ledger/executions").body.decode()
        return [json.loads(line) for line in text.splitlines()]

    def fault(self, **rule):
        answer = self.request("POST", "/sim/faults", json.dumps(rule))
        assert answer.status == 200, answer.body

    def control(self, path, **wish):
        """A call of the control plane, such as control(f"batches/{id}/end", end="failed")."""
        answer = self.request("POST", "/sim/" + path, json.dumps(wish))
        assert answer.status == 200, answer.body
        return answer.json()

    def reset(self):
        self.request("POST", "/sim/reset")


class Api:
    """The provider's API in one dialect."""

    def __init__(self, sim, dialect, version=None):
        self.sim = sim
        self.dialect = dialect
        self.facts = dict(DIALECTS[dialect])
        if version:
            self.facts["version"] = version
        self.headers = {"Authorization": "Bearer k"} if dialect == "openai" else {"api-key": "k"}

    def call(self, method, path, body=None, headers=None, **query):
        if self.facts["version"] and "api-version" not in query:
            query["api-version"] = self.facts["version"]
        target = self.facts["base"] + path + ("?" + urlencode(query) if query else "")
        return self.sim.request(method, target, body, {**self.headers, **(headers or {})})

    def line(self, custom_id="r-1", content="hello", **changes):
        """A valid request as an object; `body_…` changes its body, `...` takes a member away."""
        line = {"custom_id": custom_id, "method": "POST", "url": self.facts["url"], "body": {"model": "m", "messages": [{"role": "user", "content": content}]}}
        if custom_id is ...:
            del line["custom_id"]
        for name, value in changes.items():
            place, key = (line["body"], name[5:]) if name.startswith("body_") else (line, name)
            if value is ...:
                del place[key]
            else:
                place[key] = value
        return line

    def file_of(self, *lines):
        return "".join(json.dumps(line) + "\n" for line in lines).encode()

    def form(self, content, filename="in.jsonl", content_type="application/json", fields=(("purpose", "batch"),)):
        parts = [f'--bnd\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields]
        name = f'; filename="{filename}"' if filename is not None else ""
        kind = f"Content-Type: {content_type}\r\n" if content_type else ""
        if content is not None:
            parts.append(f'--bnd\r\nContent-Disposition: form-data; name="file"{name}\r\n{kind}\r\n'.encode() + content + b"\r\n")
        return b"".join(parts) + b"--bnd--\r\n"

    def upload(self, content, **form):
        return self.call("POST", "/files", self.form(content, **form), {"Content-Type": "multipart/form-data; boundary=bnd"})

    def uploaded(self, *lines):
        answer = self.upload(self.file_of(*lines))
        assert answer.status in (200, 201), answer.body
        return answer.json()["id"]

    def create(self, file_id, **changes):
        body = {"input_file_id": file_id, "endpoint": self.facts["batch_url"], "completion_window": "24h", **changes}
        return self.call("POST", "/batches", json.dumps({key: value for key, value in body.items() if value is not ...}))

    def created(self, *lines, **changes):
        answer = self.create(self.uploaded(*lines), **changes)
        assert answer.status in (200, 201), answer.body
        return answer.json()["id"]

    def batch(self, batch_id):
        return self.call("GET", "/batches/" + batch_id).json()

    def wait(self, batch_id, status):
        """Polls until the batch is in that state; fails at once when it is over in another one."""

        def reached():
            batch = self.batch(batch_id)
            if batch["status"] == status:
                return batch
            assert batch["status"] not in ("completed", "failed", "expired", "cancelled"), batch
            return None

        return wait_for(reached, "batch to be " + status)

    def content(self, file_id):
        answer = self.call("GET", f"/files/{file_id}/content")
        assert answer.status == 200, answer.body
        return answer.body

    def results(self, batch):
        """The lines of both result files as text, output first."""
        return [self.content(batch[name]).decode().splitlines() if batch[name] else [] for name in ("output_file_id", "error_file_id")]


class SimTest(unittest.TestCase):
    """Tests that share one simulator, which forgets everything between them."""

    arguments = ("--fast",)
    tls = False

    @classmethod
    def setUpClass(cls):
        cls.sim = Sim(*cls.arguments, tls=cls.tls)

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()

    def setUp(self):
        self.sim.reset()

    def each_dialect(self):
        return [Api(self.sim, dialect) for dialect in DIALECTS]
