"""Events in transactions that hold more than the event: the caller's own, and a command's."""

from itertools import cycle
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, MetaData, Table, Text, Uuid, insert
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.case import Case
from benchmarks.cases.events import OWN, pressing
from benchmarks.given import Given
from benchmarks.load import Operation, closed_loop
from benchmarks.reading import Reading
from benchmarks.stock import copies, lamps
from benchmarks.workflows import CONTEXT, on_postgres, pg_store
from detent import CommandContext, WorkflowDefinition, WorkflowRuntime, command

TASKS = 16


NOTES = Table(
    "notes",
    MetaData(),
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("instance_id", Uuid, nullable=False),
    Column("note", Text, nullable=False),
)
"""Rows of the application's own."""
INSERT = insert(NOTES)


@command("note")
async def note(ctx: CommandContext) -> None:
    await ctx.connection.execute(INSERT, {"instance_id": ctx.instance_id, "note": "pressed"})


BELL = WorkflowDefinition.from_dict(
    {
        "name": "bell",
        "initial_state": "still",
        "states": {
            "still": {"events": {"press": {"target": "ringing", "commands": ["note"]}}},
            "ringing": {"events": {"press": {"target": "still", "commands": ["note"]}}},
        },
    }
)


def lending(runtime: WorkflowRuntime, ids: list[UUID]) -> Operation:
    """Presses the next lamp in a transaction of its own making."""
    turn = cycle(ids)

    async def press() -> None:
        async with AsyncSession(pg_store(runtime).engine) as session, session.begin():
            await runtime.get_handle(next(turn)).trigger_event("press", connection=session)

    return press


async def in_the_callers(given: Given) -> Reading:
    async with on_postgres(given.url) as runtime:
        ids = await lamps(runtime, TASKS * OWN)
        callers = [lending(runtime, ids[task::TASKS]) for task in range(TASKS)]
        load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


async def with_a_command(given: Given) -> Reading:
    async with on_postgres(given.url, [BELL], commands=[note]) as runtime:
        async with pg_store(runtime).engine.begin() as connection:
            await connection.run_sync(NOTES.metadata.create_all)
        model = await runtime.create_instance("bell", context=CONTEXT)
        ids = await copies(pg_store(runtime), model, TASKS * OWN)
        callers = [pressing(runtime, ids[task::TASKS]) for task in range(TASKS)]
        load = await closed_loop(callers, meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


LENT = Case("lent-16", f"event in the caller's transaction, {TASKS} tasks", "events", in_the_callers)
COMMANDED = Case("command-16", f"event with a command that writes a row, {TASKS} tasks", "events", with_a_command)
