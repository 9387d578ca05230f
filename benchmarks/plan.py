"""What a run consists of: the cases, each followed by the peers' work that it is compared with."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.case import Case, Figure
from benchmarks.peer_list import WORKS, Work


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table: a case of ours, or a peer's work."""

    name: str
    title: str
    unit: str
    postgres: bool
    """Whether it needs a database."""
    yardstick: bool = True
    """Whether it is compared with pgbench, if it needs a database."""
    big: bool = False
    compares: Figure = "rate"
    """What is compared with what was measured beside it."""
    peer: str | None = None
    """Whose work it is; `None` for ours."""
    against: str | None = None
    """A peer's: the name of our case."""


def plan(cases: Iterable[Case], works: Sequence[Work] = WORKS, *, peers: bool, only: Sequence[str] = ()) -> list[Entry]:
    """What to run, in order. `only` are names, or what they begin with up to a hyphen; they choose among all there is."""
    entries: list[Entry] = []
    for case in cases:
        entries.append(Entry(case.name, case.title, case.unit, case.postgres, case.yardstick, case.big, case.compares))
        if peers or only:
            entries += [entry_of(work) for work in works if work.against == case.name]
    return [entry for entry in entries if _chosen(entry, peers, only)]


def entry_of(work: Work) -> Entry:
    """A peer's work as a row."""
    return Entry(work.name, work.title, work.unit, work.postgres, peer=work.peer, against=work.against)


def _chosen(entry: Entry, peers: bool, only: Sequence[str]) -> bool:
    # With --peers, those of a chosen case come along.
    names = [entry.name, entry.against] if peers and entry.against else [entry.name]
    return not only or any(name == word or name.startswith(f"{word}-") for name in names for word in only)
