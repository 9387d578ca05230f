"""The verbs that end what is kept: delete instances, apply the policies, and look at what remains."""

from typing import Unpack
from uuid import UUID

from detent.errors import InstanceNotFound
from detent.json_values import JsonObject, json_object
from detent.runtime.arguments import MAX_PAGE, check_limit, id_of
from detent.runtime.at_once import LOCKED_AT_ONCE
from detent.runtime.attempt import new_attempt
from detent.runtime.bulk_verbs import BulkReport, BulkVerbs, BulkWhere
from detent.runtime.deletion import DeleteOrder
from detent.runtime.event_names import REMOVED
from detent.runtime.handle import Manner
from detent.runtime.retention import RetentionReport
from detent.store.records import ArchiveEntry, WorkflowInstance


class RetentionVerbs(BulkVerbs):
    """Remove instances. Their history and idempotency keys go with them; an archive entry says who removed them and why."""

    async def delete(
        self,
        instance_id: UUID | str | WorkflowInstance,
        *,
        force: bool = False,
        archive: bool = False,
        reason: str | None = None,
        **manner: Unpack[Manner],
    ) -> ArchiveEntry:
        """What is kept of the instance, which is gone: that it was there, who removed it and why; with `archive` all of it.

        An instance that has not finished goes only with `force`, and its entry says in which status it was. Raises
        `InstanceNotFound`, `InstanceNotFinished`, `VersionConflict`, `InstanceBusy`, and `ReentrantTrigger` in a command of
        that very instance.
        """
        attempt = new_attempt(
            id_of(instance_id),
            REMOVED,
            self._caller.saying(manner.get("trigger_metadata"), connection=manner.get("connection")),
            expected_version=manner.get("expected_version"),
        )
        return await self.running().deletion.delete(DeleteOrder(attempt, force, archive, reason))

    async def delete_instances(
        self, *, force: bool = False, archive: bool = False, reason: str | None = None, **where: Unpack[BulkWhere]
    ) -> BulkReport:
        """Delete every instance that is found; see `delete`. Without `force`, those that have not finished fail."""
        return await self._each(
            where,
            lambda found, say: self.delete(found, force=force, archive=archive, reason=reason, trigger_metadata=say),
            most=LOCKED_AT_ONCE,
        )

    async def get_archived(self, instance_id: UUID | str | WorkflowInstance) -> ArchiveEntry:
        """What is kept of an instance that was removed; `read_archived` reads its document. Raises `InstanceNotFound`."""
        identity = id_of(instance_id)
        found = await self.running().parts.store.load_archived(identity)
        if found is None or self.tenant not in (None, found.tenant):
            raise InstanceNotFound(identity)
        return found

    async def apply_retention(
        self, *, limit: int = 10_000, batch: int = 500, trigger_metadata: JsonObject | None = None
    ) -> RetentionReport:
        """Do what the policies say is due by now, and tell what was done; expired idempotency keys go as well.

        At most `limit` instances are removed and as many looked through for old history, `batch` in a commit. While the
        report says `more`, another call finds more to do. A caller who is bound to a tenant removes only that one's. Any
        number of processes may do so at once. It takes no lent transaction: what was done stays done. Raises `InvalidValue`
        for a limit or batch out of range.
        """
        check_limit(limit, most=1_000_000)
        check_limit(batch, most=MAX_PAGE, path="batch")
        caller = self._caller.saying(json_object(trigger_metadata, "trigger_metadata"))
        return await self.running().retention.apply(caller, limit=limit, batch=batch)
