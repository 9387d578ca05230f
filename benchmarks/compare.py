"""Compares the ratios of two runs: `python -m benchmarks.compare OLD NEW`. A report: it never fails.

Ratios and not rates, because another machine, or a busier one, changes the rates of both sides alike.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import COMMITTED, Ratio, Results
from benchmarks.tables import amount, table

NOTABLE = 0.15
"""Smaller changes are noise more often than not."""


def comparison(old: Results, new: Results) -> str:
    """A table of all ratios that both have, and how each has changed."""
    lines = list(_lines(old, new))
    if not lines:
        return "The two runs have no ratio in common."
    return table(("case", "by", "old", "new", "change", ""), lines)


def _lines(old: Results, new: Results) -> Iterator[list[str]]:
    for row in new.rows:
        before = old.row(row.entry.name)
        for name, ratio in row.ratios.items():
            if before is not None and name in before.ratios:
                earlier = before.ratios[name]
                change = ratio.median / earlier.median - 1
                figures = (amount(earlier.median, "x"), amount(ratio.median, "x"), f"{change:+.0%}")
                yield [row.entry.title, name, *figures, remark(earlier, ratio)]


def remark(old: Ratio, new: Ratio) -> str:
    """`better` or `worse` where the change is notable and the repetitions of the two do not overlap; else nothing."""
    change = new.median / old.median - 1
    if abs(change) < NOTABLE or _overlap(old, new):
        return ""
    return "better" if (change < 0) == new.less_is_better else "worse"


def _overlap(old: Ratio, new: Ratio) -> bool:
    return max(min(old.repetitions), min(new.repetitions)) <= min(max(old.repetitions), max(new.repetitions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path, nargs="?", default=COMMITTED)
    parser.add_argument("new", type=Path)
    given = parser.parse_args()
    print(comparison(Results.read(given.old), Results.read(given.new)))


if __name__ == "__main__":
    main()
