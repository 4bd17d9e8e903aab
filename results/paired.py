"""Paired differences between two students of one run, over seeds.

    python3 results/paired.py RUN/records.csv METRIC STUDENT OTHER [capability=NAME] [arm=NAME] [other-arm=NAME] [budget=N]

Prints STUDENT - OTHER for each capability and budget: mean and 95 % interval (Student t over seeds).
"""

import csv
import math
import sys

# 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def main():
    path, metric, student, other, *rest = sys.argv[1:]
    only = dict(word.split("=", 1) for word in rest)
    arms = (only.get("arm", "none"), only.get("other-arm", only.get("arm", "none")))
    scores = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            if row["role"] == "student" and row["metric"] == metric and row["value"]:
                capability = row.get("cfg.capability") or ""
                place = (capability, int(row["budget"]), row["arm"], row["student"])
                scores.setdefault(place, {})[int(row["seed"])] = float(row["value"])
    for capability, budget in sorted({place[:2] for place in scores}):
        if only.get("capability", capability) != capability:
            continue
        if int(only.get("budget", budget)) != budget:
            continue
        own = scores.get((capability, budget, arms[0], student), {})
        theirs = scores.get((capability, budget, arms[1], other), {})
        values = [own[seed] - theirs[seed] for seed in sorted(own) if seed in theirs]
        n = len(values)
        if n < 2:
            continue
        mean = sum(values) / n
        deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1))
        half = T[n - 2] * deviation / math.sqrt(n)
        where = f"{capability or 'all'} at {budget}"
        print(f"{where}: {mean:+.4f} [{mean - half:+.4f}, {mean + half:+.4f}], {n} seeds")


main()
