"""What handlers were called with, in the order they were called."""

import copy
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from detent.flows.context import HandlerContext
from detent.flows.handler import Handlers, HandlerSpec
from detent.flows.results import Failure, GoTo, Success, Wait, WaitForChild
from detent.json_values import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class HandlerCall:
    """One call of one handler: for an attempt of a step, or by another handler's `ctx.perform`."""

    number: int
    """1 for the first call of any handler under this harness, then one more for each."""
    handler: str
    """The type of the handler."""
    step: str
    """The step that it worked for."""
    execution_id: UUID
    run_id: UUID
    """The run of that step: the same for all its attempts, and the `transition_id` of what came of it in history."""
    attempt: int
    """1 for the first attempt of the step."""
    key: str
    """The `ctx.key`: the same on every attempt of the step."""
    config: JsonObject
    input: JsonValue
    """What the step's selector took from the context."""
    context: JsonObject
    """A copy of the flow's context as it was before the handler wrote to it."""
    result: Any = None
    """What it answered; `None` where it answered nothing, or raised."""
    raised: BaseException | None = None
    """What it raised instead."""

    def __str__(self) -> str:
        attempt = "" if self.attempt == 1 else f", attempt {self.attempt}"
        return f"{self.step}: {self.handler}{attempt}, {self.end}"

    @property
    def end(self) -> str:
        """How it ended, in a few words."""
        if self.raised is not None:
            return f"raised {self.raised!r}"
        match self.result:
            case Failure(code, message):
                return f"failed with {code}" + (f": {message}" if message else "")
            case Wait(reason=reason):
                return "waits" + (f" for {reason!r}" if reason else "")
            case WaitForChild(child_id):
                return f"waits for child {child_id}"
            case GoTo(step):
                return f"goes to {step!r}"
            case Success(None) | None:
                return "succeeded"
            case Success(output):
                return f"succeeded with {output!r}"
            case other:
                return f"answered {other!r}"


class WatchedHandlers(Handlers):
    """Handlers that are called as they are, and whose calls are noted.

    What is iterated over, and so what another set takes from it, are the watched ones.
    """

    def __init__(self, handlers: Iterable[Any]) -> None:
        self._calls: dict[int, HandlerCall] = {}
        self._begun = 0
        super().__init__(handlers)

    def __iter__(self) -> Iterator[HandlerSpec]:
        for spec in super().__iter__():
            yield replace(spec, call=self._watched(spec))

    @property
    def calls(self) -> Sequence[HandlerCall]:
        """All calls that have ended, in the order they began."""
        return tuple(self._calls[number] for number in sorted(self._calls))

    def _watched(self, spec: HandlerSpec) -> Callable[..., Awaitable[Any]]:
        async def call(**given: Any) -> Any:
            ctx: HandlerContext = given[spec.context_name]
            # Counted at the beginning: a handler that performs another began before that.
            self._begun += 1
            begun = _begun(self._begun, spec.type, ctx)
            try:
                answer = spec.call(**given)
                answer = await answer if inspect.isawaitable(answer) else answer
            except BaseException as error:
                self._calls[begun.number] = replace(begun, raised=error)
                raise
            self._calls[begun.number] = replace(begun, result=answer)
            return answer

        return call


def _begun(number: int, type_: str, ctx: HandlerContext) -> HandlerCall:
    """A call that begins, with what it was told copied before the handler can change that."""
    return HandlerCall(
        number=number,
        handler=type_,
        step=ctx.step_id,
        execution_id=ctx.execution_id,
        run_id=ctx.command.durable_run.id,
        attempt=ctx.attempt,
        key=ctx.key,
        config=copy.deepcopy(ctx.config),
        input=copy.deepcopy(ctx.input),
        context=copy.deepcopy(ctx.context),
    )
