"""How far a run is with undoing what its commands did, read from its journal."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from detent.json_values import JsonObject
from detent.machine.engine import CommandStep
from detent.machine.machine import Machine
from detent.runtime.event_names import ON_ENTER
from detent.store.records import CommandRecord
from detent.store.run_records import Run


@dataclass(frozen=True, slots=True)
class Undoing:
    """What a run has undone, and what it has not."""

    failed: CommandRecord
    """The command because of which it undoes the others."""
    undone: tuple[str, ...]
    """The commands that are undone, in the order in which that was done."""
    left: tuple[str, ...]
    """Those that are not yet, in the order in which they are to be; empty where the version cannot be looked at."""


def failure_in(journal: Iterable[JsonObject]) -> CommandRecord | None:
    """The failure that a run is about to take; what its journal holds behind that undoes what came before."""
    return next((record for record in _records(journal) if _is_taken(record)), None)


def failure_told(failed: CommandRecord) -> str:
    """Which command failed, and with what."""
    parts = (None if failed.code == "raised" else failed.code, failed.message)
    return f"command {failed.name!r} failed with {': '.join(filter(None, parts)) or 'no reason given'}"


def undoing_of(run: Run, machine: Machine | Exception) -> Undoing | None:
    """How far `run` is with undoing, as `machine` knows, if that is its version; `None` when it has nothing to undo."""
    failed = failure_in(run.journal)
    if failed is None:
        return None
    records = [record for record in _records(run.journal) if record.compensates is not None]
    wanted: list[str] = []
    if isinstance(machine, Machine) and machine.version == run.definition_version:
        wanted = _to_undo(run, machine)
    left = list(dict.fromkeys(wanted[len(records) :]))
    undone = [record.compensates for record in records if record.compensates and record.compensates not in left]
    if not (left or undone):
        return None
    return Undoing(failed, tuple(dict.fromkeys(undone)), tuple(left))


def _records(journal: Iterable[JsonObject]) -> Iterator[CommandRecord]:
    return (CommandRecord(**entry["record"]) for entry in journal if "record" in entry)


def _is_taken(record: CommandRecord) -> bool:
    return not (record.ok or record.best_effort) and record.compensates is None


def _to_undo(run: Run, machine: Machine) -> list[str]:
    """For each command that undoes another, in the order in which they run, the name of that other."""
    steps = list(_steps(run, machine))
    chosen = next((entry["goto"]["event"] for entry in run.journal if entry.get("goto") is not None), None)
    if chosen is not None:
        steps += machine.commands_of(run.state, chosen)
    own = [record for record in _records(run.journal) if record.compensates is None]
    done = [step for step, record in zip(steps, own, strict=False) if record.ok]
    return [step.name for step in reversed(done) for _ in step.compensate]


def _steps(run: Run, machine: Machine) -> Sequence[CommandStep]:
    return machine.entries[run.state].commands if run.event == ON_ENTER else machine.commands_of(run.state, run.event)
