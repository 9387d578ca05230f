"""News of children: which of them a parent hears of, when it waits for `each`, `any` or `all` of a group.

The children of a group that are counted together are those that were started since the group's event was taken last. So a
parent may start the next ones under the same name, in a loop, even in the very step that took the event for the ones
before. Each child knows at which version of its parent it was started (`since`), and each step that takes the event notes
at which version it was decided (`version` in its trigger metadata): children of that version and of later ones are the
next generation. As this is decided while the parent is locked, each generation is told once, however many of its children
end together.

The branches of a fork begin in one step, so that those are counted together which began at one version. Those that began
before their parent left a state are not heard any more.
"""

from collections.abc import AsyncIterator
from dataclasses import replace

from detent.json_values import JsonObject
from detent.machine.forks import FORK, JOINED
from detent.machine.machine import Machine
from detent.runtime.event_names import CANCELLED, IN_PLACE, ON_ENTER
from detent.store.messages import InboxMessage
from detent.store.protocol import Store, Unit
from detent.store.query import InstanceQuery, Order, Position
from detent.store.records import FINISHED, LIVE, HistoryEntry, Outcome, Status, WorkflowInstance

PAGE = 100
"""How many rows are read at a time."""

_BY_ID = Order("id", descending=False)
_STAYING = IN_PLACE | {JOINED, CANCELLED}
_TAKEN = (Outcome.SUCCESS, Outcome.FAILURE, Outcome.ACCEPTED)


def is_news(message: InboxMessage) -> bool:
    """Whether a message tells of the end of a child."""
    told = message.payload
    return message.trigger_metadata.get("source") == "child" and isinstance(told, dict) and told.keys() >= _KEYS


def news_of(child: WorkflowInstance) -> JsonObject:
    """What a parent is told of a child that has ended."""
    return {
        "child": str(child.id),
        "workflow": child.workflow,
        "state": child.state,
        "status": child.status.value,
        "context": child.context,
        "metadata": child.metadata,
    }


def leaves_branches(entry: HistoryEntry, machine: Machine) -> bool:
    """Whether by this a state is left, or entered again, and nobody waits any more for branches that it has begun."""
    if entry.outcome not in (Outcome.SUCCESS, Outcome.FAILURE) or entry.event in _STAYING:
        return False
    if entry.event == ON_ENTER:
        # Branches begin at the end of the entry, so that it has none of its own; but a choice that it made may have failed.
        return entry.outcome is Outcome.FAILURE and any(record.name == FORK for record in entry.commands)
    state = entry.from_state or ""
    declared = machine.events(state).get(entry.event) if machine.has_state(state) else None
    return declared is None or not declared.internal


class ChildNews:
    """Decides which news reach a parent. One per runtime."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def to_take(
        self, message: InboxMessage, parent: WorkflowInstance, machine: Machine, unit: Unit
    ) -> InboxMessage | None:
        """The message as the parent, which `machine` governs and `unit` holds, is to take it; `None` when it is not to hear of
        this.
        """
        if not is_news(message) or message.payload["wait_for"] == "each":
            return message
        if message.payload["wait_for"] == "all" and await self._one_lives(message, parent, unit):
            return None
        if message.event == JOINED and await self._was_left(message, parent, machine, unit):
            return None
        if await self._taken_at(message, parent, _since(message), unit) is not None:
            return None
        said = {**message.trigger_metadata, "version": parent.version}
        if message.payload["wait_for"] == "any":
            return replace(message, trigger_metadata=said)
        return replace(message, trigger_metadata=said, payload=await self._all(message, parent, unit))

    async def _all(self, message: InboxMessage, parent: WorkflowInstance, unit: Unit) -> JsonObject:
        ended = [child async for child in self._siblings(message, parent, FINISHED, unit)]
        first = min((_start(child) for child in ended), default=0)
        last = await self._taken_at(message, parent, min(first, _since(message)), unit)
        told = {str(child.id): news_of(child) for child in ended if last is None or _start(child) >= last}
        # It may have been removed since it ended.
        own = {name: message.payload.get(name) for name in _TOLD}
        told.setdefault(message.payload["child"], own)
        return {"wait_for": "all", "group": message.payload["group"], "children": list(told.values())}

    async def _one_lives(self, message: InboxMessage, parent: WorkflowInstance, unit: Unit) -> bool:
        async for _ in self._siblings(message, parent, LIVE, unit):
            return True
        return False

    async def _siblings(
        self, message: InboxMessage, parent: WorkflowInstance, statuses: frozenset[Status], unit: Unit
    ) -> AsyncIterator[WorkflowInstance]:
        query = InstanceQuery(parent_id=parent.id, statuses=tuple(statuses))
        place: Position | None = None
        while True:
            page = await self._store.find(query, order=_BY_ID, limit=PAGE, after=place, outside=unit.connection)
            for child in page:
                if _counts(child, message):
                    yield child
            if len(page) < PAGE:
                return
            place = Position(page[-1].id, None)

    async def _was_left(self, message: InboxMessage, parent: WorkflowInstance, machine: Machine, unit: Unit) -> bool:
        """Whether the parent has left a state since the branch began."""
        async for entry in self._entries(parent, _since(message), unit):
            if leaves_branches(entry, machine):
                return True
        return False

    async def _taken_at(self, message: InboxMessage, parent: WorkflowInstance, since: int, unit: Unit) -> int | None:
        """The version at which the event was taken last for this group, if that was after version `since`."""
        async for entry in self._entries(parent, since, unit):
            version = _decided_at(entry, message)
            if version is not None:
                return version if version > since else None
        return None

    async def _entries(self, parent: WorkflowInstance, since: int, unit: Unit) -> AsyncIterator[HistoryEntry]:
        """What has happened to the parent after version `since`, newest first."""
        before = parent.version + 1
        while before > since + 1:
            page = await self._store.history(parent.id, limit=PAGE, before=before, outside=unit.connection)
            for entry in page:
                if entry.sequence <= since:
                    return
                yield entry
            if len(page) < PAGE:
                return
            before = page[-1].sequence


_TOLD = ("child", "workflow", "state", "status", "context", "metadata")
"""What is told of each child."""
_KEYS = {"child", "wait_for", "group"}


def _decided_at(entry: HistoryEntry, message: InboxMessage) -> int | None:
    """The version at which the event of `message` was taken for its group, if `entry` says so."""
    said = entry.trigger_metadata
    if entry.event != message.event or entry.outcome not in _TAKEN or said.get("source") != "child":
        return None
    version = said.get("version")
    return version if said.get("group") == message.payload["group"] and isinstance(version, int) else None


def _counts(child: WorkflowInstance, message: InboxMessage) -> bool:
    """Whether a child is one of those that `message` is about: of branches, those begun together."""
    link = child.parent_link
    if link is None or (link.event, link.group) != (message.event, message.payload["group"]):
        return False
    return message.event != JOINED or link.since == _since(message)


def _since(message: InboxMessage) -> int:
    since = message.trigger_metadata.get("since")
    return since if isinstance(since, int) else 0


def _start(child: WorkflowInstance) -> int:
    return 0 if child.parent_link is None else child.parent_link.since
