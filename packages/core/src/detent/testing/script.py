"""A script: what guards and commands answer so that the steps of a path are taken."""

from collections.abc import Collection, Iterable, Mapping

from detent.definition.answers import atom
from detent.json_values import JsonValue
from detent.registry.context import CommandContext, GuardContext
from detent.registry.results import Fail, Goto
from detent.testing.misuse import HarnessMisused
from detent.testing.paths import How, Step

FORCED = "forced_by_path"
"""The code of a `Fail` that a path asks for."""


class Script:
    """The answers that steps ask for. No state is left twice on a path, so the state alone says which step is meant."""

    def __init__(
        self,
        steps: Iterable[Step],
        *,
        best_effort: Collection[str] = (),
        payloads: Mapping[str, JsonValue] | None = None,
    ) -> None:
        self._steps = {step.source: step for step in steps}
        self._failing = {step.source: _failing(step, best_effort) for step in self._steps.values() if step.fails}
        self._payloads = payloads or {}
        self._gone: set[str] = set()

    def command(self, name: str, ctx: CommandContext) -> Fail | Goto | None:
        """What the command has to answer here; `None` leaves it alone."""
        step = self._steps.get(ctx.from_state)
        if step is None:
            return None
        if step.event == ctx.event and self._failing.get(step.source) == name:
            return Fail(FORCED, f"the path takes {step}")
        if step.how is How.GOTO and step.chooses == name and step.source not in self._gone:
            self._gone.add(step.source)
            return Goto(step.event, self._payloads.get(step.event))
        return None

    def guard(self, name: str, ctx: GuardContext) -> bool | None:
        """What the guard has to answer here; `None` leaves it alone."""
        step = self._steps.get(ctx.from_state)
        if step is None or step.event != ctx.event:
            return None
        wanted = {atom(verdict.guard, verdict.metadata): verdict.passes for verdict in step.guards}
        return wanted.get(atom(name, ctx.guard_metadata))


def _failing(step: Step, best_effort: Collection[str]) -> str:
    """The first command whose failure counts."""
    for name in step.commands:
        if name not in best_effort:
            return name
    raise HarnessMisused(
        f"the error target of {step.event!r} in {step.source!r} is never taken, since all its commands are best-effort",
        hint="drop the error target, or let a command fail for real",
    )
