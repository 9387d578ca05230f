"""Definition and registry become a machine, once per version, or a list of problems."""

from collections.abc import Iterable, Iterator, Mapping

from detent.definition.commands import CommandRef
from detent.definition.data_model import DataModel
from detent.definition.event import Event
from detent.definition.fingerprint import fingerprint
from detent.definition.guards import AllOf, AnyOf, GuardExpression, GuardRef, Not
from detent.definition.model import WorkflowDefinition
from detent.definition.validate import validate
from detent.errors import DefinitionInvalid
from detent.machine.engine import CommandStep, Edge, Engine
from detent.machine.forks import OWN_COMMANDS, with_forks_lowered
from detent.machine.machine import Entry, Machine
from detent.machine.paths import locked_paths
from detent.machine.values import SchemaSupportMissing, ValueCheck, value_check
from detent.machine.verdicts import All, Either, Expression, GuardStep, Negation, steps_of
from detent.problems import Problem
from detent.registry.registry import CommandSpec, GuardSpec, Registry
from detent.registry.signature import Source


def compile_definition(definition: WorkflowDefinition, registry: Registry) -> Machine:
    """The machine of `definition`, its names bound to what `registry` holds.

    Raises `DefinitionInvalid` with every problem: those of the definition itself, names that are not registered, and schemas
    that nothing installed can check.
    """
    durable = {name for name, spec in registry.commands.items() if spec.options.durable}
    found = validate(definition, commands=registry.commands, guards=registry.guards, durable=durable)
    problems = [problem for problem in found if problem.severity == "error"] + list(_schema_problems(definition))
    if problems:
        raise DefinitionInvalid(definition.name, problems, version=definition.version)
    return _Compiler(definition, registry).machine()


class _Compiler:
    """Holds what one compilation shares: the registry, and the guards numbered as they are met."""

    def __init__(self, definition: WorkflowDefinition, registry: Registry) -> None:
        self.definition = definition
        self.lowered = with_forks_lowered(definition)
        self.registry = registry
        self.guard_count = 0

    def machine(self) -> Machine:
        edges = [
            edge
            for state, declared in self.lowered.states.items()
            for name, event in declared.events.items()
            for edge in self._edges(state, name, event)
        ]
        return Machine(
            definition=self.definition,
            fingerprint=fingerprint(self.definition),
            engine=Engine(list(self.definition.states), edges, self.definition.initial_state),
            taken={name: state.events for name, state in self.lowered.states.items()},
            entries=self._entries(),
            commands={
                (state, name): self._commands(event.commands)
                for state, declared in self.lowered.states.items()
                for name, event in declared.events.items()
            },
            firing={
                state: [(name, event.timeout) for name, event in declared.events.items() if event.timeout is not None]
                for state, declared in self.definition.states.items()
            },
            forking=frozenset(name for name, state in self.definition.states.items() if state.fork),
            finals={
                state: declared.outcome or "success"
                for state, declared in self.definition.states.items()
                if declared.terminal
            },
            locked=locked_paths(self.lowered, _guards_by_event(edges), self._needs_worker),
            context_check=self._check(self.definition.context_model),
            payload_checks=self._payload_checks(),
        )

    def _edges(self, state: str, name: str, event: Event) -> Iterator[Edge]:
        own = () if event.guard is None else (self._expression(event.guard),)
        commands = self._commands(event.commands)
        for branch in event.branches:
            yield Edge(state, name, branch.target, (*own, self._expression(branch.guard)), commands)
        if event.target is not None or not event.branches:
            target = None if event.internal else (event.target or state)
            yield Edge(state, name, target, own, commands)

    def _commands(self, refs: Iterable[CommandRef]) -> tuple[CommandStep, ...]:
        return tuple(CommandStep(ref, self._spec(ref.name), self._commands(ref.compensate)) for ref in refs)

    def _spec(self, name: str) -> CommandSpec:
        return OWN_COMMANDS.get(name) or self.registry.commands[name]

    def _needs_worker(self, refs: Iterable[CommandRef]) -> bool:
        return any(step.needs_worker for step in self._commands(refs))

    def _expression(self, written: GuardExpression) -> Expression:
        match written:
            case GuardRef():
                return self._guard(written)
            case AllOf():
                return All(tuple(self._expression(part) for part in written.all_of))
            case AnyOf():
                return Either(tuple(self._expression(part) for part in written.any_of))
            case Not():
                return Negation(self._expression(written.not_))

    def _guard(self, ref: GuardRef) -> GuardStep:
        spec = self.registry.guards[ref.name]
        step = GuardStep(self.guard_count, ref.name, ref.metadata, spec, _cannot_be_asked_in_place(spec))
        self.guard_count += 1
        return step

    def _entries(self) -> Mapping[str, Entry]:
        return {
            name: Entry(self._commands(state.on_enter.commands), state.on_enter.target, state.on_enter.error)
            for name, state in self.lowered.states.items()
            if state.on_enter is not None and (state.on_enter.commands or state.on_enter.target)
        }

    def _payload_checks(self) -> Mapping[tuple[str, str], ValueCheck]:
        checks = {
            (state, name): self._check(event.payload)
            for state, declared in self.definition.states.items()
            for name, event in declared.events.items()
        }
        return {key: check for key, check in checks.items() if check is not None}

    def _check(self, declared: DataModel | None) -> ValueCheck | None:
        return None if declared is None else value_check(declared)


def _guards_by_event(edges: Iterable[Edge]) -> Mapping[tuple[str, str], list[GuardStep]]:
    guards: dict[tuple[str, str], list[GuardStep]] = {}
    for edge in edges:
        steps = [step for condition in edge.conditions for step in steps_of(condition)]
        guards.setdefault((edge.source, edge.event), []).extend(steps)
    return guards


def _cannot_be_asked_in_place(spec: GuardSpec) -> bool:
    injected = any(parameter.source is Source.INJECTED for parameter in spec.signature.parameters)
    return spec.signature.is_async or injected or bool(spec.constructor)


def _schema_problems(definition: WorkflowDefinition) -> Iterator[Problem]:
    for path, declared in _data_models(definition):
        try:
            value_check(declared)
        except SchemaSupportMissing:
            yield Problem(
                path,
                "schema_support_missing",
                "a JSON Schema is declared, and nothing is installed that can check it",
                "install detent[schema], or declare a pydantic model",
            )


def _data_models(definition: WorkflowDefinition) -> Iterator[tuple[str, DataModel]]:
    if definition.context_model is not None:
        yield "context_model", definition.context_model
    for name, state in definition.states.items():
        for event_name, event in state.events.items():
            if event.payload is not None:
                yield f"states.{name}.events.{event_name}.payload", event.payload
