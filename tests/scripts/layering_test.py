#!/usr/bin/env python3
"""Includes point one way: reads every #include of daemon/, db/ and tests/sim/ and the DEPENDS of the CMake layers, and
fails on one that points upward or sideways, or that brings an outside library to a place it does not belong."""

import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What each layer may include, lowest first. A layer not in its own set may not include itself sideways either.
ALLOWED = {
    "core": set(),
    "tokens": {"core"},  # counts tokens: pure but for reading its vocabularies
    "runtime": {"core"},
    "log": {"core"},
    "config": {"core"},
    "metrics": {"core"},
    "provider": {"core", "runtime", "log", "config", "metrics"},
    "spool": {"core", "runtime", "log", "config", "metrics"},
    "db": {"core", "runtime", "log", "config", "metrics"},
    "stages": {"core", "tokens", "runtime", "log", "config", "metrics", "spool"},
    "local": {"core"},  # a private PostgreSQL's processes: POSIX only
    "admin": {"core", "runtime", "log", "config", "metrics"},
    "application": {"core", "tokens", "runtime", "log", "config", "metrics", "provider", "spool", "db", "stages", "admin"},
    "cli": {"core", "tokens", "runtime", "log", "config", "metrics", "provider", "spool", "db", "stages", "admin", "local", "application"},
    "main": {"cli"},
    "sim": set(),  # shares no code with the daemon: a shared bug would hide itself
}

# Parts of the wiring that have files of their own beside daemon/application.cpp.
APPLICATION = {"application", "connections", "credentials", "providers", "reporter"}

# Ports: interfaces that a higher layer sees although it may not see the adapter behind them.
PORTS = {"db/store.hpp": {"stages", "admin"}, "provider/provider.hpp": {"stages", "admin"}, "provider/credential.hpp": {"stages"}}

# Headers that the build makes; they stand in no folder of ours.
GENERATED = {"db/queries.hpp"}

# Outside libraries: the include's pattern, and where it may stand (layer, pattern of the file).
OUTSIDE = [
    (r"pqxx|libpq|postgres_ext", [("db", r"")]),
    (r"boost/beast", [("runtime", r"/http_[a-z_]*\.[ch]pp$"), ("runtime", r"/asio_impl\.cpp$"), ("admin", r""), ("sim", r"")]),
    (r"prometheus/", [("metrics", r"\.cpp$")]),
    (r"spdlog/", [("log", r"\.cpp$")]),
    (r"toml\+\+|toml\.hpp", [("config", r"\.cpp$")]),
    (r"CLI/", [("cli", r""), ("sim", r""), ("main", r"")]),
    (r"openssl/", [("runtime", r""), ("sim", r"")]),
]

# The core decides and does nothing else: it speaks std, Boost.JSON and Boost.System, and is told the time and the seed.
CORE_BOOST = re.compile(r"boost/(json|system|assert)[./]|boost/(json|assert|throw_exception)\.hpp")
CORE_FORBIDDEN_STD = {"thread", "mutex", "condition_variable", "atomic", "future", "random", "iostream", "fstream", "filesystem",
                      "coroutine", "ctime", "cstdio", "unistd.h", "time.h"}
CORE_FORBIDDEN_CALLS = re.compile(r"_clock::now\b|\brandom_device\b|\bclock_gettime\b|\bgetenv\b|\bstd::time\(")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def layer_of(path):
    """The layer a file under the root belongs to, or None when it belongs to none."""
    parts = path.split("/")
    if parts[0] == "db":
        return "db"
    if parts[:2] == ["tests", "sim"]:
        return "sim"
    if parts[0] != "daemon":
        return None
    if len(parts) == 2:  # daemon/config.hpp, daemon/config_table.cpp
        name = re.split(r"[._]", parts[1])[0]
        return "application" if name in APPLICATION else name if name in ALLOWED else None
    return parts[1] if parts[1] in ALLOWED else None


