"""Triggers registered: judged as a whole before they are kept, and configured anew where they are kept already."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from detent.errors import InvalidValue, VersionConflict
from detent.problems import Problem
from detent.service.flow_starts import reserved_keys
from detent.service.kept_triggers import KeptTriggers, is_as_written, written
from detent.service.saved_flows import SavedFlows
from detent.service.trigger_commands import trigger_in
from detent.service.trigger_steps import TriggerSteps
from detent.store.records import WorkflowInstance
from detent.triggers.definition import CONFIG, CONFIGURE
from detent.triggers.errors import TriggerInvalid
from detent.triggers.trigger import CronTrigger, Trigger, Triggers

_FIXED = ("kind", "name", "tenant", "enabled")


class TriggerRegistration:
    """Keeps triggers as they are written: `timezone` and `tenant` are those of triggers that name none."""

    def __init__(
        self, kept: KeptTriggers, steps: TriggerSteps, flows: SavedFlows, *, timezone: str, tenant: str | None
    ) -> None:
        self._kept = kept
        self._steps = steps
        self._flows = flows
        self._timezone = timezone
        self._tenant = tenant

    async def register(self, trigger: Trigger | Mapping[str, Any]) -> WorkflowInstance:
        """The trigger, made, or configured anew where it differs."""
        read = await self._checked(trigger)
        instance = await self._kept.find_or_make(read)
        return instance if instance.created else await self._configured(instance, read)

    async def update(self, trigger: UUID | str, changes: Mapping[str, Any]) -> WorkflowInstance:
        """The trigger with these fields changed."""
        for name in _FIXED:
            if name in changes:
                raise InvalidValue(name, "cannot be changed", hint="register another trigger, or enable and disable it")
        while True:
            instance = await self._kept.find(trigger)
            read = await self._checked({**written(trigger_in(instance.context)), **changes})
            # Somebody else may have changed other fields meanwhile: those are not undone.
            with suppress(VersionConflict):
                return await self._configured(instance, read, version=instance.version)

    async def _checked(self, trigger: Trigger | Mapping[str, Any]) -> Trigger:
        """The trigger as it is to be kept. Raises what makes its flow refuse it."""
        read = self._completed(Triggers.read(trigger))
        taken = reserved_keys([*read.static_context, *filter(None, [read.context_key])])
        if taken:
            raise TriggerInvalid(read.name, [_reserved(read, key) for key in taken])
        await self._flows.require(read.flow, read.version)
        return read

    async def _configured(
        self, instance: WorkflowInstance, read: Trigger, *, version: int | None = None
    ) -> WorkflowInstance:
        kind = instance.metadata["kind"]
        if kind != read.kind:
            raise TriggerInvalid(read.name, [_other_kind(kind)])
        if is_as_written(instance, read):
            return instance
        changed = await self._steps.take(instance, CONFIGURE, {CONFIG: written(read)}, expected_version=version)
        return changed.instance

    def _completed(self, read: Trigger) -> Trigger:
        """The same with what it leaves open, so that all processes mean the same."""
        changes: dict[str, Any] = {}
        if isinstance(read, CronTrigger) and read.timezone is None:
            changes["timezone"] = self._timezone
        if read.tenant is None and self._tenant is not None:
            changes["tenant"] = self._tenant
        return read.model_copy(update=changes)


def _other_kind(kind: str) -> Problem:
    said = f"there is a trigger of this name already, and it is of kind {kind!r}"
    return Problem("kind", "other_kind", said, "delete that one first, or choose another name")


def _reserved(read: Trigger, key: str) -> Problem:
    path = f"static_context.{key}" if key in read.static_context else "context_key"
    return Problem(path, "reserved_key", f"the context key {key!r} is kept for the flow itself")
