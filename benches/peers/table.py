"""From runs to rows, and from rows to text."""

import json
import math
from dataclasses import asdict, dataclass
from statistics import mean, median, stdev

from harness import Measured, Unable

Pairs = list[tuple[Measured, Measured]]
"""Runs of both sides in the order they were made: ours, the peer's."""

LARGEST_GAP = 1e-5
"""Most that a probability may differ between the sides."""
FEWEST_SAME = 0.9
"""Share of greedy tokens that must be the same; a near tie may send the rest of a text elsewhere."""
STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]
"""97.5 % points of Student's t for 1 to 9 degrees of freedom; above, the last one is a little wide."""


@dataclass
class Row:
    """One line of the table. A work that did not run has a `note` and no numbers."""

    work: str
    unit: str = ""
    ours: float | None = None
    peer: float | None = None
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    mb_ours: float | None = None
    mb_peer: float | None = None
    quality_ours: str = ""
    quality_peer: str = ""
    note: str = ""


def measured_row(work: str, unit: str, pairs: Pairs, rates: list[tuple[float, float]]) -> Row:
    """Medians of both sides; the range of the ratio is over pairs of neighbouring runs."""
    ours, peer = (median(side) for side in zip(*rates))
    ratios = [a / b for a, b in rates]
    memory = [median(run.peak_mb for run in side) for side in zip(*pairs)]
    quality = [quality_of([run.report for run in side]) for side in zip(*pairs)]
    return Row(
        work, unit, ours, peer, ours / peer, min(ratios), max(ratios), *memory, *quality
    )


def quality_of(reports: list[dict]) -> str:
    """Loss, accuracy or agreement of a side, the mean where runs differ in seed."""
    parts = []
    for key in ("loss", "accuracy", "agreement"):
        if all(key in report for report in reports):
            parts.append(f"{key} {mean(report[key] for report in reports):.4f}")
    return ", ".join(parts)


def rates_of(pairs: Pairs) -> list[tuple[float, float]]:
    """What the programs say of their own speed."""
    return [(a.report["rate"], b.report["rate"]) for a, b in pairs]


def check_probabilities(pairs: Pairs) -> str:
    """Refuses sides that answer differently."""
    gap = max(b.report["difference"] for _, b in pairs)
    if not gap <= LARGEST_GAP:
        raise Unable(f"not comparable: probabilities differ by {gap:.1e}")
    return f"probabilities differ by {gap:.0e} at most"


def check_tokens(pairs: Pairs) -> str:
    """Refuses sides that write different texts."""
    same = min(b.report["agreement"] for _, b in pairs)
    if not same >= FEWEST_SAME:
        raise Unable(f"not comparable: {same:.1%} of the tokens are the same")
    inside = [b.report["inside"] for _, b in pairs if "inside" in b.report]
    note = f"; {median(inside):.0%} of the peer's time is in its library" if inside else ""
    return f"{same:.1%} of the tokens are the same{note}"


def per_text(row: Row, texts: int) -> str:
    """What each of several texts gets of the two rates."""
    return f"; a text gets {short(row.ours / texts)} and {short(row.peer / texts)}" * (texts > 1)


def check_agreement(pairs: Pairs) -> str:
    """Ours less the peer's, paired by seed, with a 95 % interval of the mean."""
    gaps = [a.report["agreement"] - b.report["agreement"] for a, b in pairs]
    width = math.nan
    if len(gaps) > 1:
        quantile = STUDENT[min(len(gaps) - 1, len(STUDENT)) - 1]
        width = quantile * stdev(gaps) / math.sqrt(len(gaps))
    low, high = mean(gaps) - width, mean(gaps) + width
    return f"agreement differs by {mean(gaps):+.4f} [{low:+.4f}, {high:+.4f}], {len(gaps)} seeds"


HEAD = ["work", "ours", "peer", "unit", "ratio (range)", "MB ours", "MB peer", "ours", "peer", "check"]


def markdown(machine: str, rows: list[Row]) -> str:
    """The machine, then a table."""
    align = ["---", "---:", "---:", "---", "---:", "---:", "---:", "---", "---", "---"]
    body = [HEAD, align] + [cells(row) for row in rows]
    return "\n".join([machine, ""] + [f"| {' | '.join(line)} |" for line in body])


def cells(row: Row) -> list[str]:
    """A row as text; a dash is a number that nobody measured."""
    note = row.note.replace("|", "/")
    if row.ours is None:
        return [row.work] + ["-"] * (len(HEAD) - 2) + [note]
    ratio = f"{row.ratio:.2f} ({row.ratio_low:.2f}-{row.ratio_high:.2f})"
    memory = [f"{row.mb_ours:.0f}", f"{row.mb_peer:.0f}"]
    quality = [row.quality_ours or "-", row.quality_peer or "-"]
    return [row.work, short(row.ours), short(row.peer), row.unit, ratio, *memory, *quality, note]


def short(value: float) -> str:
    """Three digits that count."""
    digits = max(0, 2 - math.floor(math.log10(value)))
    return f"{round(value, 2 - math.floor(math.log10(value))):,.{digits}f}"


def as_json(machine: str, rows: list[Row]) -> str:
    """The same as one JSON object; numbers that nobody measured are null."""
    return json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2)
