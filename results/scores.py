"""Scores of one run, over seeds.

    python3 results/scores.py RUN/records.csv METRIC [METRIC ...] [role=ROLE] [arm=NAME] [student=NAME] [budget=N]

Prints the mean over the seeds that have the score, their number, smallest and largest, for each arm, student and budget.
"""

import csv
import sys


def main():
    path, *words = sys.argv[1:]
    metrics = [word for word in words if "=" not in word]
    only = dict(word.split("=", 1) for word in words if "=" in word)
    role = only.pop("role", "student")
    scores = {}
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            wanted = row["role"] == role and row["metric"] in metrics and row["value"]
            if wanted and all(row[key] == value for key, value in only.items()):
                place = (row["metric"], row["arm"], row["student"], int(row["budget"]))
                scores.setdefault(place, []).append(float(row["value"]))
    for (metric, arm, student, budget), values in sorted(scores.items()):
        mean = sum(values) / len(values)
        spread = f"{min(values):.4g} to {max(values):.4g}, {len(values)} seeds"
        print(f"{metric}, {arm} x {student or '-'} x {budget}: {mean:.4g} ({spread})")


main()
