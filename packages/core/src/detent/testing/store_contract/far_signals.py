"""Signals between processes. A store that carries them within its process only declines this topic."""

from contextlib import AbstractAsyncContextManager

from detent.ids import new_id
from detent.store.protocol import Store
from detent.store.signals import INBOX, OUTBOX, RUNS, TIMERS, moved, withdrawn
from detent.testing.store_contract.kit import StoreKit
from detent.testing.store_contract.signals import Ears


class FarSignalContract:
    """What one store object announces, another on the same data hears."""

    async def test_the_other_hears_every_word(self, kit: StoreKit) -> None:
        words = {RUNS, INBOX, OUTBOX, TIMERS, moved(new_id()), withdrawn(new_id())}
        ears = Ears()

        async with _second(kit) as second, second.signals.listen(ears.hear):
            kit.store.signals.announce(words)
            await ears.until(words)

        assert set(ears.words) == words

    async def test_words_are_heard_both_ways(self, kit: StoreKit) -> None:
        here, there = Ears(), Ears()

        async with (
            _second(kit) as second,
            kit.store.signals.listen(here.hear),
            second.signals.listen(there.hear),
        ):
            kit.store.signals.announce(["from here"])
            second.signals.announce(["from there"])
            await here.until(["from here", "from there"])
            await there.until(["from here", "from there"])

    async def test_many_words_at_once_all_arrive(self, kit: StoreKit) -> None:
        words = {moved(new_id()) for _ in range(500)}
        ears = Ears()

        async with _second(kit) as second, second.signals.listen(ears.hear):
            kit.store.signals.announce(words)
            await ears.until(words)

    async def test_who_has_left_hears_nothing_from_the_other(self, kit: StoreKit) -> None:
        gone, staying = Ears(), Ears()

        async with _second(kit) as second, second.signals.listen(staying.hear):
            async with second.signals.listen(gone.hear):
                kit.store.signals.announce(["first"])
                await gone.until(["first"])
            kit.store.signals.announce(["second"])
            await staying.until(["first", "second"])

        assert gone.words == ["first"]

    async def test_the_other_may_be_closed_and_words_still_go(self, kit: StoreKit) -> None:
        ears = Ears()

        async with kit.store.signals.listen(ears.hear):
            async with _second(kit) as second:
                second.signals.announce(["from there"])
                await ears.until(["from there"])
            kit.store.signals.announce(["from here"])
            await ears.until(["from here"])


def _second(kit: StoreKit) -> AbstractAsyncContextManager[Store]:
    assert kit.second is not None
    return kit.second()
