"""Deciding while holding the row: what a store does in `apply` that needs nothing quicker."""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.store.protocol import A, Decide, Unit


async def decided(unit: Unit, instance_id: UUID, decide: Decide[A], after_commit: Callable[[A], None] | None) -> A:
    """What `decide` answers over the record of `unit`, which is handed the change. Raises `InstanceNotFound`."""
    if unit.record is None:
        raise InstanceNotFound(instance_id)
    change, answer = decide(unit.record, unit.receipt, unit.now)
    if change is not None:
        await unit.write(change)
        if after_commit is not None:
            unit.after_commit(partial(after_commit, answer))
    return answer