def resolve(included, including):
    """The file of ours that a quoted include names, relative to the root, or None."""
    if included in GENERATED:
        return included
    here = including.rsplit("/", 1)[0]
    for base in ("daemon/", "", here + "/", "tests/", "tests/sim/"):
        if (ROOT / (base + included)).is_file():
            return (pathlib.PurePosixPath(base) / included).as_posix()
    return None


def problems_of(path, text, resolver=resolve):
    """Every rule that the text of the file `path` breaks, one sentence each."""
    found = []
    layer = layer_of(path)
    if layer is None:
        return [f"{path}: belongs to no layer; add it to one, or the layer to this test's table"]
    for match in INCLUDE.finditer(text):
        quoted, name = match.group(1) == '"', match.group(2)
        where = f"{path}:{text.count(chr(10), 0, match.start()) + 1}"
        if quoted:
            target = resolver(name, path)
            if target is None:
                found.append(f'{where}: "{name}" is no file of ours; outside headers are included with <>')
                continue
            to = layer_of(target)
            if to is None:
                found.append(f"{where}: {layer} includes {target}, which belongs to no layer")
            elif to != layer and to not in ALLOWED[layer] and layer not in PORTS.get(target.removeprefix("daemon/"), set()):
                found.append(f"{where}: {layer} includes {target}, which belongs to {to}: upward or sideways")
            continue
        for pattern, places in OUTSIDE:
            if re.match(pattern, name) and not any(layer == where_ and re.search(file, path) for where_, file in places):
                found.append(f"{where}: <{name}> does not belong into {layer}")
        if layer == "core" and name.startswith("boost/") and not CORE_BOOST.match(name):
            found.append(f"{where}: core includes <{name}>; of Boost it knows JSON and System only")
        if layer == "core" and name in CORE_FORBIDDEN_STD:
            found.append(f"{where}: core includes <{name}>; it does no I/O, keeps no time and has no threads")
    if layer == "core":
        for match in CORE_FORBIDDEN_CALLS.finditer(re.sub(r"//[^\n]*", "", text)):
            found.append(f"{path}: core calls {match.group(0)}; time and randomness are arguments")
    if path.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.MULTILINE):
        found.append(f"{path}: a header without #pragma once")
    return found


def cmake_problems(texts):
    """texts: path → content of the CMakeLists. Checks every DEPENDS of batchd_layer against the table."""
    found = []
    for path, text in texts.items():
        for call in re.finditer(r"^batchd_layer\((\w+)([^)]*)\)", text, re.MULTILINE):
            layer, rest = call.group(1), call.group(2)
            depends = re.search(r"\bDEPENDS((?:\s+[a-z]+)*)", rest)
            for lower in depends.group(1).split() if depends else []:
                if lower not in ALLOWED.get(layer, set()):
                    found.append(f"{path}: layer {layer} DEPENDS on {lower}: upward or sideways")
    return found


def sources():
    for folder in ("daemon", "db", "tests/sim"):
        for file in sorted((ROOT / folder).rglob("*")):
            if file.suffix in (".hpp", ".cpp", ".h", ".inc"):
                path = file.relative_to(ROOT).as_posix()
                # Tests of the simulator stand beside it and may use what every test uses.
                if not path.startswith("tests/sim/") or not path.endswith("_test.cpp"):
                    yield path, file.read_text(encoding="utf-8")


class Layering(unittest.TestCase):
    def test_every_include_points_downwards(self):
        seen = 0
        problems = []
        for path, text in sources():
            seen += 1
            problems += problems_of(path, text)
        self.assertGreater(seen, 20, "the sources were not found")
        self.assertEqual([], problems, "\n" + "\n".join(problems))

    def test_only_the_table_of_dialects_and_the_configuration_know_a_provider_by_name(self):
        may = re.compile(r"daemon/(provider/dialect|config\w*|cli/run_(config|options))\.cpp$")
        known = [path for path, text in sources() if path.startswith(("daemon/", "db/")) and re.search(r'"(azure(-v1)?|openai)"', text)]
        self.assertIn("daemon/provider/dialect.cpp", known)
        self.assertEqual([], [path for path in known if not may.match(path)])

    def test_every_cmake_layer_depends_downwards(self):
        files = [ROOT / "daemon/CMakeLists.txt", ROOT / "db/CMakeLists.txt", ROOT / "daemon/cli/CMakeLists.txt"]
        texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
        self.assertGreater(sum(text.count("batchd_layer(") for text in texts.values()), 8, "the layers were not found")
        self.assertEqual([], cmake_problems(texts))


