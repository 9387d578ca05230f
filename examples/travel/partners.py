"""The companies that a trip is booked with. All of them are inside this process, so that nothing leaves it."""

import asyncio
from collections import deque
from dataclasses import dataclass, field


class Unreachable(Exception):
    """The company did not answer."""


class SoldOut(Exception):
    """The company has nothing left."""


@dataclass(slots=True)
class Company:
    """One that takes bookings under a key: the same key twice is one booking."""

    name: str
    booked: dict[str, str] = field(default_factory=dict)
    """References by key, without those that were cancelled."""

    calls: int = 0
    meets: deque[Exception | asyncio.Event] = field(default_factory=deque)
    """What the next bookings meet, one each: an error, or an event to wait for. When it is empty, all goes well."""

    takes_back: bool = True
    """Whether somebody is there who can cancel."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a call is made."""

    async def book(self, key: str) -> str:
        """A reference. Raises Unreachable or SoldOut."""
        self.calls += 1
        self.reached.set()
        if self.meets:
            met = self.meets.popleft()
            if isinstance(met, Exception):
                raise met
            await met.wait()
        return self.booked.setdefault(key, f"{self.name.upper()}-{self.calls}")

    async def cancel(self, reference: str) -> None:
        """Take a booking back; one that is not there is fine. Raises Unreachable."""
        if not self.takes_back:
            raise Unreachable(f"nobody at the {self.name} picks up")
        self.booked = {key: found for key, found in self.booked.items() if found != reference}


@dataclass(slots=True)
class Partners:
    """All companies, by the part of the trip that they stand for."""

    flight: Company = field(default_factory=lambda: Company("flight"))
    hotel: Company = field(default_factory=lambda: Company("hotel"))
    car: Company = field(default_factory=lambda: Company("car"))

    def of(self, part: str) -> Company:
        """The company for `flight`, `hotel` or `car`."""
        return {"flight": self.flight, "hotel": self.hotel, "car": self.car}[part]
