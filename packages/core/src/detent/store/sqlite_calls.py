"""The calls of one process that wait to be written and committed together."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import copy_context
from datetime import datetime
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

from detent.errors import InstanceBusy, InstanceNotFound
from detent.store.change import Change
from detent.store.protocol import Decide
from detent.store.records import Receipt, ReceiptKey, WorkflowInstance
from detent.store.sqlite_file import writer_is_held

Answer: TypeAlias = tuple[Any, BaseException | None]
"""What the caller gets: what is answered, or what is raised."""


class Call(ABC):
    """One `create` or `apply`, and where its caller waits.

    `key` is the receipt to read with the record, `now` the instant if the caller gives one, `known` a record that he has seen.
    """

    takes_record = True
    """Whether it is decided over the record of its instance."""
    key: ReceiptKey | None = None
    now: datetime | None = None
    known: WorkflowInstance | None = None

    def __init__(self, instance_id: UUID) -> None:
        self.instance_id = instance_id
        # Not of the caller's task but a copy of it: what decides is called while that task waits.
        self.context = copy_context()
        self.since = asyncio.get_running_loop().time()
        self.answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    @property
    def reads(self) -> bool:
        """Whether it cannot be decided before something was read."""
        return self.takes_record and (self.known is None or self.key is not None)

    @property
    def is_awaited(self) -> bool:
        """Whether the caller waits still."""
        return not self.answered.done()

    def answer(self, answer: object, error: BaseException | None = None) -> None:
        """Let the caller go on, unless he was cancelled."""
        # The error as a value: nobody may be there to take it, and not everything that may be raised fits into a future.
        if not self.answered.done():
            self.answered.set_result((answer, error))

    @abstractmethod
    def decide(
        self, record: WorkflowInstance | None, receipt: Receipt | None, now: datetime
    ) -> tuple[Change | None, Any]:
        """The change and the answer; may raise what the caller is to get."""

    @abstractmethod
    def told(self, answer: Any) -> Callable[[], None] | None:
        """What is to be called after the commit of its change."""

    @abstractmethod
    def busy(self) -> Exception:
        """What is raised when the writer does not come in time."""


class Creation(Call):
    """A `create`: decided before."""

    takes_record = False

    def __init__(self, change: Change, after_commit: Callable[[], None] | None) -> None:
        super().__init__(change.instance.id)
        self._change = change
        self._after_commit = after_commit

    def decide(
        self, _record: WorkflowInstance | None, _receipt: Receipt | None, _now: datetime
    ) -> tuple[Change | None, Any]:
        """The change as it came."""
        return self._change, None

    def told(self, _answer: Any) -> Callable[[], None] | None:
        """The caller's `after_commit`."""
        return self._after_commit

    def busy(self) -> Exception:
        """It has no id yet that anybody knows."""
        return writer_is_held()


class Application(Call):
    """An `apply`."""

    def __init__(
        self,
        instance_id: UUID,
        decide: Decide[Any],
        key: ReceiptKey | None,
        now: datetime | None,
        known: WorkflowInstance | None,
        after_commit: Callable[[Any], None] | None,
    ) -> None:
        super().__init__(instance_id)
        self.key, self.now, self.known = key, now, known
        self._decide = decide
        self._after_commit = after_commit

    def decide(
        self, record: WorkflowInstance | None, receipt: Receipt | None, now: datetime
    ) -> tuple[Change | None, Any]:
        """What the caller's function makes of the record."""
        if record is None:
            raise InstanceNotFound(self.instance_id)
        return self._decide(record, receipt, now)

    def told(self, answer: Any) -> Callable[[], None] | None:
        """The caller's `after_commit`, which gets the answer."""
        after_commit = self._after_commit
        return None if after_commit is None else partial(after_commit, answer)

    def busy(self) -> Exception:
        """Another step holds the instance, and with it the file."""
        return InstanceBusy(self.instance_id)
