"""Signals within one process: who listens hears what is announced, until he leaves."""

import asyncio
import threading
from collections.abc import Collection
from contextlib import AsyncExitStack

from detent.ids import new_id
from detent.store.signals import INBOX, OUTBOX, RUNS, TIMERS, Signals, moved, withdrawn
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.samples import within


class Ears:
    """What was heard, and a way to wait for it."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._heard = asyncio.Event()

    def hear(self, word: str) -> None:
        """Remember a word."""
        self.words.append(word)
        self._heard.set()

    async def until(self, words: Collection[str]) -> None:
        """Wait until all of these were heard."""
        async with within():
            while not set(words) <= set(self.words):
                self._heard.clear()
                await self._heard.wait()


class SignalContract:
    """`announce` and `listen` of one store object."""

    async def test_who_listens_hears_every_word(self, kit: StoreKit) -> None:
        signals: Signals = kit.store.signals
        words = {RUNS, INBOX, OUTBOX, TIMERS, moved(new_id()), withdrawn(new_id())}
        ears = Ears()

        async with signals.listen(ears.hear):
            signals.announce(words)
            signals.announce(["one more"])
            await ears.until({*words, "one more"})

        assert set(ears.words) == {*words, "one more"}

    async def test_everybody_who_listens_hears(self, kit: StoreKit) -> None:
        everybody = [Ears() for _ in range(3)]

        async with AsyncExitStack() as stack:
            for ears in everybody:
                await stack.enter_async_context(kit.store.signals.listen(ears.hear))
            kit.store.signals.announce([RUNS])
            for ears in everybody:
                await ears.until([RUNS])

    async def test_who_has_left_hears_nothing_more(self, kit: StoreKit) -> None:
        gone, staying = Ears(), Ears()

        async with kit.store.signals.listen(staying.hear):
            async with kit.store.signals.listen(gone.hear):
                kit.store.signals.announce(["first"])
                await gone.until(["first"])
            kit.store.signals.announce(["second"])
            await staying.until(["first", "second"])

        assert "second" not in gone.words

    async def test_who_left_by_an_exception_hears_nothing_more(self, kit: StoreKit) -> None:
        gone, staying = Ears(), Ears()

        try:
            async with kit.store.signals.listen(gone.hear):
                raise LookupError
        except LookupError:
            pass
        async with kit.store.signals.listen(staying.hear):
            kit.store.signals.announce([RUNS])
            await staying.until([RUNS])

        assert gone.words == []

    async def test_who_comes_again_hears_again(self, kit: StoreKit) -> None:
        ears = Ears()

        for word in ("first", "second"):
            async with kit.store.signals.listen(ears.hear):
                kit.store.signals.announce([word])
                await ears.until([word])

    async def test_words_are_heard_from_the_event_loop(self, kit: StoreKit) -> None:
        heard_in: list[tuple[int, asyncio.AbstractEventLoop]] = []
        ears = Ears()

        def hear(word: str) -> None:
            heard_in.append((threading.get_ident(), asyncio.get_running_loop()))
            ears.hear(word)

        async with kit.store.signals.listen(hear):
            kit.store.signals.announce([RUNS])
            await ears.until([RUNS])

        assert set(heard_in) == {(threading.get_ident(), asyncio.get_running_loop())}

    async def test_words_that_nobody_hears_are_no_fault(self, kit: StoreKit) -> None:
        kit.store.signals.announce([RUNS, INBOX])
        kit.store.signals.announce([])

        ears = Ears()
        async with kit.store.signals.listen(ears.hear):
            kit.store.signals.announce(["after"])
            await ears.until(["after"])
