"""The login services (PROTOCOL.md 14, 19.17): tokens for a secret, an assertion or a machine, and what an API call does with them."""
import json
import unittest
from urllib.parse import urlencode

from support import Api, Sim, wait_for

SCOPE = "https://cognitiveservices.azure.com"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Identity(unittest.TestCase):
    def log_in(self, sim, **changes):
        form = {"client_id": "app", "grant_type": "client_credentials", "scope": SCOPE + "/.default", "client_secret": "s", **changes}
        return sim.request("POST", "/my-tenant/oauth2/v2.0/token", urlencode({name: value for name, value in form.items() if value is not ...}), FORM)

    def machine(self, sim, metadata="true", **query):
        query = {"api-version": "2018-02-01", "resource": SCOPE, **query}
        return sim.request("GET", "/metadata/identity/oauth2/token?" + urlencode(query), headers={"Metadata": metadata} if metadata else {})

    def listing(self, sim, token):
        return sim.request("GET", "/openai/batches?api-version=2024-10-21", headers={"Authorization": "Bearer " + token})

    def test_a_token_opens_azure_until_it_runs_out_or_is_revoked(self):
        with Sim("--require-token", "--token-life", "2s") as sim:
            self.assertEqual(401, Api(sim, "azure").call("GET", "/batches").status, "a key is no token")
            self.assertEqual(200, Api(sim, "openai").call("GET", "/batches").status, "OpenAI has keys only")
            answer = self.log_in(sim).json()
            self.assertEqual(("Bearer", 2), (answer["token_type"], answer["expires_in"]))
            self.assertEqual(200, self.listing(sim, answer["access_token"]).status)
            wait_for(lambda: self.listing(sim, answer["access_token"]).status == 401, "the token's end")
            token = self.log_in(sim).json()["access_token"]
            self.assertEqual(200, self.listing(sim, token).status)
            sim.control("tokens/revoke")
            self.assertEqual(401, self.listing(sim, token).status)

    def test_a_machine_gets_its_numbers_as_strings(self):
        with Sim("--require-token") as sim:
            answer = self.machine(sim).json()
            self.assertEqual(("3600", ""), (answer["expires_in"], answer["refresh_token"]))
            self.assertEqual({str}, {type(answer[name]) for name in ("expires_on", "not_before", "access_token")})
            self.assertEqual(200, self.listing(sim, answer["access_token"]).status)
            for refused in (self.machine(sim, metadata=None), self.machine(sim, metadata="True"), self.machine(sim, resource="")):
                self.assertEqual((400, "invalid_request"), (refused.status, refused.json()["error"]))

    def test_a_token_of_another_scope_opens_nothing(self):
        with Sim("--require-token", "--token-audience", "https://ai.azure.com") as sim:
            self.assertEqual(401, self.listing(sim, self.log_in(sim).json()["access_token"]).status)
            self.assertEqual(200, self.listing(sim, self.log_in(sim, scope="https://ai.azure.com/.default").json()["access_token"]).status)

    def test_the_proof_is_checked(self):
        with Sim("--client-secret", "right") as sim:
            file = sim.directory.name + "/assertion"
            assertion = {"client_secret": ..., "client_assertion": "a.b.c", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
            cases = [({"client_secret": "right"}, 200, None), ({"client_secret": "wrong"}, 401, 7000215), (assertion, 200, None),
                     ({**assertion, "client_assertion_type": "x"}, 400, 900144), ({**assertion, "client_secret": "right"}, 400, 7000216),
                     ({"client_secret": ...}, 400, 7000216), ({"client_secret": "right", "grant_type": "password"}, 400, 70003),
                     ({"client_secret": "right", "scope": "x"}, 400, 70011), ({"client_secret": "right", "client_id": ...}, 400, 900144)]
            for changes, status, code in cases:
                answer = self.log_in(sim, **changes)
                self.assertEqual((status, code), (answer.status, answer.json().get("error_codes", [None])[0]), changes)
            with Sim("--assertion-file", file) as federated:
                for text, status in (("a.b.c\n", 200), ("rotated\n", 400)):
                    with open(file, "w", encoding="utf-8") as out:
                        out.write(text)
                    answer = self.log_in(federated, **assertion)
                    self.assertEqual(status, answer.status)
                self.assertIn("AADSTS70021", answer.json()["error_description"])

    def test_faults_strike_logins_too(self):
        with Sim() as sim:
            for status in (404, 410, 429, 500):
                sim.fault(operation="imds", fault="respond", status=status, body={"error": "x"})
            self.assertEqual([404, 410, 429, 500, 200], [self.machine(sim).status for _ in range(5)])
            sim.fault(operation="token", fault="respond", status=400, times=2, body={"error": "invalid_request", "error_codes": [70021]})
            self.assertEqual([400, 400, 200], [self.log_in(sim).status for _ in range(3)])
            self.assertEqual((5, 3), tuple(sim.ledger()["calls"][name] for name in ("imds", "token")))
            self.assertEqual([], sim.ledger()["violations"])


if __name__ == "__main__":
    unittest.main()
