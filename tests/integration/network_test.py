#!/usr/bin/env python3
"""The way to a provider: corporate proxies, private authorities, client certificates, and outages. Real daemons and commands speak TLS through
a real CONNECT proxy, which alone knows where their provider is."""

import os
import pathlib
import ssl
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from certificates import Authority  # noqa: E402
from connect_proxy import ConnectProxy  # noqa: E402
from login_server import Gate, Login, answer  # noqa: E402
from stack import BATCHD, Stack, chat, environment, until  # noqa: E402

SECRET = "pr0xy-s3cret"
WITHHELD = 'batchd_provider_calls_withheld{provider="sim"}'


class Network(Stack):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self.place)
        self.asked_for = []  # names by SNI

    def tls(self, *names):
        context = self.authority.server(*names)
        context.sni_callback = lambda socket, name, _: self.asked_for.append(name)
        return context

    def far_away(self, names=("DNS:sim.test",), login=None, keys=("canary-key",), **proxy):
        """The simulator as https://sim.test behind a proxy; the daemon's own resolver knows no such host."""
        self.sim("--fast")
        self.door = Gate(self.provider.port, login, keys, tls=self.tls(*names))
        self.addCleanup(self.door.stop)
        self.hosts = {"sim.test:443": self.door.port}
        self.proxy = ConnectProxy(self.hosts, **proxy)
        self.addCleanup(self.proxy.stop)

    def config(self, lines=None, **options):
        text = super().config(**options).replace(f"http://127.0.0.1:{self.provider.port}", "https://sim.test")
        lines = f'proxy = "{self.proxy.url}"' if lines is None else lines
        return text.replace("[[deployment]]", f'ca_file = "{self.authority.ca}"\n{lines}\n[[deployment]]', 1)

    def command(self, name, config, expect=0, **variables):
        file = self.place / "command.toml"
        file.write_text(config)
        done = subprocess.run([BATCHD, name, "--config", file], capture_output=True, timeout=60, env=environment(**variables))
        said = (done.stdout + done.stderr).decode()
        self.assertEqual(expect, done.returncode, said)
        self.assertNotIn(SECRET, said)
        return said

    def doctor(self, *lines, expect=3):
        """What it says of the provider."""
        said = self.command("doctor", self.config("\n".join(lines) if lines else None), expect)
        return next(line for line in said.splitlines() if "provider sim" in line)

    def variables(self, **named):
        """Of this process and so of the daemons."""
        for name, value in named.items():
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name, None)

    def answered(self, count):
        self.settled(count)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
        self.assertEqual(count, self.ledger()["requests_executed"])
        for daemon in self.daemons:
            self.assertNotIn(SECRET, daemon.log_path.read_text())


