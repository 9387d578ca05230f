"""Flows that the FlowMonkey tests share, the handlers they run, and the processes that run them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from detent import Execution, FlowService, Store, WorkflowRuntime, WorkflowService
from detent.clock import Clock
from detent.flows import ContextLimits, Flow, FlowBook, HandlerContext, Result, Step, failure, handler, success
from detent.json_values import JsonObject, JsonValue
from detent.testing import FakeClock
from tests.parity.ground import Heard


@dataclass(frozen=True, slots=True)
class Process:
    """A runtime with its flows, as one process of an application has them."""

    runtime: WorkflowRuntime
    flows: FlowService

    async def done(self, flow: str, context: JsonObject | None = None, **options: Any) -> Execution:
        """A new execution, driven to its end or to its first wait."""
        return await self.flows.run((await self.flows.start_flow(flow, context, **options)).id)

    async def events(self, execution_id: UUID) -> list[str]:
        """The history as `event from>to outcome`, in the order it happened."""
        entries = await self.runtime.get_history(execution_id)
        return [f"{e.event} {e.from_state}>{e.to_state} {e.outcome}" for e in reversed(entries)]


Flowing = Callable[..., Awaitable[Process]]


@asynccontextmanager
async def process(
    *flows: Flow | JsonObject,
    store: Store,
    clock: Clock,
    handlers: Iterable[Any] = (),
    limits: ContextLimits | None = None,
    adopts: bool = True,
    **options: Any,
) -> AsyncIterator[Process]:
    """A process that runs these flows, and knows `echo` and `fail` beside its handlers; it ends with the block."""
    book = FlowBook(flows=flows, handlers=[echo, fail, *handlers], limits=limits)
    if adopts:
        options["adopts"] = book.adopts
    runtime = WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands, clock=clock, **options)
    async with runtime:
        yield Process(runtime, FlowService(WorkflowService(runtime), book))


@pytest.fixture
async def flowing(store: Store, clock: FakeClock, heard: Heard) -> AsyncIterator[Flowing]:
    """Starts a process for flows; it ends with the test."""
    async with AsyncExitStack() as stack:

        async def start(*flows: Flow | JsonObject, **options: Any) -> Process:
            given: dict[str, Any] = {"store": store, "clock": clock, "observers": [heard], **options}
            return await stack.enter_async_context(process(*flows, **given))

        yield start


@handler("echo", targets=False)
async def echo(ctx: HandlerContext, input: JsonValue) -> Result:
    """Answers its input."""
    return success({"was": input})


@handler("fail", targets=False)
async def fail(ctx: HandlerContext, config: JsonObject) -> Result:
    """Fails with the code in its config."""
    return failure(config.get("code", "NO"), "not today", {"why": "rain"})


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of a step, as its handler saw it."""

    step: str
    attempt: int
    key: str
    error: JsonObject | None
    kept: JsonObject


class Told:
    """A handler that answers what it is told, in order, and the last answer from then on; it remembers its calls.

    An answer is a result, an exception to raise, or an async function of the context that gives one.
    """

    def __init__(self, *answers: Any, type_: str = "work", **options: Any) -> None:
        self.calls: list[Call] = []
        left = list(answers) or [None]

        @handler(type_, **options)
        async def work(ctx: HandlerContext) -> Any:
            self.calls.append(Call(ctx.step_id, ctx.attempt, ctx.key, ctx.error, dict(ctx.kept)))
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return await answer(ctx) if callable(answer) else answer

        self.handler = work

    @property
    def steps(self) -> list[str]:
        """The steps that it was called for, in order."""
        return [call.step for call in self.calls]


def single(id_: str = "single", **step: Any) -> Flow:
    """A flow of the one step `only`, done by `work` unless `type` says otherwise."""
    return Flow(id_, initial_step_id="only", steps={"only": {"type": "work", "output_key": "answer", **step}})


def chain(*steps: str, id_: str = "chain", version: str = "1", type_: str = "work") -> Flow:
    """A flow of these steps in this order, all done by one handler; each puts its output under its own name."""
    after = [*steps[1:], None]
    made = {step: Step(type_, output_key=step, on_success=next_) for step, next_ in zip(steps, after, strict=True)}
    return Flow(id_, version=version, initial_step_id=steps[0], steps=made)


async def becomes_so(condition: Callable[[], Awaitable[object]], *, within: float = 20) -> None:
    """Return once `condition` holds; a test that waits in vain fails."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(within):
        while not await condition():
            turn = asyncio.Event()
            loop.call_later(0.005, turn.set)
            await turn.wait()
