"""The database's clock, as well as it is known without asking."""

from datetime import datetime, timedelta

from detent.clock import Clock, SystemClock

_TRUST = timedelta(minutes=1)
"""How long a precise measurement is kept against less precise ones; clocks drift."""

_QUICK = timedelta(milliseconds=100)
"""An answer that took longer may have waited, and does not tell when in the meantime the clock was read."""


class LearntClock:
    """Process time plus an offset, learnt from answers of the database that carried its own time.

    The truth lies between sending and receiving, so that the quickest answer of the last minute tells it best. Of an answer
    that took long, for it may have waited for a row, nothing but these bounds is believed.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._offset = timedelta(0)
        self._precision = timedelta.max
        self._learnt = datetime.min.replace(tzinfo=self._clock.now().tzinfo)

    def process_time(self) -> datetime:
        """The clock of this process, to note when a statement was sent."""
        return self._clock.now()

    def now(self) -> datetime:
        """The database's time, near enough."""
        return self._clock.now() + self._offset

    @property
    def is_fresh(self) -> bool:
        """Whether the database's time was learnt lately, and the clock of the process was not put back since."""
        return timedelta(0) <= self._clock.now() - self._learnt <= _TRUST

    def learn(self, sent: datetime, database: datetime) -> None:
        """Take in that the statement sent at `sent` was answered just now with the database's time."""
        received = self._clock.now()
        took = received - sent
        if took < timedelta(0):
            # The clock of the process was set back meanwhile.
            return
        if took <= _QUICK and (took <= self._precision or received - self._learnt > _TRUST):
            self._offset = database - (sent + took / 2)
            self._precision, self._learnt = took, received
            return
        bounded = min(max(self._offset, database - received), database - sent)
        if bounded != self._offset:
            # What was known is refuted; whatever quick answer comes next is better.
            self._offset, self._precision = bounded, timedelta.max
