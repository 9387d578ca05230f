"""Signals between processes, over a carrier that is as well as a test wants it to be."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from detent.retry import Retry
from detent.store import far_signals, listening
from detent.store.far_signals import FarSignals, payloads_of
from detent.testing.store_contract.signals import Ears


class Air:
    """What everybody hears whom it reaches."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.subscribed: list[Callable[[str | bytes], None]] = []
        self.gone = asyncio.Event()
        """Set while nothing gets through; whoever listens is cut off."""
        self.attempts = 0
        self._changed = asyncio.Event()

    def note_change(self) -> None:
        self._changed.set()

    async def until(self, holds: Callable[[], object]) -> None:
        """Wait until that holds."""
        async with asyncio.timeout(10):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def check(self) -> None:
        if self.gone.is_set():
            raise ConnectionError("gone")


class Carried:
    """A `Carrier` over the air."""

    name = "the air"
    longest = 1000

    def __init__(self, air: Air) -> None:
        self._air = air

    async def publish(self, payloads: Sequence[str]) -> None:
        self._air.attempts += 1
        self._air.note_change()
        self._air.check()
        for payload in payloads:
            self._air.said.append(payload)
            for heard in list(self._air.subscribed):
                heard(payload)

    async def hear(self, heard: Callable[[str | bytes], None], subscribed: Callable[[], None]) -> None:
        await asyncio.sleep(0)
        self._air.check()
        self._air.subscribed.append(heard)
        self._air.note_change()
        try:
            subscribed()
            await self._air.gone.wait()
        finally:
            self._air.subscribed.remove(heard)
        self._air.check()


@pytest.fixture
def air() -> Air:
    return Air()


@pytest.fixture
def pair(air: Air) -> tuple[FarSignals, FarSignals]:
    return FarSignals(Carried(air)), FarSignals(Carried(air))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is away is asked again at once."""
    monkeypatch.setattr(listening, "RECONNECTING", Retry(initial=timedelta(0)))
    monkeypatch.setattr(far_signals, "RECONNECTING", Retry(initial=timedelta(0)))


async def test_the_own_words_are_heard_at_once_and_once(pair: tuple[FarSignals, FarSignals]) -> None:
    one, other = pair
    here, there = Ears(), Ears()
    async with one.listen(here.hear), other.listen(there.hear):
        one.announce(["runs", "inbox"])
        assert here.words == ["runs", "inbox"]
        await there.until(["runs", "inbox"])
        other.announce(["outbox"])
        await here.until(["outbox"])

    assert here.words == ["runs", "inbox", "outbox"]


async def test_what_is_said_in_one_moment_goes_together_and_once(pair: tuple[FarSignals, FarSignals], air: Air) -> None:
    for _ in range(3):
        pair[0].announce(["runs", "inbox"])
    await pair[0].close()

    assert len(air.said) == 1
    assert air.said[0].endswith('["runs","inbox"]]')


async def test_words_that_wait_are_bounded(pair: tuple[FarSignals, FarSignals], air: Air) -> None:
    pair[0].announce([f"moved:{number}" for number in range(20_000)])
    await pair[0].close()

    said = "".join(air.said)
    assert said.count("moved:") == 10_000
    assert '"moved:9999"' in said


async def test_words_that_found_nobody_are_one_line_in_the_log_and_wait_for_the_next_attempt(
    pair: tuple[FarSignals, FarSignals], air: Air, at_once: None, caplog: pytest.LogCaptureFixture
) -> None:
    air.gone.set()
    ears = Ears()
    async with pair[1].listen(ears.hear):
        for _ in range(3):
            pair[0].announce(["lost"])
            await pair[0].close()
            pair[0].open()
        air.gone.clear()
        # Whoever listens comes back by himself.
        await air.until(lambda: air.subscribed)
        pair[0].announce(["heard"])
        await ears.until(["heard"])

    assert ears.words == ["heard"]
    assert [record.getMessage() for record in caplog.records] == [
        "no word of other processes is heard until the air is back: gone",
        "the air cannot be reached, and other processes find work by looking for it: gone",
    ]


async def test_a_carrier_that_is_away_is_left_alone_for_a_while_and_words_gather(
    pair: tuple[FarSignals, FarSignals], air: Air
) -> None:
    air.gone.set()
    pair[0].announce(["lost"])
    await air.until(lambda: air.attempts)
    air.gone.clear()
    for number in range(100):
        pair[0].announce([f"moved:{number}"])
        await asyncio.sleep(0)

    assert air.attempts == 1
    await pair[0].close()
    assert air.attempts == 2
    assert "".join(air.said).count("moved:") == 100


async def test_a_listener_who_comes_while_the_last_one_leaves_waits_until_he_is_subscribed(
    pair: tuple[FarSignals, FarSignals], air: Air
) -> None:
    first = pair[0].listen(Ears().hear)
    await first.__aenter__()
    leaving = asyncio.create_task(first.__aexit__(None, None, None))
    await asyncio.sleep(0)

    async with pair[0].listen(Ears().hear):
        assert air.subscribed
    await leaving

    assert not air.subscribed


async def test_after_the_end_nothing_is_carried_until_it_is_opened_again(
    pair: tuple[FarSignals, FarSignals], air: Air
) -> None:
    ears = Ears()
    async with pair[0].listen(ears.hear):
        await pair[0].close()
        assert not air.subscribed
        pair[0].announce(["closed"])
        pair[0].open()
        pair[0].announce(["open"])
        await pair[0].close()

    assert ears.words == ["closed", "open"]
    assert len(air.said) == 1
    assert "closed" not in air.said[0]


@pytest.mark.parametrize("payload", ["no JSON", "7", '["two"]', '["speaker", 7]', '["speaker", [7, null]]', b"\xff"])
async def test_what_others_say_on_the_channel_is_passed_over(
    pair: tuple[FarSignals, FarSignals], air: Air, payload: Any
) -> None:
    ears = Ears()
    async with pair[0].listen(ears.hear):
        for heard in air.subscribed:
            heard(payload)
        pair[1].announce(["runs"])
        await ears.until(["runs"])

    assert ears.words == ["runs"]


def test_payloads_are_short_enough_and_whole() -> None:
    words = [f"moved:{number:036}" for number in range(1000)]

    payloads = list(payloads_of("me", [*words, "x" * 9000], 7900))

    assert all(len(payload.encode()) <= 7900 for payload in payloads)
    assert "".join(payloads).count("moved:") == 1000
    assert len(payloads) < 8
