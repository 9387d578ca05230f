"""Group commit: what is to be written while something is being written, is written together next.

A committer has a connection of its own and a queue. It takes what waits, without waiting for more, and writes it in one
statement, so that an idle store adds no wait and a busy one shares a commit among dozens. What belongs to one instance goes to
one committer, so that two never write the same row. Nobody is answered before the commit that holds his work.

What may be written together is a `Kind`: decided steps, creations, checkpoints, messages. Each knows how to write many of it,
and how to tell everyone what became of his.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any, Generic, NoReturn, Protocol, TypeVar, cast
from uuid import UUID

from detent.errors import DetentError, StoreUnavailable
from detent.store.lanes import Lanes
from detent_pg.own_line import OwnLine

logger = logging.getLogger("detent.store")

_STOPPED = "it was stopped together with its event loop"

W = TypeVar("W")
R = TypeVar("R")

MOST = 100
"""How much is written in one commit at most."""
COMMITTERS = 2
"""How many connections write at once: while one waits for the disk, the other's work is decided."""
LANE = 5000
"""How much of one workflow may wait for each committer; who comes then waits to get in."""


class Waiting(Generic[W, R]):
    """Somebody's work, and where his answer goes."""

    __slots__ = ("_answered", "after_commit", "attempts", "context", "has_left", "kind", "since", "work")

    def __init__(self, kind: "Kind[W, R]", work: W, after_commit: Callable[[R], None] | None) -> None:
        loop = asyncio.get_running_loop()
        self.kind = kind
        self.work = work
        self.after_commit = after_commit
        self.attempts = 0
        """How often it was begun in vain."""
        self.has_left = False
        """Whether it goes its own way now: whoever took it answers it, whatever becomes of those it came with."""
        self.context = copy_context()
        """Where whoever asked comes from, for what of his is called while he waits."""
        self.since = loop.time()
        self._answered: asyncio.Future[tuple[R | None, BaseException | None]] = loop.create_future()

    @property
    def is_awaited(self) -> bool:
        """Whether whoever asked still waits: work that was not begun is not done for nobody."""
        return not self._answered.done()

    async def answer(self) -> R:
        """What came of it."""
        answer, error = await self._answered
        if error is not None:
            raise error
        return cast(R, answer)

    def done(self, answer: R, *, committed: bool = False) -> None:
        """Answer; with `committed` also tell whoever wants to know of the commit."""
        if not self._answered.done():
            self._answered.set_result((answer, None))
        # Before he goes on, who does so with the next turn of the loop.
        if committed and self.after_commit is not None:
            self.context.run(_tell, self.after_commit, answer)

    def failed(self, error: BaseException) -> None:
        """Answer that it came to nothing."""
        # As a value: not everything that may be raised fits into a future, and nobody may be there to take it.
        if not self._answered.done():
            self._answered.set_result((None, error))

    def cut_off(self) -> None:
        """Answer nothing: nobody knows what came of it."""
        self._answered.cancel()


class Kind(Protocol[W, R]):
    """Work that is written together."""

    async def commit(self, waiting: Sequence[Waiting[W, R]], line: OwnLine) -> None:
        """Do the work of all, and answer everyone who has not left it to go his own way (`Waiting.has_left`).

        An error that it raises is the answer of all who have none.
        """
        ...


class Committer:
    """A queue with a connection of its own."""

    def __init__(self, line: OwnLine, most: int) -> None:
        self._line = line
        self._most = most
        self._lanes: Lanes[Waiting[Any, Any]] = Lanes(LANE)
        self._task: asyncio.Task[None] | None = None

    async def put(self, lane: str | None, waiting: Waiting[Any, Any]) -> None:
        """Have it done with the next commit."""
        await self._lanes.enter(lane, waiting)
        if self._task is None:
            # In a context of its own: it may go on for long after the caller who happened to start it.
            self._task = asyncio.create_task(self._work(), context=Context())

    async def finished(self) -> None:
        """Wait until nothing is waiting."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """The same, and let the connection go."""
        await self.finished()
        await self._line.let_go()
        while self._task is not None:
            # Somebody came meanwhile.
            await self.finished()
            await self._line.let_go()

    async def _work(self) -> None:
        try:
            while self._lanes:
                await self._commit(self._lanes.take(self._most))
        finally:
            self._task = None
            # Nobody is left unless this was cut off; then nobody else would come for them.
            for left in self._lanes.remove(lambda _: True):
                left.failed(StoreUnavailable(_STOPPED))

    async def _commit(self, taken: Sequence[Waiting[Any, Any]]) -> None:
        try:
            for kind, waiting in _by_kind(taken).items():
                await self._commit_kind(kind, waiting)
        except BaseException:
            # Cut off together with its event loop. Whether it was committed is not known here, and nobody is told so.
            for item in taken:
                item.cut_off()
            raise

    async def _commit_kind(self, kind: Kind[Any, Any], waiting: Sequence[Waiting[Any, Any]]) -> None:
        try:
            await kind.commit(waiting, self._line)
        except Exception as error:
            for item in waiting:
                if not item.has_left:
                    item.failed(own_error(error))


class Batch:
    """Takes work, and answers when it is committed."""

    def __init__(self, line: Callable[[], OwnLine], *, committers: int = COMMITTERS, most: int = MOST) -> None:
        self._committers = [Committer(line(), most) for _ in range(committers)]

    async def do(
        self,
        kind: Kind[W, R],
        work: W,
        *,
        instance_id: UUID,
        lane: str | None = None,
        after_commit: Callable[[R], None] | None = None,
    ) -> R:
        """What came of `work` about `instance_id`. A caller who is cancelled leaves work that goes on, or was not begun."""
        waiting = Waiting(kind, work, after_commit)
        await self._committers[instance_id.int % len(self._committers)].put(lane, waiting)
        return await waiting.answer()

    async def finished(self) -> None:
        """Wait for all that is under way."""
        await asyncio.gather(*(committer.finished() for committer in self._committers))

    async def close(self) -> None:
        """The same, and let the connections go."""
        await asyncio.gather(*(committer.close() for committer in self._committers))


def _by_kind(taken: Sequence[Waiting[Any, Any]]) -> dict[Kind[Any, Any], list[Waiting[Any, Any]]]:
    kinds: dict[Kind[Any, Any], list[Waiting[Any, Any]]] = {}
    for item in taken:
        kinds.setdefault(item.kind, []).append(item)
    return kinds


def own_error(error: Exception) -> Exception:
    """An error for one of many: one that several raise would gather all their tracebacks and notes."""
    if not isinstance(error, DetentError):
        return error
    # Made past the constructors, whose parameters differ.
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update({name: value for name, value in vars(error).items() if name != "__notes__"})
    own.__cause__ = error
    return own


def _tell(after_commit: Callable[[R], None], answer: R) -> None:
    # It was committed: whoever hears of it cannot undo that, and must not take the answer from the others.
    try:
        after_commit(answer)
    except (KeyboardInterrupt, SystemExit) as end:
        asyncio.get_running_loop().call_soon(_raise, end)
    except BaseException:
        logger.exception("a callback after the commit failed")


def _raise(error: BaseException) -> NoReturn:
    raise error
