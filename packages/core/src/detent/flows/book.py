"""A book of flows: those that an application brings, the handlers they need, and what a runtime has to know of both."""

import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from detent.definition.model import WorkflowDefinition
from detent.errors import RegistrationInvalid
from detent.flows.checks import require_valid, types_of
from detent.flows.ending_waits import EndingWaits
from detent.flows.flow import Flow
from detent.flows.handler import Handlers
from detent.flows.limits import ContextLimits
from detent.flows.lower import flow_in, lower
from detent.flows.names import command_of
from detent.flows.perform import serving
from detent.json_values import JsonObject
from detent.registry.registry import CommandOptions, Registry

logger = logging.getLogger("detent.flows")


class FlowBook:
    """Flows and handlers, checked, and lowered to what a `WorkflowRuntime` takes.

    ```python
    book = FlowBook(flows=[order], handlers=[charge, *detent_handlers.all_handlers()])
    runtime = WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands, adopts=book.adopts)
    ```

    * `flows`: `Flow` objects, or data that `Flow.from_dict` reads.
    * `handlers`: what `@handler` marked, and `Handlers`.
    * `limits`: how large the context of an execution may grow.
    * `queue`: whose workers run the handlers.

    Raises `FlowInvalid` with all problems of a flow, and `RegistrationInvalid`.
    """

    def __init__(
        self,
        *,
        flows: Iterable[Flow | Mapping[str, Any]] = (),
        handlers: Iterable[Any] = (),
        limits: ContextLimits | None = None,
        queue: str = "default",
    ) -> None:
        self.handlers = Handlers(handlers)
        self.limits = limits or ContextLimits()
        self._registry = Registry()
        self._flows: dict[tuple[str, str], Flow] = {}
        self._known: dict[tuple[str, str], Flow] = {}
        self._register(queue)
        for flow in flows:
            self._add(flow if isinstance(flow, Flow) else Flow.from_dict(flow))

    def lowered(self, flow: Flow) -> WorkflowDefinition:
        """The definition of a flow that these handlers can run. Raises `FlowInvalid`; warnings are logged."""
        for problem in require_valid(flow, self.handlers.types):
            logger.warning("flow %r v%s: %s", flow.id, flow.version, problem)
        self._note(flow)
        return lower(flow, self.handlers.types)

    @property
    def flows(self) -> Mapping[tuple[str, str], Flow]:
        """The flows that it was made with, by id and version."""
        return MappingProxyType(self._flows)

    @property
    def definitions(self) -> list[WorkflowDefinition]:
        """Those flows as definitions."""
        return [lower(flow, self.handlers.types) for flow in self._flows.values()]

    @property
    def commands(self) -> list[Registry]:
        """The commands that run the handlers, and those that every flow has beside them."""
        return [self._registry]

    def adopts(self, definition: JsonObject) -> bool:
        """Whether a stored definition is a flow that these handlers can run."""
        metadata = definition.get("metadata")
        flow = flow_in(metadata) if isinstance(metadata, Mapping) else None
        if flow is None or not types_of(flow, self.handlers.types) <= self.handlers.types.keys():
            return False
        self._note(flow)
        return True

    def flow_in(self, definition: WorkflowDefinition) -> Flow | None:
        """The flow that a definition was lowered from; `None` for one that was written as a definition."""
        known = self.flow_of(definition.name, definition.version)
        if known is None and (known := flow_in(definition.metadata)) is not None:
            self._note(known)
        return known

    def flow_of(self, name: str, version: str) -> Flow | None:
        """A flow that was registered, saved or adopted here, for observers; `None` for any other definition."""
        return self._known.get((name, version))

    def _add(self, flow: Flow) -> None:
        if (flow.id, flow.version) in self._flows:
            raise RegistrationInvalid(flow.id, f"version {flow.version} is registered twice")
        self.lowered(flow)
        self._flows[flow.id, flow.version] = flow

    def _note(self, flow: Flow) -> None:
        self._known[flow.id, flow.version] = flow

    def _register(self, queue: str) -> None:
        for type_, spec in self.handlers.types.items():
            command = serving(spec, self.handlers.types, self.limits)
            self._registry.command(command_of(type_), command, CommandOptions(durable=True, queue=queue))
        EndingWaits(self.limits).register(self._registry)
