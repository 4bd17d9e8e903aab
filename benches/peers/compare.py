#!/usr/bin/env python3
"""Retort beside its peers, torch, ART and llama.cpp, on this machine: same data, same starting weights,
same order of rows, one thread each, runs alternating, medians. See README.md beside this file.

    python3 benches/peers/compare.py [--quick] [--format md|json] [--work NAME]... [--data DIR]
                                     [--adamw fused|usual]
"""

import argparse
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import table
from harness import HERE, Measured, Unable, build, machine, python, run, say
from table import Pairs, Row

CHECK_STEPS = 20
"""Both sides are trained for so many steps first: rounding has not yet grown into a difference."""
LARGEST_GAP = 1e-3
"""Most that the losses may differ by then."""
REPEATS, QUICK_REPEATS = 5, 3
SEEDS = 10
"""Students of an extraction work, which has a pair of runs for each."""


@dataclass(frozen=True)
class Work:
    """A line of the table, or two."""

    name: str
    action: str
    unit: str
    peer: str = "torch"

    @property
    def row(self) -> str:
        """Its name in the table."""
        return self.name if self.peer == "torch" else f"{self.name}, {self.peer}"


WORKS = [
    Work("mlp-small", "train", "samples/s"),
    Work("mlp-wide", "train", "samples/s"),
    Work("lenet", "train", "samples/s"),
    Work("gpt", "train", "samples/s"),
    Work("infer-1", "infer", "queries/s"),
    Work("infer-64", "infer", "queries/s"),
    Work("infer-4096", "infer", "queries/s"),
    Work("decode-1", "decode", "tokens/s"),
    Work("decode-1", "decode", "tokens/s", "llama.cpp"),
    Work("decode-1", "decode", "tokens/s", "llama.cpp, f16 cache"),
    Work("decode-64", "decode", "tokens/s"),
    Work("decode-64", "decode", "tokens/s", "llama.cpp"),
    Work("decode-64", "decode", "tokens/s", "llama.cpp, f16 cache"),
    Work("knockoff-1000", "knockoff", "queries/s"),
    Work("knockoff-5000", "knockoff", "queries/s"),
]


class Sides:
    """Our program and the peers'; two of them share a folder for one work."""

    def __init__(self, ours: str, interpreter: str, env: dict[str, str]):
        self.ours, self.env = [ours], env
        torch, llama = ([interpreter, str(HERE / f"{name}_peer.py")] for name in ("torch", "llama"))
        self.peers = {
            "torch": torch,
            "llama.cpp": llama,
            "llama.cpp, f16 cache": [*llama, "--cache=f16"],
        }

    def export(self, work: Work, folder: Path) -> dict:
        """Our side writes data, weights and order."""
        return run([*self.ours, "export", work.name, str(folder)], self.env).report

    def pair(self, work: Work, folder: Path, *flags: str) -> tuple[Measured, Measured]:
        """One run of ours, then one of the peer."""
        command = [work.action, work.name, str(folder), *flags]
        ours = run([*self.ours, *command], self.env)
        return ours, run([*self.peers[work.peer], *command], self.env)


def measure(work: Work, sides: Sides, quick: bool) -> list[Row]:
    """The work's rows, or one that says why there are none."""
    say(f"{work.row} ...")
    rows = {"train": training, "infer": asking, "decode": asking, "knockoff": extraction}
    try:
        with tempfile.TemporaryDirectory() as folder:
            exported = sides.export(work, Path(folder))
            return rows[work.action](work, sides, Path(folder), quick, exported)
    except Unable as why:
        return [Row(work.row, work.unit, note=str(why))]


