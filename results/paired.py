"""Paired differences between two students of one run, over seeds.

    python3 results/paired.py RUN/records.csv METRIC STUDENT OTHER [capability=NAME] [arm=NAME] [other-arm=NAME] [budget=N]

Prints STUDENT - OTHER for each capability and budget: mean and 95 % interval (Student t over seeds). `every` in the
place of a student is the mean over all students of a seed. The metric `recovered` is made from records as reports make
it: (accuracy - floor) / (the teacher's accuracy - floor).
"""

import csv
import math
import sys

# 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom.
T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def read(path, metric):
    """{(capability, budget, arm, student): {seed: value}}; the teacher is a student without a name."""
    scores = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            if row["role"] in ("student", "teacher") and row["metric"] == metric and row["value"]:
                capability = row.get("cfg.capability") or ""
                place = (capability, int(row["budget"]), row["arm"], row["student"])
                scores.setdefault(place, {})[int(row["seed"])] = float(row["value"])
    return scores


def recovered(path):
    accuracy, floor = read(path, "accuracy"), read(path, "floor_accuracy")
    scores = {}
    for place, by_seed in accuracy.items():
        teacher = accuracy[(place[0], 0, "none", "")]
        for seed, value in by_seed.items():
            least = floor[place][seed]
            scores.setdefault(place, {})[seed] = (value - least) / (teacher[seed] - least)
    return scores


def main():
    path, metric, student, other, *rest = sys.argv[1:]
    only = dict(word.split("=", 1) for word in rest)
    arms = (only.get("arm", "none"), only.get("other-arm", only.get("arm", "none")))
    scores = recovered(path) if metric == "recovered" else read(path, metric)
    scores = {place: by_seed for place, by_seed in scores.items() if place[3]}
    for *place, _ in set(scores):
        students = [by_seed for (*at, _), by_seed in scores.items() if at == place]
        seeds = set.intersection(*map(set, students))
        means = {seed: sum(own[seed] for own in students) / len(students) for seed in seeds}
        scores[(*place, "every")] = means
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
