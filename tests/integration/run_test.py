#!/usr/bin/env python3
"""`batchd run`: a file and a key in, answers out, whatever is killed in between. Real processes, its own PostgreSQL, the simulator."""

import hashlib
import json
import os
import pathlib
import pty
import pwd
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from stack import BATCHD, DEADLINE, SHARED, Sim, asking_for, chat, environment, until  # noqa: E402

# What makes a run quick against the simulator; users have minutes.
QUICK = {"BATCHD_POLL_INTERVAL": "150ms", "BATCHD_POLL_FILE_INTERVAL": "50ms", "BATCHD_RETRY_BASE_DELAY": "50ms",
         "BATCHD_RETRY_MAX_DELAY": "500ms", "BATCHD_RETRY_SETTLE_WINDOW": "1s", "BATCHD_PLANNER_LINGER": "50ms",
         "BATCHD_TOKENS_VOCABULARY_DIR": "none"}  # the simulator counts a quarter of the bytes: only the estimate is never less


def line(custom_id, body, url="/v1/chat/completions"):
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body}


def content_of(result):
    return result["response"]["body"]["choices"][0]["message"]["content"]


def prompt_hash(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


NOBODY = "http://127.0.0.1:1/v1"  # no ordinary program listens on a port below 1024


class RunTest(unittest.TestCase):
    """A place with a state directory, a simulator, and the command."""

    def setUp(self):
        # PostgreSQL's user must be able to pass through when root runs this.
        self.place = pathlib.Path(tempfile.mkdtemp(prefix="batchd-run."))
        self.place.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.place, True)
        self.state = self.place / "state"
        self.input = self.place / "in.jsonl"
        self.output = self.place / "out.jsonl"
        self.user = None
        self.running = []
        self.addCleanup(self.nothing_is_left)
        self.provider = None

    def sim(self, *arguments):
        self.provider = Sim(*arguments)
        self.addCleanup(self.provider.stop)
        return self.provider

    def write(self, lines):
        self.input.write_text("".join((text if isinstance(text, str) else json.dumps(text)) + "\n" for text in lines))

    def variables(self, **more):
        own = {name: value for name, value in environment().items() if not name.startswith(("OPENAI_", "AZURE_"))}
        given = {"OPENAI_API_KEY": "canary-key", **more}
        if self.provider and not any(name.endswith(("BASE_URL", "ENDPOINT")) for name in given):
            given["OPENAI_BASE_URL"] = f"http://127.0.0.1:{self.provider.port}/v1"
        return {**own, **QUICK, **{name: value for name, value in given.items() if value is not None}}

    def start(self, *arguments, stderr=subprocess.PIPE, **variables):
        command = [BATCHD, "run", str(self.input), "-o", str(self.output), "--state-dir", str(self.state), *map(str, arguments)]
        if self.user:
            command = ["setpriv", f"--reuid={self.user.pw_uid}", f"--regid={self.user.pw_gid}", "--clear-groups", "--", *command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr, cwd="/",
                                   env=self.variables(**variables))
        self.running.append(process)
        return process

    def finish(self, process, seconds=DEADLINE):
        """The exit code, with what it said in self.said and what it printed in self.printed."""
        printed, said = process.communicate(timeout=seconds)
        self.printed, self.said = printed.decode(), (said or b"").decode()
        return process.returncode

    def run_it(self, *arguments, code=0, **variables):
        self.assertEqual(code, self.finish(self.start(*arguments, **variables)), self.said)
        return self.said

    def results(self):
        return [json.loads(text) for text in self.output.read_text().splitlines()]

    def servers(self):
        """The PostgreSQL servers that run on our state."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(b"/postgres") and any(word.startswith(str(self.place).encode()) for word in words):
                found.append(int(entry.name))
        return found

    def nothing_is_left(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
            process.communicate()
        until("its PostgreSQL to be gone", lambda: not self.servers())

    def at_the_provider(self, process, batches=1):
        """Waits until so many batches were created."""
        until("batches at the provider", lambda: self.provider.ledger()["batches_created"] >= batches or process.poll() is not None)
        self.assertIsNone(process.poll(), "it ended early")

    def complete_all(self):
        for batch in self.provider.ledger(details=True)["details"]:
            if batch["status"] == "in_progress":
                self.provider.control(f"batches/{batch['id']}/end", end="completed")

    def every_prompt_ran_once(self, count):
        ledger = self.provider.ledger()
        self.assertEqual((count, 0, []), (ledger["requests_executed"], ledger["prompts_executed_more_than_once"], ledger["violations"]))

    def answered_in_order(self, prompts):
        results = self.results()
        self.assertEqual(list(prompts), [result["custom_id"] for result in results])
        for result in results:
            self.assertTrue(content_of(result).startswith(prompt_hash(prompts[result["custom_id"]]) + " "), result)

    def prompts(self, count, text="prompt {}"):
        prompts = {f"q-{i}": text.format(i) for i in range(count)}
        self.write(line(name, chat(prompt)) for name, prompt in prompts.items())
        return prompts


class Basics(RunTest):
    def test_a_file_and_a_key_are_enough(self):
        self.sim("--fast")
        prompts = self.prompts(300)
        said = self.run_it(BATCHD_PLANNER_MAX_REQUESTS="70")
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(300)
        self.assertIn("300 requests for gpt-4o-mini", said)
        self.assertIn("300 lines, 300 answered, 0 failed", said)
        self.assertEqual("", self.printed)
        self.assertNotIn("canary-key", said)
        ledger = self.provider.ledger()
        self.assertEqual((5, 0), (ledger["batches_created"], ledger["files_now"]))

    def test_the_results_have_the_providers_form(self):
        self.sim("--fast")
        self.prompts(1)
        self.run_it()
        (result,) = self.results()
        self.assertEqual({"id", "custom_id", "response", "error"}, set(result))
        self.assertEqual((200, None), (result["response"]["status_code"], result["error"]))
        self.assertFalse(list(self.place.glob("*.unfinished")))

    def test_as_an_ordinary_user(self):
        if os.geteuid() != 0:
            self.skipTest("this whole test runs as an ordinary user already")
        if not shutil.which("setpriv"):
            self.skipTest("setpriv is not here")
        self.user = pwd.getpwnam("nobody")
        self.place.chmod(0o777)
        self.sim("--fast")
        prompts = self.prompts(20)
        self.run_it()
        self.answered_in_order(prompts)
        self.assertEqual(self.user.pw_uid, (self.state / "run" / "postgres" / "data").stat().st_uid)

    def test_azure_by_environment_by_flags_and_v1(self):
        self.sim("--fast")
        address = f"http://127.0.0.1:{self.provider.port}"
        for number, (arguments, variables) in enumerate([
                ((), {"AZURE_OPENAI_API_KEY": "k", "AZURE_OPENAI_ENDPOINT": address, "OPENAI_API_KEY": None}),
                (("--kind", "azure", "--endpoint", address, "--api-version", "2025-03-01-preview", "--deployment", "mini-batch"),
                 {"AZURE_OPENAI_API_KEY": "k"}),
                (("--kind", "azure-v1", "--endpoint", address + "/openai/v1/", "--deployment", "gpt-4o-mini=mini-batch"),
                 {"AZURE_OPENAI_API_KEY": "k"})]):
            with self.subTest(arguments=arguments):
                self.provider.reset()
                prompts = self.prompts(10, f"{number}-{{}}")
                self.run_it("--job", f"azure-{number}", *arguments, **variables)
                self.answered_in_order(prompts)
                self.every_prompt_ran_once(10)
                batches = self.provider.ledger(details=True)["details"]
                self.assertEqual(["mini-batch" if "--deployment" in arguments else "gpt-4o-mini"], [batch["model"] for batch in batches])

    def test_several_models_and_endpoints_in_one_file(self):
        self.sim("--fast")
        self.write([line("a", {**chat("one"), "model": "gpt-4o"}), line("b", chat("two")),
                    line("c", {"model": "text-embedding-3-small", "input": "three"}, "/v1/embeddings"),
                    line("d", {**chat("four"), "model": "gpt-4o"})])
        self.run_it()
        self.assertEqual(["a", "b", "c", "d"], [result["custom_id"] for result in self.results()])
        self.every_prompt_ran_once(4)
        self.assertEqual({"gpt-4o", "gpt-4o-mini", "text-embedding-3-small"}, {b["model"] for b in self.provider.ledger(details=True)["details"]})

    def test_bare_bodies_are_named_by_their_line_and_equal_ones_are_each_asked(self):
        self.sim("--fast")
        bare = chat("the same")
        self.input.write_bytes(b"\xef\xbb\xbf" + json.dumps(bare).encode() + b"\r\n\n" + json.dumps(bare).encode() + b"\n" +
                               json.dumps({"messages": bare["messages"]}).encode())
        self.run_it("--model", "gpt-4o")
        self.assertEqual(["line-1", "line-3", "line-4"], [result["custom_id"] for result in self.results()])
        self.assertEqual(3, self.provider.ledger()["requests_executed"])

    def test_stdin_and_stdout(self):
        self.sim("--fast")
        done = subprocess.run([BATCHD, "run", "-", "-o", "-", "--job", "piped", "--state-dir", self.state],
                              input=json.dumps(line("a", chat("piped"))).encode(), capture_output=True, env=self.variables(), cwd="/")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertEqual("a", json.loads(done.stdout)["custom_id"])

    def test_bad_lines_are_told_with_their_numbers_and_nothing_is_sent(self):
        self.sim("--fast")
        self.write([line("a", chat("fine")), "nonsense", line("b", {"messages": []}), line("a", chat("other")),
                    line("c", {**chat("x"), "stream": True}), {"custom_id": "d"}, "", line("e", chat("fine too"))])
        said = self.run_it(code=1)
        for expected in ("line 2: not valid JSON", "line 3: no model", 'line 4: its custom_id "a" is that of line 1 too',
                         'line 5: the body has "stream": true', "line 6: a batch line needs a body", "5 bad lines of 7", "nothing was sent"):
            self.assertIn(expected, said)
        self.assertFalse(self.output.exists())
        self.assertEqual(0, sum(self.provider.ledger()["calls"].values()))
        # Mended, the same command goes through: nothing of the first try was enqueued.
        prompts = self.prompts(3)
        self.run_it()
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(3)

    def test_a_thousand_bad_lines_are_not_all_repeated(self):
        self.write(["[]"] * 1000)
        said = self.run_it(code=1)
        self.assertLess(len(said.splitlines()), 30)
        self.assertIn("1,000 bad lines of 1,000", said)

    def test_usage_errors_come_before_anything_is_made(self):
        self.prompts(1)
        self.place.joinpath("folder").mkdir()
        for arguments, variables, expected in [
                ((), {"OPENAI_API_KEY": None}, "OPENAI_API_KEY"),
                ((), {"AZURE_OPENAI_API_KEY": "k"}, "--kind"),
                (("--kind", "azure"), {"AZURE_OPENAI_API_KEY": "k"}, "AZURE_OPENAI_ENDPOINT"),
                (("--kind", "gemini"), {}, "--kind"),
                (("--endpoint", "http://example.com"), {}, "https://"),
                (("--kind", "azure", "--endpoint", "https://x.example", "--api-version", "latest"), {"AZURE_OPENAI_API_KEY": "k"}, "api-version"),
                (("--api-version", "2024-10-21"), {}, "--api-version"),
                (("--api-key-file", self.place / "absent"), {}, "--api-key-file"),
                (("--url", "chat"), {}, "--url"),
                (("--http", "everywhere"), {}, "--http"),
                (("-o", self.input), {}, "the input itself"),
                (("-o", self.place / "folder"), {}, "is a directory"),
                (("-o", self.place / "none" / "out"), {}, "cannot be written"),
                (("--database-url", "postgresql:///x"), {}, "database of its own"),
                (("--config", self.place / "absent.toml"), {}, "absent.toml"),
                ((), {"BATCHD_POLL_INTERVAL": "soon"}, "poll.interval")]:
            with self.subTest(arguments=arguments, variables=variables):
                arguments = ("-o", self.output, *arguments) if "-o" not in arguments else arguments
                command = [BATCHD, "run", self.input, "--state-dir", self.state, *arguments]
                done = subprocess.run(list(map(str, command)), capture_output=True, env=self.variables(**variables), cwd="/")
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(expected, done.stderr.decode())
        self.assertFalse(self.state.exists())

    def test_what_only_the_file_shows_is_told_before_anything_is_sent(self):
        self.sim("--fast")
        self.write([line("a", chat("x")), line("b", {**chat("y"), "model": "gpt-4o"})])
        self.assertIn("MODEL=NAME", self.run_it("--deployment", "one", code=2))
        self.assertIn("--enqueued-token-limit", self.run_it("--enqueued-token-limit", "lots", code=2))
        self.write([])
        self.assertIn("holds no requests", self.run_it(code=1))
        self.assertEqual(0, sum(self.provider.ledger()["calls"].values()))

    def test_a_configuration_file_needs_no_database_and_may_name_deployments(self):
        self.sim("--fast", "--deployment", "mini=100000")
        (self.place / "key").write_text("k\n")
        config = self.place / "batchd.toml"
        provider = (f'[[provider]]\nname = "east"\nkind = "azure"\nendpoint = "http://127.0.0.1:{self.provider.port}"\n'
                    f'api_version = "2024-10-21"\napi_key_file = "{self.place}/key"\n')
        deployment = '[[deployment]]\nname = "mini"\nprovider = "east"\nmodel = "gpt-4o-mini"\nenqueued_token_limit = "100K"\n'
        prompts = self.prompts(5)
        config.write_text('[database]\nurl = "postgresql://nowhere.example/x"\nlisten_url = "postgresql://nowhere.example/y"\n' + provider + deployment)
        self.run_it("--config", config, OPENAI_API_KEY=None, BATCHD_DATABASE_URL="postgresql://nowhere.example/z", PGHOST="nowhere.example")
        self.answered_in_order(prompts)

        with self.subTest("a model that no deployment serves"):
            self.write([line("a", chat("x")), line("b", {**chat("y"), "model": "gpt-4o"})])
            said = self.run_it("--config", config, "--job", "two", code=1)
            self.assertIn('line 2: "gpt-4o"', said)
        with self.subTest("an endpoint that no provider of its model has"):
            calls = self.provider.ledger()["calls"]
            self.write([line("a", chat("x")), line("b", {"model": "gpt-4o-mini", "input": "y"}, url="/v1/embeddings")])
            said = self.run_it("--config", config, "--job", "three", code=1)
            self.assertIn('line 2: "gpt-4o-mini" at /v1/embeddings', said)
            self.assertEqual(calls, self.provider.ledger()["calls"])
        with self.subTest("no deployments in the file, and a flag stronger than it"):
            prompts = self.prompts(5, "again {}")
            config.write_text(provider.replace(str(self.provider.port), "1"))
            self.run_it("--config", config, "--endpoint", f"http://127.0.0.1:{self.provider.port}", "--deployment", "mini")
            self.answered_in_order(prompts)

    def test_failures_are_grouped_and_the_exit_code_is_5(self):
        self.sim("--fast")
        self.write([line("a", chat("fine")), line("b", asking_for("400", "one")), line("c", asking_for("400", "two")),
                    line("d", asking_for("expired", "three"))])
        said = self.run_it("--json", code=5, BATCHD_RETRY_MAX_ATTEMPTS="1")
        self.assertIn("4 lines, 1 answered, 3 failed", said)
        self.assertRegex(said, r"\n  2 failed: content_filter: .* \(the first is line 2, b\)\n  1 expired: batch_expired")
        summary = json.loads(self.printed)
        self.assertEqual((4, 1, 3), (summary["lines"], summary["succeeded"], summary["failed"]))
        self.assertEqual([2, 1], [group["requests"] for group in summary["failures"]])
        results = self.results()
        self.assertEqual(["a", "b", "c", "d"], [result["custom_id"] for result in results])
        self.assertEqual([None, "content_filter", "content_filter", "batch_expired"], [(result["error"] or {}).get("code") for result in results])

    def test_what_failed_is_asked_again_only_on_request(self):
        self.sim("--fast")
        self.write([line("a", chat("fine")), line("b", asking_for("once-429", "later"))])
        self.run_it(code=5, BATCHD_RETRY_MAX_ATTEMPTS="1")
        self.run_it(code=5)
        self.assertEqual(2, self.provider.ledger()["requests_executed"])
        said = self.run_it("--retry-failed")
        self.assertIn("asked again: 1", said)
        self.assertEqual(3, self.provider.ledger()["requests_executed"])
        self.assertEqual([None, None], [result["error"] for result in self.results()])

    def test_a_terminal_gets_a_bar(self):
        self.sim("--fast", "--running", "700ms")
        self.prompts(40)
        reading, writing = pty.openpty()
        process = self.start(stderr=writing)
        os.close(writing)
        shown = b""
        while True:
            try:
                piece = os.read(reading, 4096)
            except OSError:  # the other end is gone
                break
            if not piece:
                break
            shown += piece
        os.close(reading)
        self.assertEqual(0, self.finish(process))
        self.assertIn(b"\r\033[K[                        ] 0 of 40 done", shown)
        self.assertIn(b"40 at the provider", shown)

    def test_nobody_else_can_reach_its_database(self):
        self.sim("--fast", "--running", "1h")
        self.prompts(3)
        process = self.start()
        self.at_the_provider(process)
        (server,) = self.servers()
        words = pathlib.Path(f"/proc/{server}/cmdline").read_bytes().split(b"\0")
        self.assertIn(b"listen_addresses=", words)
        self.assertIn(b"fsync=on", words)
        self.assertIn(b"synchronous_commit=on", words)
        self.assertEqual(0o700, (self.state / "run" / "postgres").stat().st_mode & 0o777)
        self.assertNotIn(b"canary-key", pathlib.Path(f"/proc/{server}/environ").read_bytes())
        self.complete_all()
        self.assertEqual(0, self.finish(process))

    def test_a_long_path_to_the_state_is_no_obstacle(self):
        self.sim("--fast")
        self.state = self.place / ("a-long-name-" * 8)
        prompts = self.prompts(3)
        self.run_it()
        self.answered_in_order(prompts)


class NoServer(RunTest):
    def test_no_postgresql_says_which_package(self):
        self.prompts(1)
        said = self.run_it(code=1, BATCHD_POSTGRES_BIN=str(self.place))
        self.assertIn("apt-get install postgresql", said)

    def test_state_of_another_major_version_is_left_alone(self):
        self.sim("--fast")
        prompts = self.prompts(2)
        self.run_it()
        version = self.state / "run" / "postgres" / "data" / "PG_VERSION"
        before = version.read_text()
        version.write_text("13\n")
        said = self.run_it(code=1)
        self.assertIn("made by PostgreSQL 13", said)
        self.assertIn("apt-get install postgresql-13", said)
        version.write_text(before)
        self.run_it()
        self.answered_in_order(prompts)

    def test_a_server_that_does_not_start_says_why(self):
        self.sim("--fast")
        self.prompts(1)
        self.run_it()
        (self.state / "run" / "postgres" / "data" / "postgresql.conf").write_text("no_such_setting = on\n")
        self.assertIn("no_such_setting", self.run_it(code=1))

    def test_a_state_that_postgresqls_user_cannot_enter(self):
        if os.geteuid() != 0:
            self.skipTest("only root's PostgreSQL runs as another user")
        self.prompts(1)
        self.place.chmod(0o700)
        said = self.run_it(code=1)
        self.assertIn("cannot enter", said)
        self.assertIn("--state-dir", said)


class Resume(RunTest):
    def test_a_second_run_on_the_same_state_is_refused_at_once(self):
        self.sim("--fast", "--running", "1h")
        self.prompts(3)
        first = self.start()
        self.at_the_provider(first)
        said = self.run_it(code=1)
        self.assertIn(f"another batchd run (process {first.pid}) is at work", said)
        self.complete_all()
        self.assertEqual(0, self.finish(first))

    def test_ctrl_c_then_the_same_command(self):
        self.sim("--fast", "--running", "1h")
        prompts = self.prompts(50)
        process = self.start()
        self.at_the_provider(process)
        process.send_signal(signal.SIGINT)
        self.assertEqual(1, self.finish(process))
        self.assertIn("pays for nothing twice", self.said)
        self.assertFalse(self.output.exists())
        self.assertEqual([], self.servers())
        self.complete_all()
        said = self.run_it()
        self.assertIn("known from before: 50", said)
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(50)

    def test_sigkill_takes_its_postgresql_along_and_the_same_command_goes_on(self):
        self.sim("--fast", "--running", "1h")
        prompts = self.prompts(50)
        process = self.start()
        self.at_the_provider(process)
        process.kill()
        self.finish(process)
        until("PostgreSQL to follow", lambda: not self.servers())
        self.complete_all()
        self.run_it()
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(50)

    def test_a_postgresql_that_is_killed_is_started_again(self):
        self.sim("--fast", "--running", "1h")
        prompts = self.prompts(50)
        process = self.start()
        self.at_the_provider(process)
        (server,) = self.servers()
        os.kill(server, signal.SIGKILL)
        self.complete_all()
        self.assertEqual(0, self.finish(process), self.said)
        self.assertIn("started again", self.said)
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(50)

    def test_both_killed_at_once(self):
        self.sim("--fast", "--running", "1h")
        prompts = self.prompts(50)
        process = self.start()
        self.at_the_provider(process)
        for pid in [*self.servers(), process.pid]:
            os.kill(pid, signal.SIGKILL)
        self.finish(process)
        self.assertTrue((self.state / "run" / "postgres" / "data" / "postmaster.pid").exists())
        self.complete_all()
        self.run_it()
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(50)

    def test_a_stale_pid_file_whose_number_is_somebody_elses(self):
        self.sim("--fast")
        prompts = self.prompts(3)
        self.run_it()
        data = self.state / "run" / "postgres" / "data"
        sleeper = subprocess.Popen(["sleep", "600"])
        self.addCleanup(sleeper.wait)
        self.addCleanup(sleeper.kill)
        (data / "postmaster.pid").write_text(f"{sleeper.pid}\n{data}\n1700000000\n5432\n{data.parent}\n\n")
        self.run_it()
        self.answered_in_order(prompts)
        self.assertIsNone(sleeper.poll(), "a stranger was ended")

    def test_a_server_left_alive_is_ended_first(self):
        self.sim("--fast")
        prompts = self.prompts(3)
        self.run_it()
        data = self.state / "run" / "postgres" / "data"
        binary = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/postgres"))[-1]
        command = [str(binary), "-D", str(data), "-c", "listen_addresses=", "-c", f"unix_socket_directories={data.parent}"]
        if os.geteuid() == 0:
            owner = data.stat()
            command = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups", "--", *command]
        left = subprocess.Popen(command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(left.wait)
        until("the server", lambda: "ready" in (data / "postmaster.pid").read_text() if (data / "postmaster.pid").exists() else False)
        self.prompts(4)
        self.run_it()
        self.assertEqual(4, len(self.results()))
        self.assertIsNotNone(left.poll())

    def test_half_made_data_is_made_anew(self):
        self.sim("--fast")
        self.prompts(2)
        self.run_it()
        postgres = self.state / "run" / "postgres"
        shutil.copytree(postgres / "data", postgres / "unfinished-1")
        shutil.rmtree(postgres / "data")
        (postgres / "data" / "base").mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(postgres / "data", *[(postgres / "unfinished-1").stat().st_uid] * 2)
        self.provider.reset()
        prompts = self.prompts(2, "anew {}")
        self.run_it()
        self.answered_in_order(prompts)
        self.assertFalse((postgres / "unfinished-1").exists())

    def test_killed_while_its_database_is_made(self):
        self.sim("--fast")
        prompts = self.prompts(3)
        for delay in (0.05, 0.2, 0.4, 0.7, 1.0):
            process = self.start()
            try:
                process.communicate(timeout=delay)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self.run_it()
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(3)
        self.assertEqual([], list((self.state / "run" / "postgres").glob("unfinished-*")))

    def test_the_same_command_after_the_end_pays_for_nothing(self):
        self.sim("--fast")
        prompts = self.prompts(20)
        self.run_it()
        before = self.output.read_bytes()
        calls = self.provider.ledger()["calls"]
        self.run_it()
        self.assertEqual(before, self.output.read_bytes())
        self.output.unlink()
        said = self.run_it()
        self.assertEqual(before, self.output.read_bytes())
        self.assertIn("known from before: 20, of which 20 are settled", said)
        self.assertEqual(calls, self.provider.ledger()["calls"])
        self.answered_in_order(prompts)

    def test_a_changed_file_asks_what_is_new_and_keeps_the_rest(self):
        self.sim("--fast")
        lines = [line("a", chat("one")), line("b", chat("two")), chat("bare"), line("c", chat("three"))]
        self.write(lines)
        self.run_it()
        self.write([chat("another"), chat("bare"), line("c", chat("three")), line("b", chat("two, changed")), line("a", chat("one"))])
        self.run_it()
        self.assertEqual(["line-1", "line-2", "c", "b", "a"], [result["custom_id"] for result in self.results()])
        for result, text in zip(self.results(), ["another", "bare", "three", "two, changed", "one"]):
            self.assertTrue(content_of(result).startswith(prompt_hash(text)), result)
        self.every_prompt_ran_once(6)
        self.write(lines)
        self.run_it()
        self.every_prompt_ran_once(6)
        self.assertEqual(["a", "b", "line-3", "c"], [result["custom_id"] for result in self.results()])

    def test_lines_taken_out_before_they_were_sent_are_not_sent(self):
        self.sim("--fast")
        self.prompts(10)
        self.fault_all()
        process = self.start()
        until("a try", lambda: self.provider.ledger()["calls"].get("upload", 0) > 0)
        process.send_signal(signal.SIGINT)
        self.finish(process)
        self.provider.request("DELETE", "/sim/faults")
        self.write([line("other", chat("something else"))])
        self.run_it("--job", "other")
        self.assertEqual(["other"], [result["custom_id"] for result in self.results()])

    def fault_all(self):
        self.provider.fault(operation="upload", fault="503", probability=1.0)

    def test_why_nothing_moves_is_said(self):
        self.sim("--fast", "--api-key", "the-right-key")
        prompts = self.prompts(3)
        log = self.place / "said"
        with open(log, "wb") as said:
            process = self.start(stderr=said)
        until("the reason", lambda: "401 invalid_api_key" in log.read_text() or process.poll() is not None)
        self.assertIsNone(process.poll(), log.read_text())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(1, self.finish(process))
        self.run_it(OPENAI_API_KEY="the-right-key")
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(3)

    def test_a_quota_smaller_than_believed_is_said_and_the_flag_mends_it(self):
        self.sim("--fast", "--deployment", "gpt-4o-mini=4000")
        prompts = self.prompts(200)
        log = self.place / "said"
        with open(log, "wb") as said:
            process = self.start(stderr=said)
        until("the hint", lambda: "--enqueued-token-limit" in log.read_text().partition("\n")[2] or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        self.assertEqual(1, self.finish(process))
        self.run_it("--enqueued-token-limit", "4000")
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(200)
        self.assertLessEqual(max(self.provider.ledger()["max_enqueued"].values()), 4000)

    def test_a_provider_that_cannot_be_reached_is_said(self):
        self.prompts(3)
        log = self.place / "said"
        with open(log, "wb") as said:
            process = self.start(stderr=said, OPENAI_BASE_URL=NOBODY)
        until("the reason", lambda: "refused" in log.read_text() or process.poll() is not None)
        self.assertIsNone(process.poll(), log.read_text())
        process.send_signal(signal.SIGINT)
        self.assertEqual(1, self.finish(process))


class Kills(RunTest):
    """SIGKILL at random moments, the same command each time again."""

    def killed_ten_times(self, prompts):
        seed = int(os.environ.get("BATCHD_SEED", random.randrange(1 << 30)))
        print(f"seed {seed} (BATCHD_SEED={seed} repeats it)", file=sys.stderr, flush=True)
        chance = random.Random(seed)
        # Batches last as long as a few kills are apart, and only some fit into the quota: kills fall into every phase.
        self.sim("--validating", "300ms", "--running", "8s", "--finalizing", "300ms")
        self.write(line(name, chat(prompt)) for name, prompt in prompts.items())
        size = {"BATCHD_PLANNER_MAX_REQUESTS": "120"}
        kills = 0
        for _ in range(10):
            process = self.start("--enqueued-token-limit", "25K", **size)
            try:
                process.communicate(timeout=chance.uniform(0.05, 3.5))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        self.run_it("--enqueued-token-limit", "25K", **size)
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(len(prompts))
        self.assertEqual(10, kills, "the work was over too early")

    def test_1319_generated_prompts(self):
        self.killed_ten_times({f"q-{i}": f"prompt {i} " + "word " * (i % 50) for i in range(1319)})

    def test_gsm8k(self):
        data = SHARED / "data" / "gsm8k_test.jsonl"
        if not data.exists():
            self.skipTest(f"the GSM8K prompts are not here ({data})")
        questions = [json.loads(text)["question"] for text in data.read_text().splitlines()]
        self.assertEqual(1319, len(questions))
        self.killed_ten_times({f"gsm8k-{i}": question for i, question in enumerate(questions)})

    def test_killed_while_the_file_is_taken_in(self):
        self.sim("--fast")
        prompts = self.prompts(30_000)
        # Its provider cannot be reached yet, so nothing moves: only the taking in is tried.
        self.prompts(1)
        process = self.start(OPENAI_BASE_URL=NOBODY)
        until("a state", lambda: (self.state / "run" / "batchd.log").exists())
        process.kill()
        self.finish(process)
        prompts = self.prompts(30_000)
        for delay in (0.3, 0.5, 0.7, 0.9, 1.2):
            process = self.start(OPENAI_BASE_URL=NOBODY)
            try:
                process.communicate(timeout=delay)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
        self.run_it()
        self.answered_in_order(prompts)
        self.every_prompt_ran_once(30_000)


if __name__ == "__main__":
    unittest.main(verbosity=2)
