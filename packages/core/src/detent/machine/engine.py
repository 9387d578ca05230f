"""The decision engine: the `transitions` library, which chooses and never acts. The only file that imports it.

One library machine is built per definition version and shared by everything. No model is registered with it; each
decision brings a throw-away slot. Three class attributes of the library are set, all public:

* guards are *read* from verdicts given as values, never called, and a missing verdict stops the decision (`Need`);
* the one override of `callbacks` writes a transition's commands down as a plan instead of running them;
* a transition notes that it was the one taken.

What the library chooses before any guard was asked depends on nothing but the state and the event. So it is asked that once
for each, when the machine is built, and its answer is remembered; with verdicts it is asked each time.

States and events go in under generated ids, because a state called `*` or `=`, or an event called `state`, means
something else to the library.
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from transitions import Machine as LibraryMachine
from transitions import State, Transition
from transitions.core import Condition

from detent.definition.commands import CommandRef
from detent.machine.verdicts import Expression, Need, Verdict, Verdicts, evaluate
from detent.registry.registry import CommandSpec
from detent.retry import Retry

# The library logs fourteen records for one transition. They tell nothing that history does not.
logging.getLogger("transitions").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class CommandStep:
    """One command as a definition refers to it, with the callable behind its name."""

    ref: CommandRef
    spec: CommandSpec
    compensate: tuple["CommandStep", ...] = ()
    """What undoes it."""

    @property
    def name(self) -> str:
        return self.ref.name

    @property
    def best_effort(self) -> bool:
        return self.spec.options.best_effort

    @property
    def durable(self) -> bool:
        """Whether a worker runs it, outside any transaction."""
        return self.spec.options.durable if self.ref.durable is None else self.ref.durable

    @property
    def retry(self) -> Retry | None:
        """How a worker repeats it; `None` where nothing is said."""
        return self.ref.retry or self.spec.options.retry

    @property
    def timeout(self) -> timedelta | None:
        """After what time a worker's attempt is cancelled; `None` where nothing is said."""
        return self.ref.timeout or self.spec.options.timeout

    @property
    def queue(self) -> str:
        """Whose workers take it."""
        return self.ref.queue or self.spec.options.queue

    @property
    def needs_worker(self) -> bool:
        """Whether it, or what undoes it, is durable."""
        return self.durable or any(step.durable for step in self.compensate)


@dataclass(frozen=True, slots=True)
class Edge:
    """One way out of a state: a branch of an event, or its target. Edges of one event are tried in the order given."""

    source: str
    event: str
    target: str | None
    """`None` stays, without an entry: an internal event."""
    conditions: tuple[Expression, ...]
    commands: tuple[CommandStep, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The edge that is taken, unless a command fails: where to, and what to run first."""

    target: str | None
    commands: tuple[CommandStep, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """No edge passes its guards; the reasons are in the order the edges were tried."""

    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        return "; ".join(dict.fromkeys(self.reasons))


class _Missing(Exception):
    """Leaves the library's loop at the first guard without a verdict."""

    def __init__(self, need: Need) -> None:
        self.need = need


class _Slot:
    """What one decision needs: a model that lives as long as the call."""

    __slots__ = ("plan", "reasons", "state", "taken", "verdicts")

    def __init__(self, state: str, verdicts: Verdicts) -> None:
        self.state = state
        self.verdicts = verdicts
        self.plan: list[CommandStep] = []
        self.reasons: list[str] = []
        self.taken: _LibraryEdge | None = None


class _VerdictCondition(Condition):
    """A condition that is looked up, not called; a refusal keeps its reason."""

    def check(self, event_data: Any) -> bool:
        slot: _Slot = event_data.model
        expression: Any = self.func
        answer = evaluate(expression, slot.verdicts)
        if isinstance(answer, Need):
            raise _Missing(answer)
        if not answer.passed:
            slot.reasons.append(answer.reason or "refused")
        return answer.passed


class _LibraryEdge(Transition):
    """A transition that knows our names and notes when it was taken."""

    condition_cls = _VerdictCondition

    def __init__(self, *args: Any, target: str | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.target = target

    def execute(self, event_data: Any) -> bool:
        taken: bool = super().execute(event_data)
        if taken:
            event_data.model.taken = self
        return taken


class _LibraryState(State):
    """A state that is entered and left without log calls."""

    def enter(self, event_data: Any) -> None:
        event_data.machine.callbacks(self.on_enter, event_data)

    def exit(self, event_data: Any) -> None:
        event_data.machine.callbacks(self.on_exit, event_data)


class _PlanMachine(LibraryMachine):
    """The library's machine with its callbacks written down."""

    state_cls = _LibraryState
    transition_cls = _LibraryEdge

    def callbacks(self, funcs: Iterable[Any], event_data: Any) -> None:
        event_data.model.plan.extend(funcs)


class Engine:
    """Which edge an event takes: states and edges compiled once, then only asked. Safe to share between threads."""

    def __init__(self, states: Sequence[str], edges: Sequence[Edge], initial: str) -> None:
        self._states = {name: f"s{index}" for index, name in enumerate(states)}
        self._events = {name: f"e{index}" for index, name in enumerate(dict.fromkeys(edge.event for edge in edges))}
        self._machine = _PlanMachine(
            model=None,
            states=list(self._states.values()),
            initial=self._states[initial],
            auto_transitions=False,
            send_event=True,
            queued=False,
            ignore_invalid_triggers=False,
        )
        for edge in edges:
            self._add(edge)
        for event in self._machine.events.values():
            # A defaultdict in the library: reading it would make an event valid where it is not.
            cast(Any, event).transitions = dict(event.transitions)
        declared = dict.fromkeys((edge.source, edge.event) for edge in edges)
        self._unasked = {(state, event): self._chosen(state, event, {}) for state, event in declared}

    def _add(self, edge: Edge) -> None:
        self._machine.add_transition(
            self._events[edge.event],
            self._states[edge.source],
            None if edge.target is None else self._states[edge.target],
            conditions=cast(Any, list(edge.conditions)),
            before=cast(Any, list(edge.commands)),
            target=edge.target,
        )

    def choose(self, state: str, event: str, verdicts: Mapping[int, Verdict]) -> Choice | Refused | Need:
        """The edge that `event` takes from `state`, which must declare it, given what guards answered so far."""
        return self._chosen(state, event, verdicts) if verdicts else self._unasked[state, event]

    def _chosen(self, state: str, event: str, verdicts: Mapping[int, Verdict]) -> Choice | Refused | Need:
        slot = _Slot(self._states[state], verdicts)
        try:
            self._machine.events[self._events[event]].trigger(slot)
        except _Missing as missing:
            return missing.need
        if slot.taken is None:
            return Refused(tuple(slot.reasons))
        return Choice(slot.taken.target, tuple(slot.plan))
