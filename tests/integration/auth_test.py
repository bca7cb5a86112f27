#!/usr/bin/env python3
"""Credentials end to end (PROTOCOL.md 14 and its edge case 17): tokens that run out, identity services in trouble, keys that are rotated, and lanes
that stop without costing anybody an attempt and go on when they can."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from login_server import Gate, Login, answer, refusal  # noqa: E402
from stack import DEADLINE, Stack, asking_for, chat, until  # noqa: E402

PAUSED = 'batchd_lane_paused{deployment="mini",reason="account"}'
SEEN = 'base_delay = "10s"\nmax_delay = "10s"\nsettle_window = "1s"'  # long enough for a pause to be seen among the metrics
PATIENT = 'base_delay = "10m"\nmax_delay = "1h"\nsettle_window = "1s"'  # whoever waits for a probe of this lane fails the test


class Auth(Stack):
    def login(self, **options):
        self.entra = Login(**options)
        self.addCleanup(self.entra.stop)
        return self.entra

    def gate(self, keys=()):
        """The simulator behind a gate; the daemon speaks to the gate."""
        self.sim("--fast")
        self.door = Gate(self.provider.port, getattr(self, "entra", None), keys)
        self.addCleanup(self.door.stop)
        return self.door

    def config(self, credential=None, **options):
        text = super().config(**options).replace(f"127.0.0.1:{self.provider.port}", f"127.0.0.1:{self.door.port}")
        if credential is None:
            return text
        lines = [line for line in text.splitlines() if not line.startswith("api_key_file")]
        return "\n".join(lines).replace('[[deployment]]', f"{credential}\n[[deployment]]", 1) + "\n"

    def with_secret(self, secret="client-secret-1", scope=""):
        """A provider that logs in with a secret from a file."""
        file = self.place / "secret"
        file.write_text(secret + "\n")
        return (f'entra = "client-secret"\ntenant_id = "my-tenant"\nclient_id = "my-app"\nclient_secret_file = "{file}"\n'
                f'authority = "{self.entra.url}/"\n{scope}')

    def with_machine(self):
        return f'entra = "managed-identity"\nidentity_endpoint = "{self.entra.url}"\n'

    def with_workload(self):
        return (f'entra = "workload-identity"\ntenant_id = "my-tenant"\nclient_id = "my-app"\ntoken_file = "{self.place}/federated"\n'
                f'authority = "{self.entra.url}"\n')

    def answered(self, count, attempts=1):
        """All rows have their answer, nobody lost an attempt, every prompt ran once, and the log keeps every secret."""
        self.settled(count)
        self.assertEqual({("succeeded", None, attempts)}, set(self.outcomes().values()))
        self.assertEqual(count, self.ledger()["requests_executed"])
        self.assertEqual(0, self.door.both_headers)
        for daemon in self.daemons:
            text = daemon.log_path.read_text()
            for secret in ("secret-token", "client-secret-1", "client-secret-2", "canary-key", "new-key", "first.jwt"):
                self.assertNotIn(secret, text)

    def nothing_burnt(self, count):
        self.conserved()
        self.assertEqual(count, self.number_of("SELECT count(*) FROM batchd.request_status WHERE state IN ('queued', 'in_flight') AND attempts = 0"))
        self.assertEqual(0, self.ledger()["batches_created"])

    def paused(self, daemon):
        until("the pause", lambda: daemon.saw("lane.paused"))
        until("the metric", lambda: daemon.metric(PAUSED) == 1)

    def revoke_on_first(self, operation):
        """The token in use runs out while the first such call is on its way."""
        def during(called, token):
            if operation in called and not struck:
                struck.append(token)
                self.entra.revoke(token)
        struck = []
        self.door.during = during
        return struck


class Entra(Auth):
    def test_a_token_that_runs_out_during_a_call_is_replaced_once_and_the_call_made_again(self):
        for operation in ("POST /openai/files", "POST /openai/batches", "GET /openai/batches"):
            with self.subTest(operation):
                self.afresh()
                self.login()
                self.gate()
                struck = self.revoke_on_first(operation)
                daemon = self.serve(credential=self.with_secret(), retry=PATIENT)
                self.enqueue([chat(f"prompt {i}") for i in range(40)])
                self.answered(40)
                self.assertEqual(["secret-token-1"], struck)
                self.assertEqual(2, len(self.entra.exchanges()), "one token at the start, one for the one refused")
                self.assertEqual(1, len(self.door.refused))
                self.assertEqual(1, self.ledger()["batches_created"])
                self.assertEqual([], daemon.saw("lane.paused") + daemon.saw("upload.failed") + daemon.saw("submission.refused"))
                self.assertEqual("my-app", self.entra.seen[0]["client_id"])

    def test_tokens_that_live_for_seconds_are_renewed_ahead_of_their_end(self):
        self.login(life=6)
        self.gate()
        daemon = self.serve(credential=self.with_secret(), retry=PATIENT)
        for round_number in range(3):
            issued = len(self.entra.exchanges())
            self.enqueue([chat(f"prompt {round_number}")])
            until("the answer", lambda: self.number_of("SELECT count(*) FROM batchd.result") == round_number + 1)
            until("another token", lambda: len(self.entra.exchanges()) > issued)
        self.answered(3)
        self.assertEqual([], self.door.refused, "none was shown after its end")
        self.assertEqual([], daemon.saw("token.failed"))

    def test_an_identity_endpoint_in_trouble_is_asked_again_ever_more_slowly(self):
        self.login()
        self.gate()
        self.entra.trouble = [answer(410, {}), answer(404, {}), answer(429, {}), (500, [], b"<html>")]
        daemon = self.serve(credential=self.with_machine())
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.answered(40)
        times = [seen["at"] for seen in self.entra.seen][:5]
        self.assertEqual([410, 404, 429, 500, 200], [seen["status"] for seen in self.entra.seen][:5])
        for wait, (before, after) in zip((2, 4, 8, 16), zip(times, times[1:])):
            self.assertGreater(after - before, wait - 0.1)
        self.assertEqual([], daemon.saw("lane.paused"), "it passes by itself")
        self.assertEqual("https://cognitiveservices.azure.com", self.entra.seen[0]["resource"])

    def test_a_federated_token_is_rotated_and_away_for_a_moment(self):
        self.login(life=3)
        self.gate()
        federated = self.place / "federated"
        federated.write_text("first.jwt\n")
        self.entra.assertion = "first.jwt"
        daemon = self.serve(credential=self.with_workload())
        self.enqueue([chat("one")])
        until("the first answer", lambda: self.number_of("SELECT count(*) FROM batchd.result") == 1)
        self.entra.assertion = "second.jwt"
        (self.place / "federated.new").write_text("second.jwt\n")
        (self.place / "federated.new").rename(federated)
        until("an exchange with the second", lambda: any(seen.get("client_assertion") == "second.jwt" for seen in self.entra.exchanges()))
        federated.unlink()
        until("it is missed", lambda: daemon.saw("token.failed"))
        self.enqueue([chat("two"), chat("three")])
        federated.write_text("second.jwt\n")
        self.answered(3)
        self.assertEqual([], daemon.saw("lane.paused"))
        self.assertIn("No such file", daemon.saw("token.failed")[0]["message"])
        self.assertEqual("urn:ietf:params:oauth:client-assertion-type:jwt-bearer", self.entra.seen[0]["client_assertion_type"])
        self.assertNotIn("client_secret", self.entra.seen[0])

    def test_a_federated_credential_that_has_not_spread_yet_is_waited_for(self):
        self.login()
        self.gate()
        (self.place / "federated").write_text("first.jwt")
        self.entra.trouble = [refusal(400, 70021, "invalid_request", "No matching federated identity record found")] * 3
        daemon = self.serve(credential=self.with_workload())
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        until("it is told", lambda: daemon.saw("token.failed"))
        self.nothing_burnt(40)
        self.answered(40)
        self.assertEqual("AADSTS70021", daemon.saw("token.failed")[0]["code"])
        self.assertEqual([], daemon.saw("lane.paused"))

    def test_a_wrong_scope_pauses_the_lane_visibly_and_costs_nothing(self):
        self.login()
        self.gate()
        wrong = self.serve(credential=self.with_secret(scope='scope = "https://vault.azure.net/.default"'), retry=SEEN)
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.paused(wrong)
        self.assertIn("audience is incorrect", wrong.saw("lane.paused")[0]["message"])
        refused = len(self.door.refused)
        until("a probe", lambda: len(self.door.refused) > refused)
        self.nothing_burnt(40)
        self.assertEqual(0, wrong.stop())
        right = self.serve(credential=self.with_secret(), retry=PATIENT)
        self.answered(40)
        self.assertTrue(right.saw("lane.resumed"), "a start is how a configuration changes")
        until("the metric", lambda: not right.metric(PAUSED))

    def test_a_secret_that_is_refused_is_named_by_its_code_and_a_new_one_is_used_at_once(self):
        self.login()
        self.gate()
        self.entra.secret = "client-secret-2"
        daemon = self.serve(credential=self.with_secret(), retry=PATIENT)
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.paused(daemon)
        said = daemon.saw("lane.paused")[0]
        self.assertEqual("AADSTS7000215", said["code"])
        self.assertIn("Invalid client secret provided", said["message"])
        self.nothing_burnt(40)
        (self.place / "secret").write_text("client-secret-2\n")
        self.answered(40)
        self.assertTrue(daemon.saw("lane.resumed"))
        self.assertEqual([], self.door.refused, "nobody knocked without a token")


class Lanes(Auth):
    def test_a_firewall_pauses_the_lane_and_it_goes_on_by_itself_when_that_is_gone(self):
        self.gate(keys=["canary-key"])
        self.door.closed = answer(403, {"error": {"code": "403", "message": "Access denied due to Virtual Network/Firewall rules."}})
        daemon = self.serve(retry=SEEN)
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.paused(daemon)
        self.assertIn("Firewall", daemon.saw("lane.paused")[0]["message"])
        refused = len(self.door.refused)
        until("a probe", lambda: len(self.door.refused) > refused)
        self.nothing_burnt(40)
        self.door.closed = None
        self.answered(40)
        until("the metric", lambda: not daemon.metric(PAUSED))

    def rotated(self, kind):
        self.gate(keys=["new-key"])
        daemon = self.serve(kind=kind, retry=PATIENT)
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.paused(daemon)
        self.nothing_burnt(40)
        (self.place / "key.new").write_text("new-key\n")
        (self.place / "key.new").rename(self.place / "key")
        self.answered(40)
        self.assertEqual("credential", daemon.saw("lane.resumed")[0]["reason"])
        until("the metric", lambda: not daemon.metric(PAUSED))

    def test_a_key_that_is_rotated_while_the_lane_is_paused_is_used_at_once(self):
        self.rotated("azure")

    def test_an_openai_key_likewise(self):
        self.rotated("openai")

    def test_a_bearer_token_that_somebody_else_renews_likewise(self):
        self.gate(keys=["new-key"])
        shown = set()
        self.door.during = lambda operation, token: shown.add(token)
        file = self.place / "token"
        file.write_text("canary-key\n")
        daemon = self.serve(credential=f'bearer_token_file = "{file}"', retry=PATIENT)
        self.enqueue([chat(f"prompt {i}") for i in range(40)])
        self.paused(daemon)
        self.nothing_burnt(40)
        (self.place / "token.new").write_text("new-key\n")
        (self.place / "token.new").rename(file)
        self.answered(40)
        self.assertEqual({"canary-key", "new-key"}, shown, "in the Authorization header")

    def test_a_key_that_is_rotated_in_full_work_costs_nothing(self):
        self.gate(keys=["canary-key"])
        daemon = self.serve(planner='linger = "50ms"\nmax_requests = 10')
        self.enqueue([chat(f"prompt {i}") for i in range(100)])
        until("some answers", lambda: self.number_of("SELECT count(*) FROM batchd.result") > 0)
        (self.place / "key.new").write_text("new-key\n")
        (self.place / "key.new").rename(self.place / "key")
        self.door.keys = {"new-key"}
        self.answered(100)
        self.assertTrue(daemon.saw("credential.reread"))


class Accounts(Auth):
    """Every fault of an account that PROTOCOL.md knows, wherever it shows: the lane stops, nobody loses an attempt, and it goes on."""

    REFUSALS = (("create_batch", 429, "insufficient_quota"), ("create_batch", 400, "billing_hard_limit_reached"), ("create_batch", 402, "payment_required"),
                ("create_batch", 404, "DeploymentNotFound"), ("create_batch", 400, "model_not_found"), ("create_batch", 401, "invalid_api_key"),
                ("create_batch", 403, "forbidden"), ("upload", 429, "insufficient_quota"), ("upload", 401, "account_deactivated"),
                ("upload", 403, "forbidden"), ("download", 401, "invalid_api_key"), ("download", 403, "forbidden"))

    def test_each_refusal_pauses_the_lane_and_a_later_probe_goes_through(self):
        for operation, status, code in self.REFUSALS:
            with self.subTest(f"{operation} {status} {code}"):
                self.afresh()
                self.gate(keys=["canary-key"])
                self.fault(operation=operation, fault="respond", status=status, body={"error": {"code": code, "message": f"told {code}"}}, times=2)
                daemon = self.serve()
                self.enqueue([chat(f"prompt {i}") for i in range(5)])
                self.answered(5)
                self.assertEqual(status, daemon.saw("lane.paused")[0]["status"])
                until("the metric", lambda: not daemon.metric(PAUSED))

    def test_a_batch_that_fails_late_because_of_the_account_is_not_the_rows_fault(self):
        for code in ("insufficient_quota", "billing_hard_limit_reached", "model_not_found"):
            with self.subTest(code):
                self.afresh()
                self.gate(keys=["canary-key"])
                self.fault(operation="create_batch", fault="fate", fate={"end": "failed", "errors": {"data": [{"code": code, "message": "m", "line": None}]}})
                daemon = self.serve()
                self.enqueue([chat(f"prompt {i}") for i in range(5)])
                self.answered(5)
                self.assertEqual(code, daemon.saw("lane.paused")[0]["code"])

    def test_credit_that_runs_out_in_the_middle_of_a_batch_costs_its_rows_nothing(self):
        self.gate(keys=["canary-key"])
        daemon = self.serve()
        self.enqueue([chat(f"paid {i}") for i in range(5)] + [asking_for("once-no_credit", f"unpaid {i}") for i in range(5)])
        self.settled(10)
        self.assertEqual({("succeeded", None, 1)}, set(self.outcomes().values()))
        self.assertEqual(1, len(daemon.saw("lane.paused")))
        self.assertIn("insufficient_quota", daemon.saw("lane.paused")[0]["message"])

    def test_a_lane_that_stays_refused_is_probed_ever_more_seldom_and_at_once_with_another_key(self):
        self.gate(keys=["new-key"])
        daemon = self.serve(retry='base_delay = "100ms"\nmax_delay = "1h"\nsettle_window = "1s"')
        self.enqueue([chat(f"prompt {i}") for i in range(5)])
        until("the pause has grown", lambda: self.number_of("SELECT count(*) FROM batchd.deployment WHERE paused_for >= '800 ms'") == 1, 2 * DEADLINE)
        self.nothing_burnt(5)
        (self.place / "key.new").write_text("new-key\n")
        (self.place / "key.new").rename(self.place / "key")
        self.answered(5)


if __name__ == "__main__":
    unittest.main()
