"""What can happen: one definition version, compiled. Immutable, shared by all instances, threads and tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.definition.timeout import Timeout
from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.machine.engine import Choice, CommandStep, Engine, Refused
from detent.machine.paths import LockedPaths
from detent.machine.values import ValueCheck
from detent.machine.verdicts import Need, Verdicts


@dataclass(frozen=True, slots=True)
class Entry:
    """What happens by itself after a state was entered."""

    commands: tuple[CommandStep, ...]
    target: str | None
    error: str | None

    @property
    def needs_worker(self) -> bool:
        """Whether one of its commands is durable, so that it becomes a run."""
        return any(step.needs_worker for step in self.commands)


@dataclass(frozen=True, slots=True)
class Machine:
    """Answers what a state declares, what an event would do, and what it needs. Made by `compile_definition`."""

    definition: WorkflowDefinition
    fingerprint: str
    engine: Engine
    taken: Mapping[str, Mapping[str, Event]]
    """The events that each state takes: those it declares, and Detent's own."""
    entries: Mapping[str, Entry]
    commands: Mapping[tuple[str, str], tuple[CommandStep, ...]]
    """The commands of each (state, event)."""
    firing: Mapping[str, Sequence[tuple[str, Timeout]]]
    """The events that fire by themselves, of each state."""
    forking: frozenset[str]
    """The states that begin branches."""
    finals: Mapping[str, str]
    """The outcomes of the states that end the workflow."""
    locked: LockedPaths
    context_check: ValueCheck | None
    payload_checks: Mapping[tuple[str, str], ValueCheck]

    @property
    def workflow(self) -> str:
        return self.definition.name

    @property
    def version(self) -> str:
        return self.definition.version

    def has_state(self, state: str) -> bool:
        return state in self.definition.states

    def state(self, state: str) -> State:
        return self.definition.states[state]

    def events(self, state: str) -> Mapping[str, Event]:
        """The events that `state` declares, in the order they are declared."""
        return self.definition.states[state].events

    def takes(self, state: str) -> Mapping[str, Event]:
        """What may happen in `state`: the events it declares, and `$joined` where it forks."""
        return self.taken[state]

    def choose(self, state: str, event: str, verdicts: Verdicts) -> Choice | Refused | Need:
        """Where a declared `event` leads from `state`, given the guards' verdicts so far; `Need` names the next to ask."""
        return self.engine.choose(state, event, verdicts)

    def commands_of(self, state: str, event: str) -> tuple[CommandStep, ...]:
        """What runs when a declared `event` is taken from `state`, wherever it leads."""
        return self.commands[state, event]

    def needs_worker(self, state: str, event: str) -> bool:
        """Whether a declared `event` has a durable command, so that it becomes a run."""
        commands = self.commands[state, event]
        return bool(commands) and any(step.needs_worker for step in commands)

    def entry(self, state: str) -> Entry | None:
        """What follows the entry of `state`, if anything does."""
        return self.entries.get(state)

    def timeouts(self, state: str) -> Sequence[tuple[str, Timeout]]:
        """The events of `state` that fire by themselves."""
        return self.firing[state]

    def final_outcome(self, state: str) -> str | None:
        """`success`, `failure` or `cancelled` when `state` ends the workflow, else `None`."""
        return self.finals.get(state)

    def check_context(self, context: JsonObject) -> None:
        """Raise `InvalidValue` when `context` breaks the context model."""
        if self.context_check is not None and (problems := self.context_check(context)):
            raise InvalidValue("context", f"does not fit the context model of {self.workflow!r}", problems=problems)

    def payload_of(self, state: str, event: str, payload: JsonValue) -> JsonValue:
        """`payload` as the event's model takes it: none at all counts as an empty object, unless the model takes null.

        Raises `InvalidValue` when it breaks the model.
        """
        check = self.payload_checks.get((state, event))
        if check is None or not (problems := check(payload)):
            return payload
        if payload is None and not (problems := check({})):
            return {}
        raise InvalidValue("payload", f"does not fit the payload model of event {event!r}", problems=problems)
