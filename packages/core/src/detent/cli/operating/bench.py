"""`bench`: how fast this database is with Detent, measured on instances that are removed again."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from time import perf_counter
from typing import TypeVar
from uuid import UUID

import rich_click as click

from detent.cli.operating.bench_report import BenchView, MeasureView, measured
from detent.cli.operating.connection import Connected, connected
from detent.cli.operating.output import json_option, say, show_json, show_table
from detent.cli.progress import progress
from detent.cli.terminal import one_line
from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import State
from detent.runtime.at_once import in_order
from detent.runtime.runtime import WorkflowRuntime
from detent.service.service import WorkflowService
from detent.store.protocol import Store

WORKFLOW = "detent.bench"
"""The workflow whose instances are measured."""
TENANT = "detent-bench"
"""Whose they are, so that no tenant of the application sees them."""

_DEFINITION = WorkflowDefinition(
    name=WORKFLOW,
    initial_state="made",
    description="Made by `detent bench`, which removes it again.",
    states={"made": State(events={"move": Event(target="moved")}), "moved": State()},
)
_PAGE = 1000

T = TypeVar("T")


@click.command()
@click.option(
    "--instances", type=click.IntRange(1, 100_000), default=500, show_default=True, help="How many it makes and moves."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many calls are under way."
)
@click.option("--yes", is_flag=True, help="Do not ask, also where there are instances of others.")
@json_option
def bench(instances: int, concurrency: int, yes: bool, as_json: bool) -> None:
    """Measure how fast the database creates instances and moves them, and remove what it made.

    They are of the workflow detent.bench and the tenant detent-bench, run no command and are seen by no observer. What stays
    is what any removed instance leaves, a line in the archive that it was there, and the stored definition.
    """
    view = connected(lambda runtime: _benched(runtime, instances, concurrency, ask=not yes, quiet=as_json))
    if as_json:
        show_json(view)
        return
    rows = [
        (each.verb, each.count, f"{each.per_second:,.0f}/s", f"{each.p50_ms:.2f} ms", f"{each.p99_ms:.2f} ms")
        for each in view.measures
    ]
    show_table(("VERB", "CALLS", "THROUGHPUT", "P50", "P99"), rows, nothing="nothing was measured")
    say(f"{view.database}, {view.concurrency} at once; {view.removed} instances made and removed")


async def _benched(reached: Connected, instances: int, concurrency: int, *, ask: bool, quiet: bool) -> BenchView:
    store = reached.runtime.store
    others = sum((await reached.service().count_instances(group_by="workflow")).values())
    if others and ask:
        click.echo(one_line(f"the database holds {others} instances; {instances} more are made and removed"), err=True)
        click.confirm("Go on?", abort=True, err=True)
    view = BenchView(
        database=type(store).__name__, instances=instances, concurrency=concurrency, measures=[], removed=0
    )
    async with _room(store, view) as service:
        made: list[UUID] = []
        view.measures.append(await _create(service, instances, concurrency, made, quiet=quiet))
        view.measures.append(await _move(service, made, concurrency, quiet=quiet))
    return view


@asynccontextmanager
async def _room(store: Store, view: BenchView) -> AsyncIterator[WorkflowService]:
    """A runtime of its own over the store, in which nobody hears of anything; what is in it at the end is removed."""
    async with WorkflowRuntime(store=store, definitions=[_DEFINITION]) as runtime:
        service = WorkflowService(runtime, tenant=TENANT, trigger_metadata={"source": "detent bench"})
        try:
            yield service
        finally:
            view.removed = await _remove(service)


async def _create(
    service: WorkflowService, count: int, concurrency: int, made: list[UUID], *, quiet: bool
) -> MeasureView:
    async def create(_: int) -> None:
        made.append((await service.create_instance(WORKFLOW)).id)

    return await _timed("create", range(count), create, concurrency, quiet=quiet)


async def _move(service: WorkflowService, made: Sequence[UUID], concurrency: int, *, quiet: bool) -> MeasureView:
    async def move(instance: UUID) -> None:
        await service.trigger_event(instance, "move", workflow=WORKFLOW)

    return await _timed("trigger", made, move, concurrency, quiet=quiet)


async def _timed(
    verb: str, items: Sequence[T], call: Callable[[T], Awaitable[None]], concurrency: int, *, quiet: bool
) -> MeasureView:
    async def timed(item: T) -> float:
        begun = perf_counter()
        await call(item)
        return perf_counter() - begun

    latencies: list[float] = []
    begun = perf_counter()
    with progress(verb, len(items), quiet=quiet) as advance:
        async with aclosing(in_order(items, timed, at_once=concurrency)) as answers:
            async for latency in answers:
                latencies.append(latency)
                advance(1)
    return measured(verb, perf_counter() - begun, latencies)


async def _remove(service: WorkflowService) -> int:
    """Take out all instances of the bench, those that an earlier one left behind included; answers how many."""
    removed = 0
    while True:
        report = await service.delete_instances(workflow=WORKFLOW, force=True, reason="detent bench", limit=_PAGE)
        removed += len(report.changed)
        if not report.changed:
            return removed
