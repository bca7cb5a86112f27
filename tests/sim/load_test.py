"""The simulator must never be what a benchmark measures: prints its throughput, and holds its memory to a bound.

Run directly with a number of requests (default 20000, as ctest does): BATCHD_SIM=… python3 load_test.py 100000
"""
import json
import os
import random
import sys
import time
import unittest

from support import Api, Sim, wait_for

REQUESTS = 20_000
MEMORY_LIMIT_MB = 150


def peak_memory_mb(sim):
    with open(f"/proc/{sim.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def input_file(api, requests):
    random.seed(1)
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(5000)]
    text = " ".join(random.choices(words, k=200_000))
    lines = []
    for i in range(requests):
        at = random.randrange(len(text) - 1100)
        lines.append(json.dumps(api.line(f"{i}-1", text[at : at + 1050]), separators=(",", ":")))
    return ("\n".join(lines) + "\n").encode()


def cpu_seconds(sim):
    with open(f"/proc/{sim.process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(sim, what, size, work):
    """Wall time says little on a busy machine, so the simulator's own processor time stands beside it."""
    start, cpu = time.monotonic(), cpu_seconds(sim)
    result = work()
    elapsed, spent = time.monotonic() - start, cpu_seconds(sim) - cpu
    print(f"{what}: {size / 1e6:.0f} MB in {elapsed:.3f} s, {size / 1e6 / elapsed:.0f} MB/s; {spent:.2f} s of processor time")
    return result


class Load(unittest.TestCase):
    def run_batches(self, sim, rounds):
        api = Api(sim, "azure")
        body = api.form(input_file(api, REQUESTS))
        headers = {"Content-Type": "multipart/form-data; boundary=bnd"}
        for _ in range(rounds):
            file_id = timed(sim, "upload", len(body), lambda: api.call("POST", "/files", body, headers)).json()["id"]
            batch_id = api.create(file_id).json()["id"]
            start = time.monotonic()
            batch = api.wait(batch_id, "completed")
            print(f"run: {REQUESTS} requests in {time.monotonic() - start:.3f} s")
            size = api.call("GET", "/files/" + batch["output_file_id"]).json()["bytes"]
            output = timed(sim, "download", size, lambda: api.content(batch["output_file_id"]))
            self.assertEqual((size, REQUESTS), (len(output), output.count(b"\n")))
            for name in (file_id, batch["output_file_id"], batch["error_file_id"]):
                api.call("DELETE", "/files/" + name)
        self.assertEqual(rounds * REQUESTS, sim.ledger()["requests_executed"])
        self.assertEqual([], sim.ledger()["violations"])

    def test_memory_stays_small_while_files_pass_through(self):
        with Sim("--fast", "--answer-bytes", "1500") as sim:
            self.run_batches(sim, 3)
            print(f"peak memory: {peak_memory_mb(sim):.0f} MB")
            self.assertLess(peak_memory_mb(sim), MEMORY_LIMIT_MB)

    def test_it_works_as_well_over_tls(self):
        with Sim("--fast", "--answer-bytes", "1500", tls=True) as sim:
            self.run_batches(sim, 1)

    def test_many_batches_cost_little_to_list(self):
        with Sim("--validating", "0", "--running", "10m") as sim:
            api = Api(sim, "openai")
            file_id = api.uploaded(api.line())
            for _ in range(1000):
                api.create(file_id)
            start = time.monotonic()
            after, pages = {}, 0
            while True:
                page = api.call("GET", "/batches", limit=100, **after).json()
                pages += 1
                if not page["has_more"]:
                    break
                after = {"after": page["last_id"]}
            print(f"list: {pages} pages of 1000 batches in {time.monotonic() - start:.3f} s")
            self.assertEqual(10, pages)
            wait_for(lambda: sim.ledger()["batches"].get("in_progress") == 1000, "all to run")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].isdigit():
        REQUESTS = int(sys.argv.pop(1))
    unittest.main()