def training(work: Work, sides: Sides, folder: Path, quick: bool, _exported: dict) -> list[Row]:
    """Checks that both sides learn the same, then times them."""
    first = loss_gap(sides.pair(work, folder, "--steps", str(CHECK_STEPS)))
    if not first <= LARGEST_GAP:
        raise Unable(f"not comparable: losses differ by {first:.1e} after {CHECK_STEPS} steps")
    pairs = [sides.pair(work, folder) for _ in range(repeats(quick))]
    row = table.measured_row(work.name, work.unit, pairs, table.rates_of(pairs))
    row.note = f"loss differs by {first:.0e} after {CHECK_STEPS} steps, "
    row.note += f"{loss_gap(pairs[0]):.0e} at the end"
    return [row]


def loss_gap(pair: tuple[Measured, Measured]) -> float:
    """How far apart the two sides end."""
    ours, peer = (run.report["loss"] for run in pair)
    return abs(ours - peer)


def asking(work: Work, sides: Sides, folder: Path, quick: bool, _exported: dict) -> list[Row]:
    """Answers or tokens a second, after a check that both sides give the same ones."""
    pairs = [sides.pair(work, folder) for _ in range(repeats(quick))]
    check: dict[str, Callable[[Pairs], str]] = {
        "infer": table.check_probabilities,
        "decode": table.check_tokens,
    }
    row = table.measured_row(work.row, work.unit, pairs, table.rates_of(pairs))
    row.note = check[work.action](pairs)
    if work.action == "decode":
        row.quality_ours = row.quality_peer = ""
        row.note += table.per_text(row, int(work.name.split("-")[1]))
    return [row]


def extraction(work: Work, sides: Sides, folder: Path, quick: bool, exported: dict) -> list[Row]:
    """A pair of runs for each student: the extraction alone, and the whole process."""
    seeds = range(QUICK_REPEATS if quick else SEEDS)
    pairs = [sides.pair(work, folder, "--seed", str(seed)) for seed in seeds]
    inside = table.measured_row(work.name, work.unit, pairs, table.rates_of(pairs))
    inside.note = table.check_agreement(pairs)
    inside.note += f"; teacher's accuracy {exported['teacher_accuracy']:.4f}"
    budget = float(work.name.split("-")[1])
    rates = [(budget / a.wall, budget / b.wall) for a, b in pairs]
    whole = table.measured_row(f"{work.name}, process", work.unit, pairs, rates)
    whole.note = "the same runs, from start to end of the process"
    return [inside, whole]


def repeats(quick: bool) -> int:
    """Pairs of runs of a work."""
    return QUICK_REPEATS if quick else REPEATS


def chosen(names: list[str]) -> list[Work]:
    """The works of these names; `infer` stands for every `infer-...`."""
    for name in names:
        if not any(matches(work, name) for work in WORKS):
            known = ", ".join(dict.fromkeys(work.name for work in WORKS))
            raise SystemExit(f"compare.py: no work `{name}`; there are {known}")
    return [work for work in WORKS if not names or any(matches(work, n) for n in names)]


def matches(work: Work, name: str) -> bool:
    """True for a work's name or the part before its dash."""
    return name in (work.name, work.name.split("-")[0])


def main() -> None:
    """Measures what the command line asks for and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="3 pairs of runs, not 5 (or 10)")
    parser.add_argument("--format", choices=("md", "json"), default="md")
    parser.add_argument("--work", action="append", default=[], metavar="NAME")
    parser.add_argument("--adamw", choices=("fused", "usual"), default="fused", help="torch's form")
    parser.add_argument("--data", metavar="DIR", help="folder of mnist/ (else RETORT_DATA)")
    args = parser.parse_args()
    works = chosen(args.work)
    env = {"RETORT_PEERS_ADAMW": args.adamw}
    if args.data:
        env["RETORT_DATA"] = os.path.abspath(args.data)
    try:
        interpreter = python()
        sides = Sides(build(), interpreter, env)
    except Unable as why:
        raise SystemExit(f"compare.py: {why}")
    head = machine(interpreter)
    rows = [row for work in works for row in measure(work, sides, args.quick)]
    print({"md": table.markdown, "json": table.as_json}[args.format](head, rows))


if __name__ == "__main__":
    main()
