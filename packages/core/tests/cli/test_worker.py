"""`detent worker`: it works until a signal tells it to stop, and then lets work end or gives it back."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import Result

from detent import RunStatus, SqliteStore, WorkflowDefinition, WorkflowRuntime, command
from detent.store.run_records import RunQuery

Detent = Callable[..., Result]

# Each command sends the signals itself: then they come when a run is under way, and not before the worker has begun.
SHOP = """
import asyncio, logging, os, signal, threading
from detent import SqliteStore, WorkflowDefinition, WorkflowRuntime, command

@command("finish", durable=True)
async def finish(ctx):
    logging.getLogger("shop").info("it is finished")
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)

@command("hang", durable=True, queue="slow")
async def hang(ctx):
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(0)
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.Event().wait()

@command("block", durable=True)
def block(ctx):
    # In one write: threads that print would mix their lines.
    os.write(1, b"in a thread" + os.linesep.encode())
    threading.Event().wait()

order = WorkflowDefinition.from_dict({
    "name": "order", "initial_state": "new",
    "states": {
        "new": {"events": {
            "finish": {"target": "done", "commands": ["finish"]},
            "hang": {"target": "done", "commands": ["hang"]},
            "block": {"target": "done", "commands": ["block"]},
        }},
        "done": {},
    },
})
runtime = WorkflowRuntime(store=SqliteStore("shop.db"), definitions=[order], commands=[finish, hang, block])
"""


@pytest.fixture
def shop(detent: Detent) -> Iterator[Detent]:
    """`detent` in a directory with the module `shop`."""
    Path("shop.py").write_text(SHOP)
    sys.modules.pop("shop", None)
    # A worker that was told to stop leaves it to the next signal to kill, and here the process goes on.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield detent
    for number, handler in before.items():
        signal.signal(number, handler)
    sys.modules.pop("shop", None)


def accepted(event: str, orders: int = 1) -> None:
    """Leave orders in the shop whose `event` waits for a worker."""

    @command("finish", durable=True)
    async def finish(ctx):
        pass

    @command("hang", durable=True, queue="slow")
    async def hang(ctx):
        pass

    @command("block", durable=True)
    def block(ctx):
        pass

    async def work():
        async with WorkflowRuntime(
            store=SqliteStore("shop.db"), definitions=[order()], commands=[finish, hang, block]
        ) as runtime:
            for _ in range(orders):
                made = await runtime.create_instance("order")
                await runtime.trigger_event(made.id, event)

    asyncio.run(work())


def order() -> WorkflowDefinition:
    events = {name: {"target": "done", "commands": [name]} for name in ("finish", "hang", "block")}
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
    assert result.stderr.splitlines() == ["stopping: 1 run under way (again to cancel it)"]
    assert [run.status for run in left()] == [RunStatus.COMPLETED]


def test_the_second_signal_gives_work_under_way_back_at_once(shop):
    accepted("hang")
    result = shop("worker", "shop:runtime", "--queue", "slow", "--drain", "3600")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "stopping: 1 run under way (again to cancel it)",
        "cancelling 1 run (again to kill)",
    ]
    assert [(run.status, run.attempts) for run in left()] == [(RunStatus.PENDING, 0)]


@asynccontextmanager
async def a_process(*arguments: str) -> AsyncIterator[Process]:
    """`detent worker` in a process of its own, that is gone in the end."""
    code = "import sys; from detent.cli.main import main; sys.exit(main())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "worker", "shop:runtime", "--name", "one", *arguments, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(30):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line_of(stream: asyncio.StreamReader | None) -> str:
    assert stream is not None
    return (await stream.readline()).decode().rstrip()


@pytest.mark.parametrize("last", [signal.SIGINT, signal.SIGTERM])
async def test_the_third_signal_ends_the_process_although_functions_block_threads_of_it(shop, last):
    await asyncio.to_thread(accepted, "block", orders=2)
    async with a_process("--drain", "3600") as process:
        assert (await line_of(process.stdout)).startswith("worker one started")
        assert [await line_of(process.stdout) for _ in range(2)] == ["in a thread", "in a thread"]
        process.send_signal(signal.SIGINT)
        assert await line_of(process.stderr) == "stopping: 2 runs under way (again to cancel them)"
        process.send_signal(signal.SIGINT)
        assert await line_of(process.stderr) == "cancelling 2 runs (again to kill)"
        # The worker ends, and the process waits for the threads.
        assert (await line_of(process.stdout)).startswith("worker one stopped")
        process.send_signal(last)
        assert await process.wait() == -last


async def test_when_the_time_to_drain_is_over_one_more_signal_ends_the_process(shop):
    await asyncio.to_thread(accepted, "block")
    async with a_process("--drain", "0") as process:
        assert (await line_of(process.stdout)).startswith("worker one started")
        assert await line_of(process.stdout) == "in a thread"
        process.send_signal(signal.SIGTERM)
        assert (await line_of(process.stdout)).startswith("worker one stopped")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == -signal.SIGINT


async def test_a_worker_with_nothing_to_do_says_that_it_stops_and_ends(shop):
    async with a_process() as process:
        assert (await line_of(process.stdout)).startswith("worker one started")
        process.send_signal(signal.SIGTERM)
        assert await line_of(process.stderr) == "stopping"
        assert await process.wait() == 0


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


async def logged(*arguments: str) -> str:
    """What a worker writes to its standard error while an order is finished."""
    await asyncio.to_thread(accepted, "finish")
    async with a_process("--poll", "0.05", *arguments) as process:
        _, errors = await process.communicate()
    assert process.returncode == 0, errors
    return errors.decode()


async def test_what_is_logged_from_info_on_is_shown(shop):
    assert "INFO shop: it is finished" in await logged()


async def test_less_is_shown_where_less_is_asked_for(shop):
    assert "it is finished" not in await logged("--log-level", "warning")


@pytest.mark.parametrize(("arguments", "shown"), [([], False), (["--log-level", "info"], True)])
async def test_logging_that_the_application_has_set_up_stays_as_it_is(shop, arguments, shown):
    own = "import logging\nlogging.basicConfig(level=logging.WARNING, format='ours: %(message)s')\n"
    await asyncio.to_thread(Path("shop.py").write_text, own + SHOP)
    assert ("ours: it is finished" in await logged(*arguments)) is shown
