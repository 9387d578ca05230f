"""The instances that an upgrade looks at, page by page and in the order of their ids: those that are asked for, or all."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from detent.errors import InvalidValue
from detent.ids import as_id
from detent.runtime.caller import Caller
from detent.store.protocol import Store
from detent.store.query import InstanceQuery, Order, Position
from detent.store.records import LIVE, WorkflowInstance
from detent.upgrade.rules import Rules

_BY_ID = Order("id", descending=False)


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the instances to look at."""

    instances: tuple[WorkflowInstance, ...]
    missing: tuple[UUID, ...]
    """Ids that were asked for and are nobody's, or another tenant's."""
    cursor: str | None
    """Where the next page begins; `None` when this is the last."""


class Candidates:
    """Finds the instances that one upgrade looks at, among those that its caller may see."""

    def __init__(self, store: Store, rules: Rules, caller: Caller, ids: Sequence[UUID] | None) -> None:
        self._store = store
        self._rules = rules
        self._caller = caller
        self._ids = None if ids is None else sorted(set(ids))

    async def page(self, limit: int, cursor: str | None) -> Page:
        """Up to `limit` of them, behind `cursor`. Raises `InvalidValue` for a cursor that is none."""
        after = None if cursor is None else _id_in(cursor)
        return await (self._scanned(limit, after) if self._ids is None else self._asked(self._ids, limit, after))

    async def again(self, instance_id: UUID) -> WorkflowInstance | None:
        """An instance as it is now; `None` when it is gone."""
        return await self._store.load(instance_id, outside=self._caller.connection)

    async def _asked(self, ids: Sequence[UUID], limit: int, after: UUID | None) -> Page:
        left = [each for each in ids if after is None or each > after]
        asked = left[:limit]
        found = await self._find(InstanceQuery(ids=tuple(asked)), limit, None) if asked else ()
        known = {instance.id for instance in found}
        missing = tuple(each for each in asked if each not in known)
        return Page(tuple(found), missing, str(asked[-1]) if len(left) > limit else None)

    async def _scanned(self, limit: int, after: UUID | None) -> Page:
        found = await self._find(await self._query(), limit + 1, after)
        shown = tuple(found[:limit])
        return Page(shown, (), str(shown[-1].id) if len(found) > limit else None)

    async def _query(self) -> InstanceQuery:
        rules = self._rules
        versions = await self._other_versions() if rules.from_version is None else (rules.from_version,)
        return InstanceQuery(
            workflows=(rules.workflow,),
            versions=versions,
            states=rules.states,
            exclude_states=rules.exclude_states,
            statuses=None if rules.include_finished else tuple(sorted(LIVE)),
            metadata=rules.metadata,
        )

    async def _other_versions(self) -> tuple[str, ...]:
        """The versions to upgrade from that have instances, so that those on the target are not read to be passed over."""
        query = InstanceQuery(workflows=(self._rules.workflow,)).of_tenant(self._caller.tenant)
        counted = await self._store.count(query, group_by=("definition_version",), outside=self._caller.connection)
        return tuple(sorted(version for (version,) in counted if version != self._rules.version))

    async def _find(self, query: InstanceQuery, limit: int, after: UUID | None) -> Sequence[WorkflowInstance]:
        return await self._store.find(
            query.of_tenant(self._caller.tenant),
            order=_BY_ID,
            limit=limit,
            after=None if after is None else Position(after, None),
            outside=self._caller.connection,
        )


def _id_in(cursor: object) -> UUID:
    try:
        return as_id(cursor)  # type: ignore[arg-type]  # whatever was passed, it answers or raises one of these
    except (ValueError, TypeError, AttributeError):
        raise InvalidValue("cursor", "is none that an earlier report gave") from None
