"""`detent worker`: it works until a signal tells it to stop, and then lets work end or gives it back."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from detent import RunStatus, SqliteStore, WorkflowDefinition, WorkflowRuntime, command
from detent.store.run_records import RunQuery

Detent = Callable[..., Result]

# Each command sends the signals itself: then they come when a run is under way, and not before the worker has begun.
SHOP = """
import asyncio, os, signal
from detent import SqliteStore, WorkflowDefinition, WorkflowRuntime, command

@command("finish", durable=True)
async def finish(ctx):
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)

@command("hang", durable=True, queue="slow")
async def hang(ctx):
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.Event().wait()

order = WorkflowDefinition.from_dict({
    "name": "order", "initial_state": "new",
    "states": {
        "new": {"events": {
            "finish": {"target": "done", "commands": ["finish"]},
            "hang": {"target": "done", "commands": ["hang"]},
        }},
        "done": {},
    },
})
runtime = WorkflowRuntime(store=SqliteStore("shop.db"), definitions=[order], commands=[finish, hang])
"""


@pytest.fixture
def shop(detent: Detent) -> Iterator[Detent]:
    """`detent` in a directory with the module `shop`."""
    Path("shop.py").write_text(SHOP)
    sys.modules.pop("shop", None)
    yield detent
    sys.modules.pop("shop", None)


def accepted(event: str) -> None:
    """Leave an order in the shop whose `event` waits for a worker."""

    @command("finish", durable=True)
    async def finish(ctx):
        pass

    @command("hang", durable=True, queue="slow")
    async def hang(ctx):
        pass

    async def work():
        async with WorkflowRuntime(
            store=SqliteStore("shop.db"), definitions=[order()], commands=[finish, hang]
        ) as runtime:
            made = await runtime.create_instance("order")
            await runtime.trigger_event(made.id, event)

    asyncio.run(work())


def order() -> WorkflowDefinition:
    events = {name: {"target": "done", "commands": [name]} for name in ("finish", "hang")}
    return WorkflowDefinition.from_dict(
        {"name": "order", "initial_state": "new", "states": {"new": {"events": events}, "done": {}}}
    )


def left():
    """The runs that are left in the shop."""

    async def work():
        store = SqliteStore("shop.db")
        await store.open()
        try:
            return await store.runs.find(RunQuery(), limit=10)
        finally:
            await store.close()

    return asyncio.run(work())


def test_the_first_signal_lets_work_under_way_end(shop):
    accepted("finish")
    result = shop("worker", "shop:runtime", "--name", "one", "--poll", "0.05")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "worker one started: runs, timeouts, inbox, outbox, retention",
        "worker one stopped: runs, timeouts, inbox, outbox, retention",
    ]
    assert [run.status for run in left()] == [RunStatus.COMPLETED]


def test_the_second_signal_gives_work_under_way_back_at_once(shop):
    accepted("hang")
    result = shop("worker", "shop:runtime", "--queue", "slow", "--drain", "3600")
    assert result.exit_code == 0, result.output
    assert [(run.status, run.attempts) for run in left()] == [(RunStatus.PENDING, 0)]


def test_it_answers_json_and_leaves_out_what_it_is_told_to(shop):
    accepted("finish")
    leaving = ("--no-timeouts", "--no-inbox", "--no-outbox", "--no-retention")
    result = shop("worker", "shop:runtime", "--json", "--name", "one", *leaving)
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert told == [
        {"worker": "started", "name": "one", "loops": ["runs"]},
        {"worker": "stopped", "name": "one", "loops": ["runs"]},
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop"], "is no MODULE:ATTRIBUTE"),
        (["shop:rumtime"], "did you mean 'runtime'?"),
        (["shop:runtime", "--concurrency", "0"], "--concurrency"),
        (["shop:runtime", "--queue", " "], "which is no name"),
    ],
)
def test_what_cannot_work_is_told_in_a_sentence(shop, arguments, told):
    result = shop("worker", *arguments)
    assert result.exit_code != 0
    assert told in result.stderr
