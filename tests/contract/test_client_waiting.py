"""The client waits as a handle does: until an instance is there, or will not come there, or the time is over."""

import asyncio
from typing import Any

import httpx
import pytest

from detent import CommandContext, Retry, WorkflowObserver, command
from detent.client import ServerUnreachable
from detent.errors import InstanceFinished, InstanceNotFound, InvalidValue, RunParked, WaitTimeout
from detent.ids import new_id
from detent.runtime.observers import Worked
from detent.runtime.run_report import Advanced
from tests.contract.doors import charge
from tests.contract.remote import connected


class Heard(WorkflowObserver):
    """Hears what became of runs."""

    def __init__(self) -> None:
        self.parked, self.completed = asyncio.Event(), asyncio.Event()

    async def on_run(self, worked: Worked) -> None:
        {Advanced.PARKED: self.parked, Advanced.COMPLETED: self.completed}[worked.advanced].set()


async def test_a_wait_is_over_when_the_instance_is_there(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))

        async def pay() -> None:
            await handle.trigger_event("pay", payload={"amount": 1})

        remote.time.meanwhile = [handle.get_history, handle.get_history, pay]
        arrived = await handle.wait(["paid", "expired"], completed=True)
        assert (arrived.state, len(remote.time.pauses)) == ("paid", 3)
        first, second, third = remote.time.pauses
        assert first < second < third
        assert await handle.wait() == arrived


async def test_a_wait_for_what_does_not_come_ends_in_time(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        with pytest.raises(WaitTimeout) as late:
            await handle.wait("paid", timeout="10s")
        assert (late.value.state, late.value.seconds) == ("new", 10)
        assert remote.time.seconds == pytest.approx(10)
        remote.line.seen.clear()
        with pytest.raises(WaitTimeout):
            await handle.wait("paid", timeout=0)
        assert len(remote.line.seen) == 1


async def test_a_wait_for_what_cannot_come_ends_at_once(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        await handle.cancel()
        with pytest.raises(InstanceFinished) as ended:
            await handle.wait("paid")
        with pytest.raises(InstanceNotFound):
            await remote.client.get_handle(new_id()).wait()
        with pytest.raises(InvalidValue):
            await handle.wait([])
    assert (ended.value.status, remote.time.pauses) == ("cancelled", [])


async def test_a_server_that_is_away_for_a_moment_ends_no_wait(door):
    async with connected(door) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        gone: list[httpx.Response | Exception | None] = [httpx.ConnectError("refused")] * 3
        remote.line.troubles = [*gone, *[httpx.Response(503) for _ in range(3)]]
        assert (await handle.wait("new")).state == "new"
        remote.line.troubles = gone * 2
        with pytest.raises(ServerUnreachable):
            await handle.wait("new", timeout=0.05)


async def test_a_server_that_does_not_answer_holds_nobody_up(door, monkeypatch):
    monkeypatch.setattr("detent.client.waiting._LOOK", 0.01)
    async with connected(door) as remote:
        order = await remote.client.create_instance("order")

        async def hang(request: httpx.Request) -> httpx.Response:
            await asyncio.Event().wait()
            raise AssertionError("nobody sets it")

        monkeypatch.setattr(remote.line, "handle_async_request", hang)
        with pytest.raises(WaitTimeout) as late:
            await remote.client.get_handle(order).wait("paid", timeout=0)
    assert late.value.state == ""


@pytest.mark.parametrize("operators", [True, False], ids=["told why", "not told why"])
async def test_a_wait_ends_when_the_run_waits_for_an_operator(door, operators):
    @command("deliver", durable=True, retry=Retry(attempts=1))
    async def deliver(ctx: CommandContext) -> None:
        raise ZeroDivisionError("no driver")

    heard = Heard()
    parts: dict[str, Any] = {"commands": [charge, deliver], "observers": [heard], "worker": "asgi"}
    async with asyncio.timeout(30), connected(door, operators=operators, **parts) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        accepted = await handle.trigger_event("send")
        await heard.parked.wait()
        with pytest.raises(RunParked) as held:
            await handle.wait(completed=True)
    assert (held.value.run_id, accepted.outcome) == (accepted.run_id, "accepted")
    assert ("no driver" in str(held.value.reason)) == operators


async def test_a_parked_run_is_found_and_goes_on_by_retry(door):
    @command("deliver", durable=True, retry=Retry(attempts=1))
    async def deliver(ctx: CommandContext) -> None:
        if not ready.is_set():
            raise ZeroDivisionError("no driver")

    ready, heard = asyncio.Event(), Heard()
    parts: dict[str, Any] = {"commands": [charge, deliver], "observers": [heard], "worker": "asgi"}
    async with asyncio.timeout(30), connected(door, **parts) as remote:
        handle = remote.client.get_handle(await remote.client.create_instance("order"))
        await handle.trigger_event("send")
        await heard.parked.wait()
        [found] = await remote.client.find_parked(workflow="order")
        [run] = await handle.get_runs()
        ready.set()
        assert (await handle.retry()).outcome == "accepted"
        remote.time.meanwhile = [heard.completed.wait]
        assert (await handle.wait("paid")).status == "completed"
    assert (found.id, run.event, run.status) == (handle.id, "send", "parked")
