"""How long and how hard the campaign's tests are; tests/campaign sets the environment, ctest leaves it empty: short runs, seed 1."""

import fnmatch
import json
import os
import pathlib

SEEDS = [int(seed) for seed in os.environ.get("FAULT_SEEDS", "1").split(",")]
LONG = os.environ.get("FAULT_LONG") == "1"
POINTS = os.environ.get("FAULT_POINT", "*")
JOBS = int(os.environ.get("FAULT_JOBS", "4"))


def seconds(short, long):
    """How long a run that is as long as one likes goes on."""
    return float(os.environ.get("FAULT_SECONDS", long if LONG else short))


def chosen(points):
    return [point for point in points if fnmatch.fnmatch(point, POINTS)]


def replay(name, seed, point=None):
    """The command that does it again."""
    text = f"tests/campaign {name} --seed {seed} --seeds 1" + (" --short" if not LONG else "") + (f" --point {point}" if point else "")
    return text + (f" --seconds {os.environ['FAULT_SECONDS']}" if "FAULT_SECONDS" in os.environ else "")


def report(campaign, **figures):
    """Prints figures, and hands them to tests/campaign."""
    print(campaign, json.dumps(figures), flush=True)
    if "FAULT_FIGURES" in os.environ:
        with pathlib.Path(os.environ["FAULT_FIGURES"]).open("a") as file:
            file.write(json.dumps({"campaign": campaign, **figures}) + "\n")
