#!/usr/bin/env python3
"""Means of the outputs beside this file, and shown minus hidden by seed with Student's 95 % interval."""

import re
import statistics
from pathlib import Path

T_975_OF_4 = 2.776
"""97.5 % quantile of Student's t with four degrees of freedom: five seeds."""
ROW = re.compile(r"\| (\w+) \| ([\d.]+) \[|(refuses[^:]*|held-out text): ([\d.]+)")

values: dict[str, dict[str, list[float]]] = {}
files = sorted(Path(__file__).parent.glob("seed*.md"))
for file in files:
    arm = ""
    for line in file.read_text().splitlines():
        if line.startswith("### "):
            arm = line.split()[-1]
        elif found := ROW.match(line):
            name, value = found[1] or found[3], float(found[2] or found[4])
            values.setdefault(name, {}).setdefault(arm, []).append(value)

assert len(files) == 5, "the quantile is that of five seeds"
for name, arms in values.items():
    pairs = [a - b for a, b in zip(arms["Shown"], arms["Hidden"], strict=True)]
    mean, half = statistics.mean(pairs), T_975_OF_4 * statistics.stdev(pairs) / len(pairs) ** 0.5
    means = " | ".join(f"{statistics.mean(arms[arm]):.3f}" for arm in ("Shown", "Hidden"))
    print(f"| {name} | {means} | {mean:+.3f} [{mean - half:+.3f}, {mean + half:+.3f}] |")
