"""Which of a definition's ways tests have taken."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Self

from detent.definition.answers import Answers
from detent.definition.fingerprint import fingerprint
from detent.definition.model import WorkflowDefinition
from detent.json_values import JsonObject
from detent.store.records import HistoryEntry
from detent.testing.misuse import HarnessMisused
from detent.testing.ways import Way, firing_of, way_taken, ways_of


class TransitionCoverage:
    """The ways of `definition` and how often each was taken.

    A way is an event's target, each of its branches, its error target, its firing by itself, and each hop of an
    `on_enter`. What no instance can do does not count: states that are never reached, error targets without a command.
    A harness fills one for each of its definitions; those of several harnesses are put together by `merge`. Raises
    `DefinitionInvalid` for a definition with errors.
    """

    def __init__(self, definition: WorkflowDefinition) -> None:
        self.definition = definition
        self._ways = ways_of(definition)
        self._from = {state: [way for way in self._ways if way.source == state] for state in definition.states}
        self._taken: Counter[Way] = Counter()

    @property
    def ways(self) -> tuple[Way, ...]:
        """Every way there is, in the order they are written."""
        return self._ways

    @property
    def taken(self) -> Mapping[Way, int]:
        """How often each way was taken, those that were not included."""
        return MappingProxyType({way: self._taken[way] for way in self._ways})

    @property
    def missing(self) -> tuple[Way, ...]:
        """The ways that nobody took; `str(way)` is readable."""
        return tuple(way for way in self._ways if not self._taken[way])

    @property
    def percent(self) -> float:
        """The share of ways that were taken, 0 to 100; 100 where there are none."""
        return 100.0 if not self._ways else 100 * (len(self._ways) - len(self.missing)) / len(self._ways)

    def record(self, entry: HistoryEntry, answers: Answers, *, is_first: bool = True) -> None:
        """Count what a history entry tells of; `answers` are its guards', `is_first` says that it begins a commit."""
        state = str(entry.from_state)
        ways = self._from.get(state, [])
        event = self.definition.states[state].events.get(entry.event) if ways else None
        taken = [way_taken(event, ways, entry, answers), firing_of(ways, entry) if is_first else None]
        self._taken.update(way for way in taken if way is not None)

    def merge(self, other: "TransitionCoverage") -> Self:
        """This very coverage, with what `other` has seen added. Raises `HarnessMisused` where the definitions differ."""
        if _identity(other.definition) != _identity(self.definition):
            raise HarnessMisused(
                f"the coverage of {_title(other)} cannot be merged into that of {_title(self)}",
                hint="merge only coverage of one and the same definition",
            )
        self._taken.update(other._taken)
        return self

    def report(self) -> str:
        """A table of all ways and how often each was taken, with `-` for never; its first line sums up."""
        lines = [f"{count or '-':>5}  {way}" for way, count in self.taken.items()]
        return "\n".join([self.summary, *lines])

    @property
    def summary(self) -> str:
        """One line: `order v1: 7 of 9 transitions taken (77 %)`."""
        taken = len(self._ways) - len(self.missing)
        return f"{_title(self)}: {taken} of {len(self._ways)} transitions taken ({int(self.percent)} %)"

    def assert_complete(self, *, at_least: float = 100) -> None:
        """Raise `AssertionError`, with what is missing, where fewer than `at_least` percent of the ways were taken."""
        if self.percent < at_least:
            missing = "\n".join(f"  {way}" for way in self.missing)
            raise AssertionError(f"{self.summary}, and {at_least:g} % are asked for. Never taken:\n{missing}")

    def to_dict(self) -> JsonObject:
        """It as JSON, for another process; `from_dict` reads it."""
        return {"definition": self.definition.to_dict(), "taken": [self._taken[way] for way in self._ways]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The coverage that `to_dict` wrote."""
        coverage = cls(WorkflowDefinition.from_dict(data["definition"]))
        coverage._taken = Counter(dict(zip(coverage._ways, data["taken"], strict=True)))
        return coverage


class CoverageSum:
    """Coverage of many harnesses, one sum for each definition."""

    def __init__(self) -> None:
        self._by_definition: dict[tuple[str, str, str], TransitionCoverage] = {}

    def add(self, coverage: TransitionCoverage) -> None:
        """Put `coverage` to that of the same definition."""
        key = _identity(coverage.definition)
        self._by_definition.setdefault(key, TransitionCoverage(coverage.definition)).merge(coverage)

    @property
    def coverages(self) -> list[TransitionCoverage]:
        """The sums, by workflow and version."""
        return sorted(
            self._by_definition.values(), key=lambda found: (found.definition.name, found.definition.version_key)
        )


LISTENERS: list[CoverageSum] = []
"""Whom every harness tells of its coverage when it is left; the pytest plugin puts itself here when it is asked to."""


def _identity(definition: WorkflowDefinition) -> tuple[str, str, str]:
    return definition.name, definition.version, fingerprint(definition)


def _title(coverage: TransitionCoverage) -> str:
    return f"{coverage.definition.name} v{coverage.definition.version}"
