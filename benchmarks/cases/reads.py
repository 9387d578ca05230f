"""Reads: a long history, and lists among a million instances."""

from benchmarks.case import Case
from benchmarks.given import Given
from benchmarks.load import Operation, closed_loop
from benchmarks.reading import Reading
from benchmarks.stock import BIG, lamps
from benchmarks.workflows import on_postgres
from detent import WorkflowRuntime

ENTRIES = 1_000
LISTED = 50


async def _one_caller(given: Given, operation: Operation) -> Reading:
    load = await closed_loop([operation], meter=given.meter, warmup=given.warmup, seconds=given.seconds)
    return load.reading()


async def history(given: Given) -> Reading:
    async with on_postgres(given.url) as runtime:
        (identity,) = await lamps(runtime, 1, entries=ENTRIES)

        async def read() -> None:
            entries = await runtime.get_handle(identity).get_history(limit=ENTRIES)
            assert len(entries) == ENTRIES

        return await _one_caller(given, read)


async def newest(given: Given) -> Reading:
    async with on_postgres(given.big) as runtime:
        return await _one_caller(given, _listing(runtime))


async def of_one_state(given: Given) -> Reading:
    async with on_postgres(given.big) as runtime:
        return await _one_caller(given, _listing(runtime, workflow="lamp", states="on", status="active"))


def _listing(runtime: WorkflowRuntime, **where: str) -> Operation:
    async def read() -> None:
        assert len(await runtime.find_instances(limit=LISTED, **where)) == LISTED  # type: ignore[arg-type]

    return read


HISTORY = Case("history", f"read {ENTRIES:,} history entries", "reads", history, yardstick=False)
LISTS = (
    Case("list", f"list the newest {LISTED} among {BIG:,} instances", "reads", newest, yardstick=False, big=True),
    Case(
        "list-state",
        f"list {LISTED} of one workflow and state among {BIG:,}",
        "reads",
        of_one_state,
        yardstick=False,
        big=True,
    ),
)
