"""The database's clock, learnt by the way."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from detent.testing.store_contract.samples import created
from detent_pg import PgStore
from detent_pg.time import LearntClock

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time


def answered(clock: LearntClock, hand: Hand, *, took: timedelta, ahead: timedelta) -> None:
    """A statement is answered with the time of a database whose clock is `ahead`, read halfway."""
    sent = hand.time
    hand.time += took
    clock.learn(sent, sent + took / 2 + ahead)


def test_without_an_answer_it_is_the_clock_of_the_process() -> None:
    assert LearntClock(Hand()).now() == NOON


def test_an_answer_corrects_it() -> None:
    hand = Hand()
    clock = LearntClock(hand)

    answered(clock, hand, took=SECOND / 100, ahead=90 * SECOND)

    assert clock.now() == hand.time + 90 * SECOND


def test_an_answer_that_waited_for_a_row_teaches_nothing_that_is_wrong() -> None:
    """Its clock was read at the end of the wait, not halfway."""
    hand = Hand()
    clock = LearntClock(hand)

    sent = hand.time
    hand.time += 3 * SECOND
    clock.learn(sent, hand.time)

    assert clock.now() == hand.time


def test_a_slow_answer_refutes_what_cannot_be_true_and_a_quick_one_comes_after_it() -> None:
    hand = Hand()
    clock = LearntClock(hand)
    answered(clock, hand, took=SECOND / 1000, ahead=90 * SECOND)
    hand.time += SECOND

    answered(clock, hand, took=2 * SECOND, ahead=80 * SECOND)
    assert abs(clock.now() - (hand.time + 80 * SECOND)) <= SECOND

    answered(clock, hand, took=SECOND / 100, ahead=80 * SECOND)
    assert clock.now() == hand.time + 80 * SECOND


def test_a_clock_that_was_set_back_during_an_answer_teaches_nothing() -> None:
    hand = Hand()
    clock = LearntClock(hand)
    answered(clock, hand, took=SECOND / 100, ahead=90 * SECOND)

    answered(clock, hand, took=-SECOND, ahead=80 * SECOND)

    assert clock.now() == hand.time + 90 * SECOND


def test_a_slow_answer_does_not_spoil_what_a_quick_one_told() -> None:
    hand = Hand()
    clock = LearntClock(hand)
    answered(clock, hand, took=SECOND / 100, ahead=90 * SECOND)

    sent = hand.time
    hand.time += 4 * SECOND
    clock.learn(sent, sent + 4 * SECOND + 90 * SECOND)

    assert clock.now() == hand.time + 90 * SECOND


def test_after_a_minute_any_quick_answer_is_better_than_an_old_one() -> None:
    hand = Hand()
    clock = LearntClock(hand)
    answered(clock, hand, took=SECOND / 100, ahead=90 * SECOND)
    hand.time += 61 * SECOND

    answered(clock, hand, took=SECOND / 20, ahead=80 * SECOND)

    assert clock.now() == hand.time + 80 * SECOND


async def test_the_store_knows_the_time_of_the_database(store: PgStore) -> None:
    await store.load((await created(store)).id)
    async with store.engine.connect() as connection:
        database = await connection.scalar(text("SELECT clock_timestamp()"))

    assert abs(store.now() - database) < SECOND
