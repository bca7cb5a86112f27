#!/usr/bin/env python3
"""Writes copies of product sources in which guards can be switched off: mutate.py OUT-DIRECTORY. The product itself has no such
switch: the copies are linked into the program batchd-mutants only. Each guard is one exact piece of text; when the product's text
changes, the build says which entry has to follow.

mutate.py --list prints the names of the sources."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]

# name, as in mutants.hpp: (source, the guard's text, what stands there instead; MUTANT is the switch)
MUTANTS = {
    "intent_before_post": (
        "daemon/stages/submit.cpp",
        "  switch (co_await advance(shard, Intended{}, true)) {",
        "  if (MUTANT) {\n    co_await post(shard, *provider);\n    co_return;\n  }\n  switch (co_await advance(shard, Intended{}, true)) {"),
    "unknown_is_refused": (
        "daemon/stages/submit.cpp",
        "  switch (error.kind) {", "  switch (MUTANT && error.kind == ErrorKind::unknown ? ErrorKind::throttled : error.kind) {"),
    "settle_window": (
        "daemon/stages/submit.cpp",
        "shard.looks + 1 >= looks_before_fence && shard.intent_age >= settings_.settle_window;",
        "MUTANT || (shard.looks + 1 >= looks_before_fence && shard.intent_age >= settings_.settle_window);"),
    "fence": (
        "daemon/stages/submit.cpp",
        "  const auto deleted = co_await provider.delete_file(*shard.input_file);",
        "  ProviderResult<void> deleted;\n  if (!MUTANT) deleted = co_await provider.delete_file(*shard.input_file);"),
    "full_walk": (
        "daemon/stages/list_walk.cpp",
        "guard.fault().empty() ? WalkEnd::complete", "guard.fault().empty() || MUTANT ? WalkEnd::complete"),
    "attempt_of_batch": (
        "daemon/stages/submit.cpp",
        "return attempt->second == metadata", "return MUTANT || attempt->second == metadata"),
    "membership_check": (
        "daemon/stages/merger.cpp",
        "if (!rank || reading.id.attempt != attempts_before(reading.id.request) + 1) {",
        "if (!rank || (!MUTANT && reading.id.attempt != attempts_before(reading.id.request) + 1)) {"),
    "decided_once": (
        "daemon/stages/merger.cpp",
        "  if (seen_.test(*rank)) {\n    ++duplicate_;", "  if (seen_.test(*rank) && !MUTANT) {\n    ++duplicate_;"),
    "whole_file": (
        "daemon/stages/merge.cpp",
        "if (!short_read && whole_line) co_return", "if (MUTANT || (!short_read && whole_line)) co_return"),
    "partial_outputs": (
        "daemon/stages/merge.cpp",
        "  if (shard.output_file) failed = co_await read_file(",
        "  const bool passed_over = MUTANT && shard.finish_reason != FinishReason::ran;\n"
        "  if (shard.output_file && !passed_over) failed = co_await read_file("),
    "harvest": (
        "daemon/stages/watch_strays.cpp",
        "  BoundShard bound;\n", "  BoundShard bound;\n  if (MUTANT) found.lines.clear();\n"),
    "same_request": (
        "daemon/stages/sent_lines.cpp",
        "line->same = std::hash", "line->same = MUTANT || std::hash"),
    "own_batches": (
        "daemon/core/recognition.cpp",
        "if (named == batch.metadata.end() || named->second != instance) return std::nullopt;",
        "if (named == batch.metadata.end() || (named->second != instance && !MUTANT)) return std::nullopt;"),
    "own_files": (
        "daemon/core/orphan.cpp",
        "name->instance != instance ||", "(name->instance != instance && !MUTANT) ||"),
    "files_in_use": (
        "daemon/core/orphan.cpp",
        "  if (owner.input_file == file.id) return FileVerdict::keep;",
        "  if (owner.input_file == file.id) return MUTANT ? FileVerdict::orphan : FileVerdict::keep;"),
}


def mutate(out):
    texts = {}
    for name, (source, guard, instead) in MUTANTS.items():
        text = texts.get(source) or (ROOT / source).read_text()
        if text.count(guard) != 1:
            sys.exit(f"{source} must contain this once, for the mutant {name} in {__file__}:\n{guard}")
        texts[source] = text.replace(guard, instead.replace("MUTANT", f"simulation::without(simulation::Mutant::{name})"))
    for source, text in texts.items():
        target = out / pathlib.Path(source).name
        target.write_text('#include "simulation/mutants.hpp"\n' + text)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--list":
        print(";".join(sorted({source for source, _, _ in MUTANTS.values()})), end="")
    else:
        out = pathlib.Path(sys.argv[1])
        out.mkdir(parents=True, exist_ok=True)
        mutate(out)


if __name__ == "__main__":
    main()
