"""The queues that a worker serves, and how much of each it takes."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from detent.definition.shape import shown
from detent.errors import InvalidValue
from detent.registry.registry import MAX_QUEUE_NAME
from detent.runtime.arguments import check_duration, check_limit, check_period
from detent.store.run_records import Throttle

EVERY_OTHER = "*"
"""Among the queues of a worker: all that are not named beside it."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, and what a worker, or all of them together, take from it at most."""

    name: str
    concurrency: int | None = None
    """How many of its runs this worker holds at once; `None` for as many as it has room for."""
    global_concurrency: int | None = None
    """How many all workers together hold at once. Each worker that serves the queue has to say so."""
    rate: int | None = None
    """How many runs all workers together begin in any `per`. Each worker that serves the queue has to say so."""
    per: timedelta | str = timedelta(seconds=1)
    """The length of time of `rate`: a `timedelta`, or text such as `"1m"`, which becomes one."""

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > MAX_QUEUE_NAME:
            raise InvalidValue("queues", f"holds a queue named {self.name!r}, which is no name")
        for path in ("concurrency", "global_concurrency", "rate"):
            if (value := getattr(self, path)) is not None:
                check_limit(value, most=1_000_000, path=path)
        object.__setattr__(self, "per", check_period(self.per, "per"))
        if self.name == EVERY_OTHER and self.is_limited:
            raise InvalidValue("queues", f"limits {EVERY_OTHER!r}, which is no single queue", hint="name the queue")

    @property
    def is_limited(self) -> bool:
        """Whether anything is said about how much is taken from it."""
        return self.concurrency is not None or self.throttle is not None

    @property
    def period(self) -> timedelta:
        """`per` as a length of time."""
        return check_duration(self.per, "per")

    @property
    def throttle(self) -> Throttle | None:
        """What holds over all workers."""
        if self.global_concurrency is None and self.rate is None:
            return None
        return Throttle(self.global_concurrency, self.rate, self.period)


@dataclass(frozen=True, slots=True)
class Served:
    """The queues of one worker."""

    limited: tuple[Queue, ...] = ()
    """Each is claimed from by itself."""
    names: tuple[str, ...] | None = None
    """Those that are claimed from together; `None` for all that are not limited."""

    @classmethod
    def of(cls, queues: Iterable[str | Queue] | None) -> "Served":
        """What a worker was told: `None` for all, or names and `Queue` objects. Raises `InvalidValue`."""
        if queues is None:
            return cls()
        if isinstance(queues, str | Queue) or not isinstance(queues, Iterable):
            raise InvalidValue("queues", f"is {shown(queues)}", hint="pass a list")
        given = [queue if isinstance(queue, Queue) else Queue(queue) for queue in queues]
        names = [queue.name for queue in given]
        if not given:
            raise InvalidValue("queues", "is empty", hint="pass None for all")
        if len(set(names)) < len(names):
            raise InvalidValue("queues", "names a queue twice")
        limited = tuple(queue for queue in given if queue.is_limited)
        free = tuple(queue.name for queue in given if not queue.is_limited)
        return cls(limited, None if EVERY_OTHER in free else free)

    def keeps(self, queue: str) -> bool:
        """Whether a run whose next command is of this queue stays in the worker without being claimed anew."""
        if queue in self.limited_names:
            return False
        return self.names is None or queue in self.names

    def covers(self, queue: str) -> bool:
        """Whether the worker claims runs of this queue at all."""
        return self.names is None or queue in (*self.names, *self.limited_names)

    @property
    def limited_names(self) -> tuple[str, ...]:
        """The names of the limited ones."""
        return tuple(queue.name for queue in self.limited)
