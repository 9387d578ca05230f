"""The machines of a runtime, by workflow and version: compiled at start-up, or on demand from stored snapshots."""

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from detent.definition.fingerprint import fingerprint
from detent.definition.model import WorkflowDefinition
from detent.errors import (
    DefinitionChanged,
    DefinitionInvalid,
    IncompatibleState,
    InvalidValue,
    UnknownVersion,
    UnknownWorkflow,
    WorkflowUnavailable,
)
from detent.json_values import JsonObject
from detent.machine.compile import compile_definition
from detent.machine.idle_options import idle_options, idle_references
from detent.machine.machine import Machine
from detent.problems import Problem, did_you_mean
from detent.registry.registry import Registry
from detent.store.protocol import Store
from detent.store.records import DefinitionSnapshot, WorkflowInstance

logger = logging.getLogger("detent.runtime")

_NOTHING: frozenset[str] = frozenset()


class VersionNotLoaded(Exception):
    """An instance is governed by a version that is not compiled here yet; fetch it and decide again."""

    def __init__(self, workflow: str, version: str) -> None:
        super().__init__(workflow, version)
        self.workflow = workflow
        self.version = version


class Machines:
    """Finds the machine that governs an instance, and knows which workflows may take steps here."""

    def __init__(
        self,
        registry: Registry,
        definitions: Iterable[WorkflowDefinition],
        adopts: Callable[[JsonObject], bool] | None = None,
    ) -> None:
        self._registry = registry
        self._adopts = adopts
        self._compiled: dict[tuple[str, str], Machine] = {}
        self._latest: dict[str, Machine] = {}
        # The events that need the row lock somewhere, by workflow, and under `None` those of all workflows.
        self._locked: dict[str | None, frozenset[str]] = {}
        self._unavailable: dict[str, tuple[str, ...]] = {}
        for definition in definitions:
            self._add(definition)
        self._registered = frozenset(self._compiled)
        self._warn()

    def _add(self, definition: WorkflowDefinition) -> None:
        key = (definition.name, definition.version)
        if key in self._compiled:
            problem = Problem("version", "duplicate_version", f"version {definition.version} is registered twice")
            raise DefinitionInvalid(definition.name, [problem])
        machine = self._compile(key, definition)
        latest = self._latest.get(definition.name)
        if latest is None or latest.definition.version_key < definition.version_key:
            self._latest[definition.name] = machine

    def adopt(self, snapshots: Iterable[DefinitionSnapshot]) -> None:
        """Take versions that others have stored as if they were registered here. Raises `DefinitionInvalid`."""
        for snapshot in snapshots:
            key = snapshot.workflow, snapshot.version
            if key in self._registered:
                continue
            machine = self._compiled.get(key)
            if machine is None:
                self.load(snapshot)
                machine = self._compiled[key]
            self._registered |= {key}
            latest = self._latest.get(snapshot.workflow)
            if latest is None or latest.definition.version_key < machine.definition.version_key:
                self._latest[snapshot.workflow] = machine

    async def adopt_stored(self, store: Store) -> None:
        """Take over what others have stored meanwhile, as far as this runtime adopts it; what cannot run here is left alone."""
        if self._adopts is None:
            return
        for snapshot in await store.list_definitions(None):
            if (snapshot.workflow, snapshot.version) not in self._registered and self._adopts(snapshot.definition):
                self.try_to_adopt(snapshot)

    def try_to_adopt(self, snapshot: DefinitionSnapshot) -> None:
        """The same for one version; where it cannot run here, that is logged, and it is left alone."""
        try:
            self.adopt([snapshot])
        except DefinitionInvalid:
            logger.exception("workflow %r v%s was stored, and cannot run here", snapshot.workflow, snapshot.version)

    def _warn(self) -> None:
        """Log what is said about commands and comes to nothing."""
        definitions = [machine.definition for machine in self._compiled.values()]
        for definition in definitions:
            for problem in idle_references(definition, self._registry):
                logger.warning("workflow %r v%s: %s", definition.name, definition.version, problem)
        for problem in idle_options(definitions, self._registry):
            logger.warning("%s", problem)

    @property
    def workflows(self) -> list[str]:
        """The names of the registered workflows."""
        return list(self._latest)

    @property
    def available(self) -> list[str]:
        """The registered workflows that can run here."""
        return [workflow for workflow in self._latest if workflow not in self._unavailable]

    @property
    def unavailable(self) -> Mapping[str, tuple[str, ...]]:
        """The registered workflows that were withdrawn, with the problems of each."""
        return dict(self._unavailable)

    def withdraw(self, workflow: str, problems: Iterable[str]) -> None:
        """Let no step of `workflow` run here, because of these problems. Its instances can still be looked at."""
        self._unavailable[workflow] = tuple(problems)

    def restore(self, workflow: str) -> None:
        """Let steps of `workflow` run here again."""
        self._unavailable.pop(workflow, None)

    def require_available(self, workflow: str) -> None:
        """Raise `WorkflowUnavailable` when the workflow was withdrawn."""
        if workflow in self._unavailable:
            raise WorkflowUnavailable(workflow, self._unavailable[workflow])

    def is_registered(self, workflow: str, version: str) -> bool:
        """Whether this version came with the definitions, and not from a stored snapshot."""
        return (workflow, version) in self._registered

    def is_compiled(self, workflow: str, version: str) -> bool:
        """Whether this version can run here without being fetched."""
        return (workflow, version) in self._compiled

    def latest(self, workflow: str) -> Machine:
        """The newest registered version. Raises `UnknownWorkflow`."""
        machine = self._latest.get(workflow)
        if machine is None:
            raise UnknownWorkflow(workflow, self._latest)
        return machine

    def version(self, workflow: str, version: str) -> Machine:
        """One registered version. Raises `UnknownWorkflow`, and `InvalidValue` where the workflow has no such version here."""
        newest = self.latest(workflow)
        if not self.is_registered(workflow, version):
            known = [number for name, number in self._registered if name == workflow]
            reason = f"is {version!r}, and workflow {workflow!r} is registered in versions up to {newest.version}"
            raise InvalidValue("version", reason, hint=did_you_mean(version, known))
        return self._compiled[workflow, version]

    def governing(self, record: WorkflowInstance) -> Machine:
        """The version an instance follows: its own, or the newest where the policy says so; of a withdrawn workflow too.

        Raises `VersionNotLoaded`, and `IncompatibleState` when the newest version lacks the instance's state.
        """
        latest = self._latest.get(record.workflow)
        if latest is not None and latest.definition.version_policy == "latest":
            if not latest.has_state(record.state):
                raise IncompatibleState(record.id, record.workflow, latest.version, record.state)
            return latest
        machine = self._compiled.get((record.workflow, record.definition_version))
        if machine is None:
            raise VersionNotLoaded(record.workflow, record.definition_version)
        return machine

    def captured(self, workflow: str, version: str) -> Machine:
        """One version, registered or fetched. Raises `VersionNotLoaded`."""
        machine = self._compiled.get((workflow, version))
        if machine is None:
            raise VersionNotLoaded(workflow, version)
        return machine

    def states_of(self, workflows: Iterable[str]) -> frozenset[str]:
        """The states of these workflows, in any version that is compiled here."""
        names = frozenset(workflows)
        machines = [machine for machine in self._compiled.values() if machine.workflow in names]
        return frozenset(state for machine in machines for state in machine.definition.states)

    def may_need_lock(self, workflow: str | None, event: str) -> bool:
        """Whether `event` needs the row lock in any state of any version of `workflow`, or of any workflow, compiled here."""
        return event in self._locked.get(workflow, _NOTHING)

    def may_need_lock_in(self, workflow: str | None, state: str) -> bool:
        """Whether entering `state` needs the row lock in any version of `workflow`, or of any workflow, compiled here."""
        return any(
            state in machine.locked.entries
            for machine in self._compiled.values()
            if workflow in (None, machine.workflow)
        )

    async def save(self, store: Store, now: datetime) -> None:
        """Store the registered versions. Raises `DefinitionChanged` when one was edited under the same number."""
        registered = {key: _snapshot(machine, now) for key, machine in self._compiled.items()}
        for stored in await store.save_definitions(list(registered.values())):
            ours = registered[stored.workflow, stored.version]
            if stored.fingerprint != ours.fingerprint:
                states = _states_that_differ(stored.definition, ours.definition)
                raise DefinitionChanged(
                    stored.workflow, stored.version, stored.fingerprint, ours.fingerprint, states=states
                )

    async def fetch(self, store: Store, workflow: str, version: str) -> None:
        """Compile a version known only as a stored snapshot. Raises `UnknownVersion`, or `DefinitionInvalid` when what it
        names is no longer registered.
        """
        snapshot = await store.load_definition(workflow, version)
        if snapshot is None:
            raise UnknownVersion(workflow, version)
        self.load(snapshot)

    def load(self, snapshot: DefinitionSnapshot) -> None:
        """Compile a stored version and keep it. Raises `DefinitionInvalid` when what it names is not registered."""
        self._compile((snapshot.workflow, snapshot.version), WorkflowDefinition.from_dict(snapshot.definition))

    def _compile(self, key: tuple[str, str], definition: WorkflowDefinition) -> Machine:
        machine = self._compiled[key] = compile_definition(definition, self._registry)
        for workflow in (definition.name, None):
            self._locked[workflow] = self._locked.get(workflow, _NOTHING) | machine.locked.anywhere
        return machine


def _states_that_differ(stored: JsonObject, ours: JsonObject) -> list[str]:
    before, after = stored.get("states", {}), ours.get("states", {})
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _snapshot(machine: Machine, now: datetime) -> DefinitionSnapshot:
    definition = machine.definition
    return DefinitionSnapshot(
        definition.name, definition.version, fingerprint(definition), definition.to_dict(), created_at=now
    )
