"""The cases of cases/*.txt for tests of the real program; README.md has the notation. The reader for tests in the process is corpus.cpp."""

import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent / "cases"
NAMES = {"": b"", "LT": b"<", "NUL": b"\0", "SP": b" ", "TAB": b"\t", "LF": b"\n", "CR": b"\r", "CRLF": b"\r\n", "BOM": b"\xef\xbb\xbf",
         "LS": "\u2028".encode(), "PS": "\u2029".encode(), "NEL": "\u0085".encode()}
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20}


class Case:
    def __init__(self, kind, line, name, verdict, notation, cut=None):
        self.where = f"{kind}.txt:{line}"
        self.name = name if cut is None else f"{name}[{cut}]"
        self.verdict = expanded(verdict).decode()
        self.word = re.split("[:,]", self.verdict)[0]
        self.told = self.verdict[len(self.word) + 1:]
        self.notation = notation
        self.cut = cut

    def input(self):
        return expanded(self.notation)[:self.cut]


def matching(text, start):
    depth = 0
    for at in range(start, len(text)):
        depth += {"<": 1, ">": -1}.get(text[at], 0)
        if depth == 0:
            return at
    raise ValueError("a '<' without its '>': " + text)


def expanded(text):
    """The bytes that a notation stands for."""
    out = []
    while (start := text.find("<")) >= 0:
        end = matching(text, start)
        out += [text[:start].encode(), piece(text[start + 1:end])]
        text = text[end + 1:]
    return b"".join(out) + text.encode()


def piece(inner):
    if inner in NAMES:
        return NAMES[inner]
    if re.fullmatch("[0-9A-F]{2}( [0-9A-F]{2})*", inner):
        return bytes.fromhex(inner)
    count, unit, repeated = re.fullmatch(r"(\d+)([KM]?)\*(.*)", inner, re.S).groups()
    return int(count) * UNITS[unit] * expanded(repeated)


def word_and_rest(text):
    depth = 0
    for at, c in enumerate(text):
        depth = depth + 1 if c == "<" else depth - 1 if c == ">" and depth else depth
        if depth == 0 and c in " \t":
            return text[:at], text[at:].strip(" \t")
    return text, ""


def read(kind, largest=None):
    """All cases of a kind, or those whose input has no more than `largest` bytes."""
    cases, fragments = [], {}

    def filled(text):
        for mark, value in fragments.items():
            text = text.replace(mark, value)
        return text

    for number, line in enumerate((FOLDER / f"{kind}.txt").read_text(encoding="utf-8").split("\n"), 1):
        first, rest = word_and_rest(line.strip(" \t"))
        if first == "let":
            name, rest = word_and_rest(rest)
            fragments[f"<${name}>"] = filled(word_and_rest(rest)[1])
        elif first == "prefixes":
            name, rest = word_and_rest(rest)
            verdict, notation = word_and_rest(rest)
            whole = filled(notation)
            cases += [Case(kind, number, name, verdict, whole, cut) for cut in range(1, len(expanded(whole)))]
        elif first and not first.startswith("#") and first != "verdict":
            verdict, notation = word_and_rest(rest)
            cases.append(Case(kind, number, first, verdict, filled(notation)))
    return [case for case in cases if largest is None or len(case.input()) <= largest]
