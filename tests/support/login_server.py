"""Stand-ins for what surrounds a provider's credentials: the login of Microsoft Entra together with a machine's identity
endpoint, and a gate before the simulator that decides who is let in. Loopback only; the Python standard library is all it needs."""

import http.client
import http.server
import json
import threading
import time
import urllib.parse


class Server:
    """An HTTP server on a free port of its own; `handle(request, body)` returns (status, headers, body)."""

    def __init__(self, tls=None):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, headers, answer = outer.handle(self, body)
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            do_GET = do_POST = do_DELETE = serve

            def log_message(self, *_):
                pass

        self.lock = threading.Lock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            self.server.handle_error = lambda *_: None  # a handshake that the test wants to fail
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


def answer(status, value, **headers):
    return status, [("Content-Type", "application/json"), *((name.replace("_", "-"), text) for name, text in headers.items())], json.dumps(value).encode()


def refusal(status, number, error="invalid_client", text="no"):
    """An answer of the login without a token."""
    return answer(status, {"error": error, "error_description": f"AADSTS{number}: {text}. Trace ID: 0 Correlation ID: 0\r\n", "error_codes": [number],
                           "timestamp": "2024-01-01 00:00:00Z", "trace_id": "0", "correlation_id": "0"})


class Login(Server):
    """Gives tokens for `secret` or `assertion` at /TENANT/oauth2/v2.0/token, and for nothing at the identity endpoint's path.
    `trouble` is answered first, one answer an exchange; `seen` has what each exchange asked for."""

    def __init__(self, life=3600, tls=None):
        super().__init__(tls)
        self.life = life
        self.secret = None
        self.assertion = None
        self.trouble = []
        self.seen = []  # {"at": …, "status": …, the fields of the form or of the query}
        self.tokens = {}  # token -> (scope or resource, when it ends)

    def handle(self, request, body):
        url = urllib.parse.urlsplit(request.path)
        machine = url.path == "/metadata/identity/oauth2/token"
        fields = dict(urllib.parse.parse_qsl(url.query if machine else body.decode()))
        with self.lock:
            status, headers, text = self.trouble.pop(0) if self.trouble else self.judge(request, url, fields, machine)
            self.seen.append({**fields, "at": time.monotonic(), "status": status, "path": url.path})
        return status, headers, text

    def judge(self, request, url, fields, machine):
        if machine:
            if request.headers.get("Metadata") != "true" or "resource" not in fields:
                return answer(400, {"error": "invalid_request", "error_description": "Required metadata header not specified"})
            return self.grant(fields["resource"], str)
        if request.command != "POST" or not url.path.endswith("/oauth2/v2.0/token") or url.path.count("/") != 4:
            return answer(404, {})
        if self.secret is not None and fields.get("client_secret") != self.secret:
            return refusal(401, 7000215, text="Invalid client secret provided")
        if self.assertion is not None and fields.get("client_assertion") != self.assertion:
            return refusal(401, 700027, text="The assertion is not the present one")
        return self.grant(fields.get("scope"), int)

    def grant(self, audience, number):
        token = f"secret-token-{len(self.tokens) + 1}"
        self.tokens[token] = (audience, time.monotonic() + self.life)
        return answer(200, {"token_type": "Bearer", "expires_in": number(self.life), "access_token": token})

    def valid(self, token, scope):
        with self.lock:
            audience, end = self.tokens.get(token, (None, 0))
            return audience in (scope, scope.removesuffix("/.default")) and time.monotonic() < end

    def revoke(self, token):
        with self.lock:
            audience, _ = self.tokens[token]
            self.tokens[token] = (audience, 0)

    def exchanges(self, status=200):
        with self.lock:
            return [seen for seen in self.seen if seen["status"] == status]


class Gate(Server):
    """Stands before the simulator and lets in who shows one of `keys`, or a token that `login` holds to be valid for `scope` when the whole
    request has been read. `closed` is answered to all while it is set; `during` is called once with (operation, token), before it is judged."""

    SCOPE = "https://cognitiveservices.azure.com/.default"

    def __init__(self, sim_port, login=None, keys=(), tls=None):
        super().__init__(tls)
        self.sim_port = sim_port
        self.login = login
        self.keys = set(keys)
        self.closed = None
        self.during = None
        self.refused = []  # (time, path)
        self.both_headers = 0

    def handle(self, request, body):
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.during:
            self.during(f"{request.command} {urllib.parse.urlsplit(request.path).path}", token)
        key = request.headers.get("api-key") or token
        self.both_headers += "api-key" in request.headers and "Authorization" in request.headers
        if self.closed or not (key in self.keys or (self.login and self.login.valid(token, self.SCOPE))):
            with self.lock:
                self.refused.append((time.monotonic(), request.path))
            return self.closed or answer(401, {"error": {"code": "401", "message": "Unauthorized. Access token is missing, invalid, audience is incorrect "
                                                         f"({self.SCOPE.removesuffix('/.default')}), or have expired."}})
        return self.forward(request, body)

    def forward(self, request, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.sim_port, timeout=60)
        try:
            kept = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "connection", "content-length")}
            connection.request(request.command, request.path, body or None, kept)
            given = connection.getresponse()
            text = given.read()
            headers = [(name, value) for name, value in given.getheaders() if name.lower() not in ("content-length", "transfer-encoding", "connection")]
            return given.status, headers, text
        finally:
            connection.close()
