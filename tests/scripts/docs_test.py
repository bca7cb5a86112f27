#!/usr/bin/env python3
"""What the documents say is what the program does: the README's tables and the example configuration equal what the program
prints, links lead somewhere, the commands named exist, and nothing of the machine it was written on has slipped in. `docs_test.py --renew` writes the tables and the
example anew, with the program in BATCHD_BUILD_DIR or build/release."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(file for file in ROOT.rglob("*.md") if "build" not in file.relative_to(ROOT).parts)

# Paths of a machine, registries, notes to oneself. Written in halves, so that this file does not find itself.
FORBIDDEN = re.compile("|".join(["/wo" + "rk/", "/tmp/" + "build", "/ro" + "ot/", "TO" + "DO", "FIX" + "ME", r"\b" + "X" * 3 + r"\b", "snapshot\\.deb" + "ian",
                                 r"deb\.deb" + "ian", r"registry\.np" + "m", r"\bpy" + "pi\\.org"]))
TEXT = {".md", ".hpp", ".cpp", ".py", ".sh", ".sql", ".cmake", ".txt", ".toml", ".json", ".yml", ".yaml", ""}


def program(*arguments):
    batchd = pathlib.Path(os.environ["BATCHD_BUILD_DIR"]) / "batchd"
    return subprocess.run([batchd, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def marked(name):
    """The README's text between the marks of a generated table."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"<!-- {name}: [^\n]*-->\n(.*?)<!-- end of {name} -->", text, re.DOTALL)
    return found.group(1).strip() if found else None


def renew():
    """Writes what the program prints into the documents."""
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    for name in ("config", "metrics"):
        table = program("docs", name).stdout.strip()
        text = re.sub(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end of {name} -->)", lambda mark: f"{mark[1]}{table}\n{mark[2]}", text, flags=re.DOTALL)
    readme.write_text(text, encoding="utf-8")
    (ROOT / "deploy/batchd.example.toml").write_text(program("check-config", "--print-example").stdout, encoding="utf-8")


class Documents(unittest.TestCase):
    def check_equal(self, document, *command):
        printed = program(*command)
        self.assertEqual(0, printed.returncode, printed.stderr)
        self.assertEqual(printed.stdout.strip(), document, f"differs from `batchd {' '.join(command)}`; CONTRIBUTING.md says how to renew it")

    def test_the_configuration_table_is_the_programs(self):
        self.check_equal(marked("config"), "docs", "config")

    def test_the_metrics_table_is_the_programs(self):
        self.check_equal(marked("metrics"), "docs", "metrics")

    def test_the_example_configuration_is_the_programs(self):
        self.check_equal((ROOT / "deploy/batchd.example.toml").read_text(encoding="utf-8").strip(), "check-config", "--print-example")

    def test_the_readme_names_every_command_the_program_has_and_no_other(self):
        said = set(re.findall(r"^\| `batchd ([a-z-]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))
        shown = program("--help")
        self.assertEqual(0, shown.returncode, shown.stderr)
        for command in said:
            self.assertRegex(shown.stdout, rf"(?m)^ +{command}\b", f"`batchd --help` does not show {command}")
            self.assertEqual(0, program(command, "--help").returncode, command)
        has = set(re.findall(r"^ {2}([a-z][a-z-]+)  +\S", shown.stdout.split("ubcommands", 1)[-1], re.MULTILINE)) - {"docs", "help"}
        self.assertEqual(has, said, "the README's table of commands and `batchd --help` differ")

    def test_the_two_commands_are_there_and_can_be_run(self):
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        for command in ("deploy/quickstart", "tests/run"):
            self.assertIn(f"    ./{command}\n", text)
            self.assertTrue(os.access(ROOT / command, os.X_OK), command)

    def test_links_and_paths_lead_somewhere(self):
        for document in DOCUMENTS:
            text = document.read_text(encoding="utf-8")
            for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
                if not target.startswith(("http://", "https://")):
                    self.assertTrue((document.parent / target).exists(), f"{document.name} links to {target}")
            for path in re.findall(r"`((?:daemon|db|deploy|migrations|tests|\.ci)/[\w./-]*\w)`", text):
                self.assertTrue((ROOT / path).exists(), f"{document.name} names {path}")

    def test_every_test_that_a_table_of_the_tests_names_is_there(self):
        sources = [file for file in (ROOT / "tests").rglob("*") if file.suffix in (".cpp", ".py", ".txt")]
        text = {file: file.read_text(encoding="utf-8") for file in sources if "build" not in file.relative_to(ROOT).parts}
        cpp = "\n".join(body for file, body in text.items() if file.suffix == ".cpp")
        python = {name for body in text.values() for name in re.findall(r"def (test_\w+)\(", body)}
        groups = "\n".join(body for file, body in text.items() if file.name == "CMakeLists.txt")
        cases = {"## The twenty edge cases": 20, "## Where the providers' documents": 19, "## What the documents leave open": 14}
        document = (ROOT / "tests/README.md").read_text(encoding="utf-8")
        for heading, count in cases.items():
            section = re.search(rf"^{heading}.*?(?=^## |\Z)", document, re.MULTILINE | re.DOTALL).group(0)
            rows = re.findall(r"^\| (\d+) (.*?) \| (.*) \|$", section, re.MULTILINE)
            self.assertEqual([str(number) for number in range(1, count + 1)], [row[0] for row in rows], heading)
            for number, _, shown in rows:
                names = re.findall(r"`([^`]+)`((?: [A-Z]\w+(?:,(?= [A-Z]))?)*)", shown)
                self.assertTrue(names, f"{heading} {number} names no test")
                for name, classes in names:
                    self.assertTrue(self.has_test(name, cpp, python, groups), f"{heading} {number}: there is no {name}")
                    for one in re.findall(r"\w+", classes):
                        script = ROOT / f"tests/integration/{name}_test.py"
                        self.assertRegex(script.read_text(encoding="utf-8"), rf"(?m)^class {one}\(", f"{heading} {number}: {name} {one}")

    @staticmethod
    def has_test(name, cpp, python, groups):
        if "." in name:
            suite, test = name.split(".")
            return re.search(rf"TEST(_F|_P)?\({suite}, {test}\)", cpp) is not None
        if re.match(r"\d\d", name):
            return any(test.startswith("test_" + name.rstrip("…")) for test in python)
        if name.startswith("test_"):
            return name in python
        return re.search(rf"\b{name}:|NAME {name}\b|NAME {name}_\$", groups) is not None or name == "official_requests"

    def test_nothing_of_a_machine_is_written_down(self):
        if shutil.which("git") is None:
            self.skipTest("git is not installed")
        listed = subprocess.run(["git", "-c", f"safe.directory={ROOT}", "ls-files"], cwd=ROOT, capture_output=True, text=True)
        if listed.returncode:
            self.skipTest("not a git checkout")
        for name in listed.stdout.splitlines():
            file = ROOT / name
            if file.suffix in TEXT and file.is_file():
                for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
                    found = FORBIDDEN.search(line)
                    self.assertIsNone(found, f"{name}:{number}: {found.group(0) if found else ''}")

    def test_the_readme_stays_short(self):
        generated = [*marked("config").splitlines(), *marked("metrics").splitlines()]  # a line a key, and for each metric
        self.assertLessEqual(len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) - len(generated), 210)


if __name__ == "__main__":
    if sys.argv[1:] == ["--renew"]:
        os.environ.setdefault("BATCHD_BUILD_DIR", str(ROOT / "build/release"))
        sys.exit(renew())
    sys.exit(unittest.main(verbosity=1))