class Proxies(Network):
    def test_the_whole_job_goes_through_the_proxy_that_the_environment_names(self):
        self.far_away(credentials=f"me:{SECRET}")
        self.variables(HTTPS_PROXY=self.proxy.url.replace("//", f"//me:{SECRET}@"), NO_PROXY="localhost,.example.com")
        self.serve(config=self.config(""))
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.answered(40)
        self.assertEqual({("sim.test:443", 200)}, set(self.proxy.asked))
        self.assertEqual({"sim.test"}, set(self.asked_for), "SNI names the origin, not the proxy")
        self.assertIn(f"through proxy {self.proxy.url}", self.command("check-config", self.config("")))
        before = len(self.proxy.asked)
        self.assertIn("cannot resolve 'sim.test'", self.doctor('proxy = "none"'))
        self.variables(NO_PROXY=".test")
        self.assertIn("cannot resolve 'sim.test'", self.doctor(""))
        self.assertEqual(before, len(self.proxy.asked), "nothing asked the proxy")

    def test_entra_tokens_come_through_it_too(self):
        login = Login(tls=self.tls("DNS:login.test"))
        self.addCleanup(login.stop)
        self.far_away(login=login)
        self.hosts["login.test:443"] = login.port
        (self.place / "secret").write_text("client-secret-1\n")
        entra = (f'proxy = "{self.proxy.url}"\nentra = "client-secret"\ntenant_id = "my-tenant"\nclient_id = "my-app"\n'
                 f'client_secret_file = "{self.place}/secret"\nauthority = "https://login.test"')
        config = "\n".join(line for line in self.config(entra).splitlines() if not line.startswith("api_key_file")) + "\n"
        self.serve(config=config)
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.answered(40)
        self.assertEqual({"login.test:443", "sim.test:443"}, {target for target, _ in self.proxy.asked})
        self.assertEqual(1, len(login.exchanges()))

    def test_a_proxy_that_wants_other_credentials_is_named_and_a_new_file_is_used_at_once(self):
        self.far_away(credentials=f"me:{SECRET}")
        file = self.place / "proxy"
        file.write_text("me:wrong\n")
        daemon = self.serve(config=self.config(f'proxy = "{self.proxy.url}"\nproxy_credentials_file = "{file}"'))
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        said = until("it says so", lambda: daemon.saw("provider.unavailable"))[0]["message"]
        self.assertRegex(said, r"^proxy http://127\.0\.0\.1:\d+ gives no connection to sim\.test: HTTP 407 .*does not take the credentials")
        until("the metric", lambda: daemon.metric(WITHHELD) == 1)
        self.assertEqual(0, self.ledger()["batches_created"])
        file.write_text(f"me:{SECRET}\n")
        self.answered(40)
        self.assertEqual({407, 200}, {status for _, status in self.proxy.asked})
        until("the metric", lambda: daemon.metric(WITHHELD) == 0)

    def test_a_proxy_that_refuses_hangs_up_and_cuts_costs_time_and_nothing_else(self):
        self.far_away()
        daemon = self.serve(config=self.config(planner='linger = "50ms"\nmax_requests = 10'))
        self.proxy.refuse = (403, "Forbidden by policy")
        self.enqueue([chat(f"prompt {i}") for i in range(60)])
        until("the refusal", lambda: any("HTTP 403 Forbidden by policy" in line["message"] for line in daemon.saw("provider.unavailable")))
        self.proxy.refuse, self.proxy.hang_up = None, True
        until("the silence", lambda: any(status == 0 for _, status in self.proxy.asked))
        self.proxy.hang_up = False
        for _ in range(5):
            seen = len(self.proxy.asked)
            self.proxy.cut()
            until("another connection", lambda: len(self.proxy.asked) > seen or self.number_of("SELECT count(*) FROM batchd.result") == 60)
        self.answered(60)

    def test_doctor_tests_the_way_and_says_what_is_wrong_with_it(self):
        self.far_away(credentials=f"me:{SECRET}")
        credentials = self.place / "proxy"
        credentials.write_text(f"me:{SECRET}\n")
        through = f'proxy = "{self.proxy.url}"\nproxy_credentials_file = "{credentials}"'
        self.assertRegex(self.doctor(through, expect=0), f"^ok .* through proxy {self.proxy.url}$")
        self.assertRegex(self.doctor(), "HTTP 407 Proxy Authentication Required .it wants credentials.*check the proxy")
        self.proxy.refuse = (502, "Bad Gateway")
        self.assertIn("HTTP 502 Bad Gateway", self.doctor(through))

    def test_a_proxy_may_itself_be_spoken_to_over_tls(self):
        self.far_away(credentials=f"me:{SECRET}", tls=self.tls("IP:127.0.0.1"))
        self.serve(config=self.config(f'proxy = "{self.proxy.url.replace("//", f"//me:{SECRET}@")}"'))
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.answered(40)


