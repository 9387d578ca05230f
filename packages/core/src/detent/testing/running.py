"""Runs paths: lists of events, payloads and durations, and simple paths whose guards and commands are scripted."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeAlias

from detent.definition.duration import parse_duration
from detent.definition.model import WorkflowDefinition
from detent.definition.selectors import look_up, put
from detent.definition.walk import each_event
from detent.errors import InvalidValue
from detent.json_values import JsonObject, JsonValue
from detent.store.records import HistoryEntry, WorkflowInstance
from detent.testing.advancing import advance
from detent.testing.bench import Bench
from detent.testing.expectations import told
from detent.testing.misuse import HarnessMisused
from detent.testing.paths import How, SimplePath, Step
from detent.testing.script import Script
from detent.testing.working import AT_MOST

Item: TypeAlias = str | tuple[str, JsonValue] | timedelta | Step
"""What a path may be made of: an event, an event with its payload, a duration as text or `timedelta`, a step."""

_FAR = "30d"
_ABSENT = object()


class PathRun:
    """One run along a path. `more` is passed to each trigger, `payloads` are looked up by the name of the event."""

    def __init__(self, bench: Bench, payloads: Mapping[str, JsonValue], more: Mapping[str, Any]) -> None:
        self._bench = bench
        self._payloads = payloads
        self._more = more

    async def simple(self, path: SimplePath, create: Mapping[str, Any]) -> WorkflowInstance:
        """Create an instance and take it along `path`, checking each state on the way. Answers it at the end."""
        bench = self._bench
        bench.standins.script = self._script(path.steps)
        try:
            instance = await bench.create(path.workflow, create)
            self._check(path, instance)
            for step in path.steps:
                if not step.is_automatic:
                    instance = await self._named(instance, step)
                    self._check(path, instance, until=step)
            return instance
        finally:
            bench.standins.script = None

    async def _named(self, instance: WorkflowInstance, step: Step) -> WorkflowInstance:
        """Take a step from outside, and say in what it raises which one that was."""
        try:
            return await self._external(instance, step)
        except Exception as error:
            error.add_note(f"at the step {step} of the path")
            raise

    async def listed(
        self, instance: WorkflowInstance | None, items: Sequence[Item], workflow: str, create: Mapping[str, Any]
    ) -> WorkflowInstance:
        """Do one thing after another with `instance`, or with a new one. Answers it at the end."""
        steps = [item for item in items if isinstance(item, Step)]
        self._bench.standins.script = self._script(steps) if steps else None
        try:
            current = instance or await self._bench.create(workflow, create)
            for item in items:
                current = await self._item(current, item)
            return current
        finally:
            self._bench.standins.script = None

    async def _item(self, instance: WorkflowInstance, item: Item) -> WorkflowInstance:
        match item:
            case Step():
                return await self._step(instance, item)
            case timedelta():
                return await self._advance(instance, item)
            case (str(event), payload):
                return await self._trigger(instance, event, {**self._more, "payload": payload})
        duration = None if self._is_event(instance, str(item)) else _duration(str(item))
        if duration is not None:
            return await self._advance(instance, duration)
        return await self._trigger(instance, str(item), self._with_payload(str(item)))

    async def _step(self, instance: WorkflowInstance, step: Step) -> WorkflowInstance:
        known = len(self._bench.journal.entries(instance.id))
        if step.is_automatic:
            return instance
        after = await self._named(instance, step)
        entries = self._bench.journal.entries(instance.id)
        if not any((entry.from_state, entry.to_state) == (step.source, step.target) for entry in entries[known:]):
            run = self._bench.journal.run(instance.id)
            raise AssertionError(f"the step {step} was not taken\n{told(entries, run)}")
        return after

    async def _external(self, instance: WorkflowInstance, step: Step) -> WorkflowInstance:
        """Trigger the event of a step, or let its deadline pass; by hand where the context has switched that off."""
        due = next((timer.due for timer in instance.timers if timer.event == step.event and not timer.parked), None)
        if step.how is not How.TIMEOUT or due is None:
            return await self._trigger(instance, step.event, self._with_payload(step.event))
        await advance(self._bench, max(due, self._bench.clock.now()), at_most=AT_MOST)
        return self._bench.journal.instance(instance.id)

    async def _trigger(self, instance: WorkflowInstance, event: str, more: Mapping[str, Any]) -> WorkflowInstance:
        await self._bench.trigger(instance, event, more)
        return self._bench.journal.instance(instance.id)

    async def _advance(self, instance: WorkflowInstance, by: timedelta) -> WorkflowInstance:
        await advance(self._bench, self._bench.clock.now() + by, at_most=AT_MOST)
        return self._bench.journal.instance(instance.id)

    def _with_payload(self, event: str) -> Mapping[str, Any]:
        return {**self._more, "payload": self._payloads[event]} if event in self._payloads else self._more

    def _is_event(self, instance: WorkflowInstance, name: str) -> bool:
        return any(name == placed.name for placed in each_event(self._bench.definition_of(instance)))

    def _script(self, steps: Sequence[Step]) -> Script:
        return Script(steps, best_effort=self._bench.standins.best_effort, payloads=self._payloads)

    def _check(self, path: SimplePath, instance: WorkflowInstance, until: Step | None = None) -> None:
        """Every state that was visited is the path's next one, up to where the path waits for something to happen."""
        entries = self._bench.journal.entries(instance.id)
        visited = _visited(entries)[: len(path.states)]
        expected = path.states[: _waiting_after(path, until)]
        if visited == expected:
            return
        missed = next(
            (step for step, state in zip(path.steps, visited[1:], strict=False) if step.target != state),
            path.steps[min(len(visited), len(path.steps)) - 1] if path.steps else None,
        )
        step = "" if missed is None else f" {missed}"
        wanted, found = " → ".join(expected), " → ".join(visited)
        way = told(entries, self._bench.journal.run(instance.id))
        raise AssertionError(f"the path was left at the step{step}: expected {wanted}, found {found}\n{way}")


