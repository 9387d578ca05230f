"""Which instances a verb of operators is about: found first, so that what was confirmed is what is done."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from detent.runtime.finding_verbs import Where
from detent.service.service import WorkflowService
from detent.store.records import WorkflowInstance

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """The instances that are meant."""

    instances: Sequence[WorkflowInstance]
    missing: Sequence[UUID]
    """Of the ids that were given, those that the conditions do not find."""
    cursor: str | None
    """Where the next ones begin; `None` when these are all."""

    def __str__(self) -> str:
        if len(self.instances) == 1:
            one = self.instances[0]
            return f"{one.workflow} {one.id} in {one.state}"
        places = Counter(f"{each.workflow} in {each.state}" for each in self.instances)
        told = ", ".join(f"{count} {place}" for place, count in places.most_common(5))
        others = f", and {len(places) - 5} other states" if len(places) > 5 else ""
        return f"{len(self.instances)} instances ({told}{others})"


async def select(
    service: WorkflowService, ids: Sequence[UUID], where: Where, *, limit: int, cursor: str | None
) -> Selection:
    """Up to `limit` instances, in the order of their ids. Raises `InvalidValue`."""
    found: list[WorkflowInstance] = []
    conditions = where.copy()
    if ids:
        conditions["ids"] = ids
    while len(found) < limit:
        page = await service.find_instances(
            order="id", limit=min(_PAGE, limit - len(found)), cursor=cursor, **conditions
        )
        found += page.instances
        cursor = page.cursor
        if cursor is None:
            break
    known = {each.id for each in found}
    return Selection(found, [] if cursor else [each for each in dict.fromkeys(ids) if each not in known], cursor)