class Certificates(Network):
    def test_inside_a_tunnel_it_is_the_origin_that_has_to_prove_itself(self):
        self.far_away(names=("DNS:other.test", "IP:127.0.0.1"))
        self.assertIn("hostname mismatch", self.doctor())
        self.assertEqual([], self.door.refused, "it saw no key, and no call")
        stranger = Authority(self.place, "a stranger")
        config = self.config().replace(str(self.authority.ca), str(stranger.ca))
        self.assertIn("certificate refused: unable to get local issuer certificate", self.command("doctor", config, 3))

    def test_a_certificate_is_shown_to_an_endpoint_that_asks_for_one(self):
        context = self.tls("DNS:sim.test")
        context.load_verify_locations(self.authority.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.tls = lambda *names: context
        self.far_away()
        mine, key = self.authority.issue("DNS:client.test")
        through = f'proxy = "{self.proxy.url}"'
        self.assertRegex(self.doctor(through), "^fail .*(alert|certificate|closed)")
        shown = f'{through}\nclient_cert_file = "{mine}"\nclient_key_file = "{key}"'
        self.assertRegex(self.doctor(shown, expect=0), "^ok")
        self.serve(config=self.config(shown))
        self.enqueue([chat("one")])
        self.answered(1)

    def test_a_certificate_that_cannot_be_used_is_told_by_every_command_that_would(self):
        self.far_away()
        mine, _ = self.authority.issue("DNS:client.test")
        _, other = self.authority.issue("DNS:client.test")
        (self.place / "rubbish.pem").write_text("rubbish")
        for lines, sentence in ((f'client_cert_file = "{mine}"\nclient_key_file = "{other}"', "does not belong to the certificate"),
                                (f'client_cert_file = "{mine}"', "client_key_file: missing"),
                                (f'client_cert_file = "{self.place}/rubbish.pem"\nclient_key_file = "{other}"', "holds no readable PEM certificate"),
                                (f'client_cert_file = "/nowhere.pem"\nclient_key_file = "{other}"', "No such file")):
            for command in ("check-config", "doctor", "serve"):
                with self.subTest(f"{command}: {sentence}"):
                    self.assertIn(sentence, self.command(command, self.config(lines), 2))


class Outage(Network):
    def config(self, **options):
        return super(Network, self).config(**options).replace(f"127.0.0.1:{self.provider.port}", f"127.0.0.1:{self.door.port}")

    def test_while_a_provider_is_away_one_call_at_a_time_finds_out(self):
        shards = 60
        self.sim("--fast", "--running", "1h")
        self.door = Gate(self.provider.port, keys=["canary-key"])
        self.addCleanup(self.door.stop)
        daemon = self.serve(planner='linger = "0s"\nmax_requests = 1', retry='base_delay = "200ms"\nmax_delay = "1s"\nsettle_window = "1s"')
        self.enqueue([chat(f"prompt {i}") for i in range(shards)])
        until("all run", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'submitted' AND batch_id IS NOT NULL") == shards)

        all_finished = threading.Event()

        def during(called, _):
            if called.endswith("/content"):  # answers are fetched only when there is everybody to wait for them
                self.assertTrue(all_finished.wait(60))
                self.door.closed = answer(503, {})
        self.door.during = during
        for batch in self.sql("SELECT batch_id FROM batchd.shard").split():
            self.complete(batch)
        until("so many wait", lambda: self.number_of("SELECT count(*) FROM batchd.shard WHERE state = 'finished'") == shards)
        all_finished.set()
        until("the outage", lambda: self.door.refused)
        until("the metric", lambda: daemon.metric(WITHHELD) == 1)
        time.sleep(4)  # as long as the outage is watched
        self.assertLess(len(self.door.refused), 40, "a few until it was noticed, then a probe each second at most")
        self.assertLess(max(map(int, self.sql("SELECT failures FROM batchd.shard").split())), 10, "nobody is blamed for waiting")
        self.door.during = self.door.closed = None
        self.answered(shards)
        self.assertTrue(daemon.saw("provider.unavailable") and daemon.saw("provider.answers"))
        until("the metric", lambda: daemon.metric(WITHHELD) == 0)


if __name__ == "__main__":
    unittest.main()