class TheTestItself(unittest.TestCase):
    """A guard that cannot fail guards nothing."""

    @staticmethod
    def check(path, text):
        return problems_of(path, text, lambda name, _: name if name.startswith(("db/", "tests/")) else "daemon/" + name)

    def test_it_sees_an_upward_include(self):
        self.assertIn("upward", self.check("daemon/runtime/a.cpp", '#include "stages/plan.hpp"\n')[0])
        self.assertIn("upward", self.check("daemon/core/a.cpp", '#include "log.hpp"\n')[0])
        self.assertIn("upward", self.check("daemon/core/a.cpp", '  #  include "runtime/task.hpp"\n')[0])

    def test_it_sees_a_sideways_include(self):
        self.assertIn("sideways", self.check("db/a.cpp", '#include "provider/provider.hpp"\n')[0])
        self.assertIn("sideways", self.check("daemon/log.cpp", '#include "metrics.hpp"\n')[0])
        self.assertIn("sideways", self.check("tests/sim/a.cpp", '#include "core/batch_lines.hpp"\n')[0])

    def test_it_lets_stages_see_the_ports_but_not_the_adapters(self):
        self.assertEqual([], self.check("daemon/stages/a.cpp", '#include "db/store.hpp"\n#include "provider/provider.hpp"\n'))
        self.assertEqual(1, len(self.check("daemon/stages/a.cpp", '#include "db/pg_store.hpp"\n')))
        self.assertEqual(1, len(self.check("daemon/stages/a.cpp", '#include "provider/dialect.hpp"\n')))

    def test_it_sees_an_outside_library_out_of_place(self):
        for path, include in [("daemon/stages/a.cpp", "pqxx/pqxx"), ("daemon/cli/a.cpp", "libpq-fe.h"),
                              ("daemon/provider/a.cpp", "boost/beast/http.hpp"), ("daemon/runtime/task.cpp", "boost/beast/core.hpp"),
                              ("daemon/admin/a.cpp", "prometheus/counter.h"), ("daemon/metrics.hpp", "prometheus/counter.h"),
                              ("daemon/core/a.cpp", "boost/asio.hpp"), ("daemon/core/a.cpp", "random")]:
            self.assertEqual(1, len(self.check(path, f"#include <{include}>\n#pragma once\n")), (path, include))

    def test_it_lets_them_stand_where_they_belong(self):
        for path, include in [("db/pg_store.cpp", "pqxx/pqxx"), ("daemon/runtime/http_client.cpp", "boost/beast/http.hpp"),
                              ("daemon/metrics.cpp", "prometheus/counter.h"), ("daemon/core/a.cpp", "boost/json.hpp"),
                              ("tests/sim/server.cpp", "boost/beast/http.hpp"), ("daemon/core/a.cpp", "boost/system/result.hpp")]:
            self.assertEqual([], self.check(path, f"#include <{include}>\n"), (path, include))

    def test_it_sees_a_clock_in_the_core(self):
        self.assertEqual(1, len(self.check("daemon/core/a.cpp", "auto t = std::chrono::system_clock::now();\n")))
        self.assertEqual([], self.check("daemon/core/a.cpp", "// never system_clock::now()\n"))

    def test_it_sees_an_upward_depends(self):
        self.assertEqual(1, len(cmake_problems({"x": "batchd_layer(runtime SOURCES a.cpp DEPENDS core stages LINKS x::y)\n"})))
        self.assertEqual([], cmake_problems({"x": "batchd_layer(runtime SOURCES a.cpp DEPENDS core LINKS x::y)\n"}))

    def test_it_refuses_a_file_of_no_layer(self):
        self.assertIn("no layer", self.check("daemon/util/strings.cpp", "")[0])


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
