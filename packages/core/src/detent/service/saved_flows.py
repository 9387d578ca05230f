"""Flows that are saved at run time, seen by every process on the database."""

from collections.abc import Collection, Mapping
from typing import Any

from detent.definition.fingerprint import fingerprint
from detent.definition.version import version_key
from detent.errors import DefinitionChanged
from detent.flows.book import FlowBook
from detent.flows.errors import FlowInvalid, UnknownFlow
from detent.flows.flow import Flow
from detent.flows.lower import flow_in
from detent.problems import Problem
from detent.service.service import WorkflowService
from detent.store.records import DefinitionSnapshot


class SavedFlows:
    """See `FlowService.flows`. Flows of the application itself are among them, because a runtime stores what it runs."""

    def __init__(self, service: WorkflowService, book: FlowBook) -> None:
        self._service = service
        self._book = book

    async def save(self, flow: Flow | Mapping[str, Any]) -> Flow:
        """The flow, stored under its id and version, and ready to be started here; elsewhere within seconds.

        A version is never overwritten. Raises `FlowInvalid` with all problems, also where a workflow that is no flow is called
        so, and `DefinitionChanged` where the same version is stored already and says something else.
        """
        read = flow if isinstance(flow, Flow) else Flow.from_dict(flow)
        definition = self._book.lowered(read)
        parts = self._service.running().parts
        await self._require_no_other(read)
        snapshot = DefinitionSnapshot(
            definition.name,
            definition.version,
            fingerprint(definition),
            definition.to_dict(),
            created_at=parts.present,
        )
        [stored] = await parts.store.save_definitions([snapshot])
        if stored.fingerprint != snapshot.fingerprint:
            raise DefinitionChanged(read.id, read.version, stored.fingerprint, snapshot.fingerprint)
        parts.machines.adopt([stored])
        return read

    async def get(self, flow: str, version: str | None = None) -> Flow:
        """One flow, in its newest version or another. Raises `UnknownFlow`."""
        found = await self._stored(flow)
        if not found or (version is not None and version not in found):
            raise UnknownFlow(flow, version if found else None, found)
        return found[version or max(found, key=version_key)]

    async def latest(self, flow: str) -> Flow:
        """The newest version. Raises `UnknownFlow`."""
        return await self.get(flow)

    async def versions(self, flow: str) -> list[str]:
        """Every stored version, the oldest first. Raises `UnknownFlow`."""
        found = await self._stored(flow)
        if not found:
            raise UnknownFlow(flow)
        return sorted(found, key=version_key)

    async def list(self) -> list[Flow]:
        """The newest version of every flow, by id."""
        newest: dict[str, Flow] = {}
        for snapshot in await self._service.running().parts.store.list_definitions(None):
            flow = flow_in(snapshot.definition.get("metadata") or {})
            known = newest.get(snapshot.workflow)
            if flow is not None and (known is None or known.version_key < flow.version_key):
                newest[flow.id] = flow
        return [newest[name] for name in sorted(newest)]

    async def require(self, flow: str, version: str | None) -> None:
        """Make sure that a flow can be started here, in its newest version as far as the database knows. Raises `UnknownFlow`."""
        parts = self._service.running().parts
        stored = await parts.stored.get(flow)
        for snapshot in stored:
            if not parts.machines.is_registered(flow, snapshot.version) and self._book.adopts(snapshot.definition):
                parts.machines.try_to_adopt(snapshot)
        self.require_known(flow, version, [snapshot.version for snapshot in stored])

    def require_known(self, flow: str, version: str | None, stored: Collection[str] = ()) -> None:
        """Make sure that a flow can be started here as far as this process knows. Raises `UnknownFlow`."""
        machines = self._service.running().parts.machines
        if version is not None and not machines.is_registered(flow, version):
            raise UnknownFlow(flow, version, stored, hint=self._forgotten(flow, version))
        if flow not in machines.workflows or self._book.flow_in(machines.latest(flow).definition) is None:
            raise UnknownFlow(flow, None, machines.workflows, hint=self._forgotten(flow))

    def _forgotten(self, flow: str, version: str | None = None) -> str | None:
        """What to do about a flow that the book has and the runtime was not given."""
        if not any(flow == id_ and version in (None, its) for id_, its in self._book.flows):
            return None
        return "the book has it, and the runtime was not given it: WorkflowRuntime(definitions=book.definitions, …)"

    async def _require_no_other(self, flow: Flow) -> None:
        """Raise `FlowInvalid` where the flow is called as a workflow that is none."""
        parts = self._service.running().parts
        stored = [snapshot.definition for snapshot in await parts.store.list_definitions([flow.id])]
        registered = (
            [parts.machines.latest(flow.id).definition.to_dict()] if flow.id in parts.machines.workflows else []
        )
        if any(flow_in(definition.get("metadata") or {}) is None for definition in (*stored, *registered)):
            said = f"there is a workflow {flow.id!r} that is no flow"
            raise FlowInvalid(flow.id, [Problem("id", "id_taken", said, "choose another id")])

    async def _stored(self, flow: str) -> dict[str, Flow]:
        stored = await self._service.running().parts.store.list_definitions([flow])
        read = {snapshot.version: flow_in(snapshot.definition.get("metadata") or {}) for snapshot in stored}
        return {version: found for version, found in read.items() if found is not None}
