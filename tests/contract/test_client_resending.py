"""What the client sends again where no answer came, and what it does not: nothing is done twice."""

import httpx
import pytest

from detent.client import AnswerRefused, RemoteHandle, ServerUnreachable
from detent.errors import IdempotencyConflict, VersionConflict
from detent.ids import new_id
from tests.contract.remote import Remote, connected

LOST = None
NEVER_LEFT = httpx.ConnectError("refused")


def busy(**body: object) -> httpx.Response:
    return httpx.Response(503, headers={"Retry-After": "7"}, json=body)


async def new_order(remote: Remote) -> RemoteHandle:
    """A handle of a new order; what was sent before is forgotten."""
    handle = remote.client.get_handle(await remote.client.create_instance("order"))
    remote.line.seen.clear()
    return handle


async def events_of(handle: RemoteHandle) -> list[str]:
    return [entry.event for entry in await handle.get_history()]


async def test_what_has_a_key_is_sent_again_under_it_and_done_once(door):
    async with connected(door) as remote:
        remote.line.troubles = [LOST]
        handle = await new_order(remote)
        remote.line.troubles = [LOST, httpx.Response(503, headers={"Retry-After": "0"})]
        paid = await handle.trigger_event("pay", payload={"amount": 1})
        assert paid.replayed
        assert len({request.headers["Idempotency-Key"] for request in remote.line.seen}) == 1
        assert await events_of(handle) == ["pay", "$created"]
        assert len(await remote.client.find_instances()) == 1


async def test_an_event_that_is_kept_is_sent_again_under_its_key(door):
    async with connected(door) as remote:
        handle = await new_order(remote)
        remote.line.troubles = [LOST]
        assert (await handle.send("pay", {"amount": 1})).event == "pay"
        first, second = [request.headers["Idempotency-Key"] for request in remote.line.seen]
    assert first == second


async def test_where_no_answer_ever_comes_the_key_says_how_to_find_out(door):
    async with connected(door) as remote:
        handle = await new_order(remote)
        remote.line.troubles = [LOST] * 3
        with pytest.raises(ServerUnreachable) as lost:
            await handle.trigger_event("pay", payload={"amount": 1})
        key = lost.value.idempotency_key
        assert key is not None
        assert (lost.value.maybe_done, key in str(lost.value)) == (True, True)
        assert (await handle.trigger_event("pay", payload={"amount": 1}, idempotency_key=key)).replayed
        with pytest.raises(IdempotencyConflict):
            await handle.trigger_event("pay", payload={"amount": 2}, idempotency_key=key)


@pytest.mark.parametrize("verb", ["cancel", "pause"])
async def test_a_verb_that_changes_nothing_a_second_time_is_sent_again(door, verb):
    async with connected(door) as remote:
        handle = await new_order(remote)
        remote.line.troubles = [LOST]
        assert (await getattr(handle, verb)()).version == 2
        assert (remote.line.count(verb), len(await events_of(handle))) == (2, 2)


async def test_a_resume_is_sent_again(door):
    async with connected(door) as remote:
        handle = await new_order(remote)
        await handle.pause()
        remote.line.troubles = [LOST]
        assert (await handle.resume()).status == "active"
        assert await events_of(handle) == ["$resumed", "$paused", "$created"]


async def test_a_verb_at_an_expected_version_is_done_once_and_its_second_try_says_what_may_have_been(door):
    async with connected(door) as remote:
        for verb, said in (("pause", {}), ("force", {"state": "new"})):
            handle = await new_order(remote)
            remote.line.troubles = [LOST]
            with pytest.raises(VersionConflict, match="an attempt of this request before got no answer"):
                await getattr(handle, verb)(expected_version=1, **said)
            assert (await handle.get_instance()).version == 2


async def test_what_might_be_done_twice_is_not_sent_again(door):
    async with connected(door) as remote:
        handle = await new_order(remote)
        for again in (lambda: handle.force("new"), handle.retry):
            remote.line.troubles = [LOST]
            with pytest.raises(ServerUnreachable, match="read the instance before") as lost:
                await again()
            assert lost.value.maybe_done
            remote.line.troubles = [httpx.Response(504, text="<html>")]
            with pytest.raises(AnswerRefused):
                await again()
        assert (remote.line.count("force"), remote.line.count("retry")) == (2, 2)


async def test_what_was_surely_not_done_is_sent_again_whatever_it_is(door):
    ours = busy(type="urn:detent:problem:store_unavailable", code="store_unavailable")
    async with connected(door) as remote:
        handle = await new_order(remote)
        remote.line.troubles = [NEVER_LEFT, ours]
        assert (await handle.force("new")).to_state == "new"
        assert (remote.line.count("force"), remote.time.pauses) == (3, [0, 7])
        assert await events_of(handle) == ["$forced", "$created"]


async def test_a_server_that_was_never_reached_has_done_nothing(door):
    async with connected(door) as remote:
        handle = await new_order(remote)
        remote.line.troubles = [NEVER_LEFT] * 3
        with pytest.raises(ServerUnreachable) as lost:
            await handle.retry()
    assert (lost.value.maybe_done, lost.value.hint) == (False, None)


async def test_a_server_in_trouble_is_asked_so_often_and_no_more(door):
    async with connected(door) as remote:
        remote.line.troubles = [httpx.Response(502, text="<html>bad gateway</html>") for _ in range(3)]
        with pytest.raises(AnswerRefused) as refusal:
            await remote.client.get_handle(new_id()).get_instance()
    assert (refusal.value.status, refusal.value.problem, len(remote.line.seen)) == (502, "unknown", 3)
