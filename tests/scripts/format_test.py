#!/usr/bin/env python3
"""Every C++ file is as clang-format 14 leaves it (other versions format differently). Skipped where that is not installed."""

import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77  # tests/scripts/CMakeLists.txt tells ctest


def formatter():
    for name in ("clang-format-14", "clang-format"):
        path = shutil.which(name)
        if path and re.search(r"version 14\.", subprocess.run([path, "--version"], capture_output=True, text=True).stdout):
            return path
    return None


def main():
    tool = formatter()
    if tool is None:
        print("skipped: clang-format 14 is not installed (apt-get install clang-format-14)")
        return SKIPPED
    files = [file for folder in ("daemon", "db", "tests") for file in sorted((ROOT / folder).rglob("*.[ch]pp"))]
    result = subprocess.run([tool, "--dry-run", "-Werror", *files], capture_output=True, text=True, cwd=ROOT)
    bad = sorted(set(re.findall(r"^(\S+?):\d+:\d+: error:", result.stderr, re.MULTILINE)))
    for file in bad:
        print(f"not formatted: {pathlib.Path(file).relative_to(ROOT)}")
    if bad:
        print(f"\nTo format everything: clang-format -i $(git ls-files '*.cpp' '*.hpp')   ({tool})")
    elif result.returncode:
        print(result.stderr)
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
