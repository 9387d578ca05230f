"""The book of triggers: what a runtime has to be given so that triggers live in it, bound afterwards to what starts flows."""

from collections.abc import Awaitable, Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from detent.definition.model import WorkflowDefinition
from detent.registry.registry import Registry
from detent.runtime.subscribers import subscriber
from detent.service.trigger_calls import Starter
from detent.service.trigger_commands import TriggerCommands
from detent.store.messages import Delivery
from detent.triggers.cron import checked_schedule
from detent.triggers.definition import trigger_definition
from detent.triggers.errors import TriggerUnavailable

SUBSCRIBER = "detent.triggers"
"""The name under which messages are delivered to event triggers."""


class TriggerBook:
    """The triggers of a runtime, which is handed what this says.

    ```python
    triggers = TriggerBook(topics=["order.*"])
    runtime = WorkflowRuntime(
        store=…, definitions=[*book.definitions, *triggers.definitions],
        commands=[*book.commands, *triggers.commands], subscribers=triggers.subscribers, adopts=book.adopts,
    )
    service = TriggerService(WorkflowService(runtime), book, triggers)
    ```

    * `timezone`: that of cron triggers which name none.
    * `topics`: patterns of what event triggers may hear of. Each message of such a topic is one more delivery, so that nothing
      is heard unless it is said here.

    It serves one runtime. Raises `InvalidValue`.
    """

    def __init__(self, *, timezone: str = "UTC", topics: Iterable[str] = ()) -> None:
        checked_schedule("0 0 * * *", timezone)
        self.timezone = timezone
        self.topics = (topics,) if isinstance(topics, str) else tuple(topics)
        self.doors: set[str] = set()
        """The kinds of triggers to which this process has a door, such as `http`."""
        self.checked = False
        """Whether the application has asked what keeps triggers from firing, so that of later ones it is told as well."""
        self.worker: bool | None = None
        """Whether this process has a worker, where the application said so."""
        self._hear: Callable[[Delivery], Awaitable[None]] | None = None
        self._definition = trigger_definition()
        self._commands = TriggerCommands()
        self._registry = self._commands.registry()

    @property
    def definitions(self) -> list[WorkflowDefinition]:
        """The workflow whose instances are triggers."""
        return [self._definition]

    @property
    def commands(self) -> list[Registry]:
        """What it does."""
        return [self._registry]

    @property
    def subscribers(self) -> list[Any]:
        """Who hears of messages for event triggers; nobody, where no topics were named."""
        if not self.topics:
            return []

        @subscriber(*self.topics, name=SUBSCRIBER)
        async def hear(delivery: Delivery) -> None:
            if self._hear is None:
                hint = "make TriggerService(service, book, triggers) before a worker runs"
                raise TriggerUnavailable("of events", "any flow", "no TriggerService was made here", hint=hint)
            await self._hear(delivery)

        return [hear]

    @property
    def starter(self) -> Starter | None:
        """What triggers start flows by; `None` until a `TriggerService` was made."""
        return self._commands.starter

    @property
    def is_bound(self) -> bool:
        """Whether a `TriggerService` was made for it, so that triggers can fire."""
        return self.starter is not None

    def bind(self, starter: Starter, hear: Callable[[Delivery], Awaitable[None]]) -> None:
        """Let triggers start flows by `starter`, and messages be heard by `hear`."""
        self._commands.starter, self._hear = starter, hear

    def hears(self, pattern: str) -> bool:
        """Whether all that `pattern` stands for is among the topics."""
        return any(fnmatchcase(pattern, topic) for topic in self.topics)