def context_for(definition: WorkflowDefinition, context: JsonObject | None) -> JsonObject:
    """The context to start a path with: as given, and with a deadline in 30 days where a timeout reads one and none is."""
    initial = definition.states[definition.initial_state].context
    filled = {**copy.deepcopy(dict(initial)), **copy.deepcopy(context or {})}
    for placed in each_event(definition):
        at = placed.event.timeout.at if placed.event.timeout else None
        if at is not None and look_up(filled, at, default=_ABSENT) is _ABSENT:
            with suppress(InvalidValue):
                put(filled, at, _FAR)
    return filled


def items_of(path: object) -> tuple[Item, ...]:
    """The items of a path; one thing alone is a path of one. Raises `HarnessMisused` for what is no path."""
    if isinstance(path, str | timedelta | Step):
        return (path,)
    if isinstance(path, Mapping) or not isinstance(path, Iterable):
        raise HarnessMisused(
            f"a path is no {type(path).__name__}", hint="pass a list of events and durations, or a SimplePath"
        )
    return tuple(path)


def _visited(entries: Sequence[HistoryEntry]) -> tuple[str, ...]:
    """The states an instance was in, in order; staying in one or entering it again does not count."""
    return tuple(entry.to_state for entry in entries if entry.from_state != entry.to_state)


def _waiting_after(path: SimplePath, until: Step | None) -> int:
    """How many states of the path have been visited once `until`, and what follows it by itself, has happened."""
    done = 0 if until is None else path.steps.index(until) + 1
    while done < len(path.steps) and path.steps[done].is_automatic:
        done += 1
    return done + 1


def _duration(text: str) -> timedelta | None:
    try:
        return parse_duration(text)
    except ValueError:
        return None
