"""The tables of a run, in Markdown."""

from collections.abc import Iterable, Sequence

from benchmarks.reading import Reading
from benchmarks.results import Results, Row
from benchmarks.targets import TARGETS, Target

DASH = "-"
NAMES = {
    "plain": "row-locked",
    "floor": "two statements",
    "empty": "empty",
    "bare": "bare handler",
    "bare-p99": "at p99",
}
"""What the page calls what was measured beside a case."""


def report(results: Results, targets: Sequence[Target] = TARGETS) -> str:
    """Everything, in the order in which a reader wants it."""
    ours = [row for row in results.rows if row.entry.peer is None]
    theirs = [row for row in results.rows if row.entry.peer is not None]
    names = {row.entry.name for row in results.rows}
    asked = [_target(target, results) for target in targets if target.row in names]
    tables = ((_HEAD, [*map(_ours, ours)]), (_PEER_HEAD, [*map(_theirs, theirs)]), (_TARGET_HEAD, asked))
    return "\n\n".join([introduction(results), *(table(head, lines) for head, lines in tables if lines)])


def introduction(results: Results) -> str:
    """Where and how it was measured, in a paragraph."""
    machine, how = results.machine, results.how
    tps = "" if results.tps is None else f" pgbench: {results.tps:,.0f} transactions a second (median)."
    return (
        f"{results.made}: {machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, "
        f"{machine['file_system']}, {machine['system']}. Python {results.versions['python']}, "
        f"PostgreSQL {results.postgres['server_version']}, fsync {results.postgres['fsync']}. "
        f"{how['rounds']} rounds of {how['seconds']:g} s, medians.{tps}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all columns but the first are numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_HEAD = (
    "case",
    "per second",
    "x pgbench",
    "p50 ms",
    "p95 ms",
    "p99 ms",
    "CPU µs, Python + PostgreSQL",
    "memory MB",
    "kept bytes",
    "beside it",
)
_PEER_HEAD = (
    "peer",
    "per second",
    "x pgbench",
    "p50 ms",
    "p95 ms",
    "CPU µs, Python + PostgreSQL",
    "memory MB",
    "Detent, same work",
)
_TARGET_HEAD = ("target", "found", "at least", "stretch", "verdict")


def _ours(row: Row) -> list[str]:
    found = row.median
    if found is None:
        return [row.entry.title, f"failed: {_plain(row.failed)}", *[""] * (len(_HEAD) - 2)]
    return [
        row.entry.title,
        rate(found, row.entry.unit),
        ratio(row, "pgbench"),
        milliseconds(found.p50),
        milliseconds(found.p95),
        milliseconds(found.p99),
        cpu(found),
        number(found.peak_mb, ",.0f"),
        number(found.kept_bytes, ",.0f"),
        ", ".join(f"{ratio(row, name)} {NAMES.get(name, name)}" for name in row.ratios if name != "pgbench"),
    ]


def _theirs(row: Row) -> list[str]:
    found = row.median
    if found is None:
        return [row.entry.title, f"failed: {_plain(row.failed)}", *[""] * (len(_PEER_HEAD) - 2)]
    return [
        row.entry.title,
        rate(found, row.entry.unit),
        ratio(row, "pgbench"),
        milliseconds(found.p50),
        milliseconds(found.p95),
        cpu(found),
        number(found.peak_mb, ",.0f"),
        f"{ratio(row, 'detent')} ({row.entry.against})",
    ]


def _target(target: Target, results: Results) -> list[str]:
    found = target.found(results)
    sign = "≤ " if target.less_is_better else ""
    return [
        target.text,
        amount(found, target.unit),
        sign + amount(target.least, target.unit) if target.least is not None else "",
        sign + amount(target.stretch, target.unit) if target.stretch is not None else "",
        target.verdict(found),
    ]


def rate(reading: Reading, unit: str) -> str:
    """How many of what."""
    return DASH if reading.rate is None else f"{reading.rate:,.0f} {unit}"


def ratio(row: Row, name: str) -> str:
    """A ratio with its unit."""
    return amount(row.ratios[name].median, "x") if name in row.ratios else DASH


def amount(value: float | None, unit: str) -> str:
    """A number with as many digits as mean something."""
    if value is None:
        return DASH
    digits = ",.0f" if value >= 100 else ".1f" if value >= 10 else ".2f"
    return f"{value:{digits}} {unit}".strip()


def milliseconds(value: float | None) -> str:
    """Milliseconds with as many digits as mean something."""
    return amount(value, "")


def cpu(reading: Reading) -> str:
    """Both parts."""
    parts = [number(part, ",.0f") for part in (reading.python_us, reading.postgres_us) if part is not None]
    return " + ".join(parts) or DASH


def number(value: float | None, form: str) -> str:
    """Formatted, if there is one."""
    return DASH if value is None else format(value, form)


def _plain(reason: str | None) -> str:
    return (reason or "not measured").replace("|", "/").replace("\n", " ")
