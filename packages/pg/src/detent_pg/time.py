"""The database's clock, as well as it is known without asking."""

from datetime import datetime, timedelta

from detent.clock import Clock, SystemClock

_TRUST = timedelta(minutes=1)
"""How long a precise measurement is kept against less precise ones; clocks drift."""


class LearntClock:
    """Process time plus an offset, learnt from answers of the database that carried its own time.

    The truth lies between sending and receiving, so that the quickest answer of the last minute tells it best.
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

    def learn(self, sent: datetime, database: datetime) -> None:
        """Take in that the statement sent at `sent` was answered just now with the database's time."""
        received = self._clock.now()
        took = received - sent
        if took <= self._precision or received - self._learnt > _TRUST:
            self._offset = database - (sent + took / 2)
            self._precision, self._learnt = took, received
