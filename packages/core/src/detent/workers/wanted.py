"""Which waiting runs somebody asks for, as callers write it and as a store takes it."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from detent.definition.model import WorkflowDefinition
from detent.errors import InvalidValue
from detent.problems import did_you_mean
from detent.runtime.machines import Machines
from detent.store.run_records import FetchStrategy


class Defined(Protocol):
    """What has a definition: a class that was generated from a drawing, for one."""

    @property
    def definition(self) -> WorkflowDefinition:
        """The workflow that it is about."""
        ...


WorkflowType: TypeAlias = str | WorkflowDefinition | Defined
"""A workflow by its name, by its definition, or by a class that has one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What fits: runs of these workflows, that began in these states."""

    workflows: tuple[str, ...]
    states: tuple[str, ...] | None

    @classmethod
    def of(cls, machines: Machines, kind: WorkflowType | None, step: str | None) -> "Wanted":
        """What fits `kind`, any workflow that can run here for `None`, and `step`, any state for `None`.

        Raises `UnknownWorkflow`, `WorkflowUnavailable`, and `InvalidValue` where no version that is known here has such a state.
        """
        names = tuple(machines.available) if kind is None else (_name_of(kind),)
        if kind is not None:
            machines.latest(names[0])
            machines.require_available(names[0])
        if step is None:
            return cls(names, None)
        states = machines.states_of(names)
        if step not in states:
            hint = did_you_mean(str(step), sorted(states))
            raise InvalidValue("step", f"is {step!r}, which is no state of {_told(names)}", hint=hint)
        return cls(names, (step,))


def strategy_of(strategy: FetchStrategy | str) -> FetchStrategy:
    """The strategy that is meant. Raises `InvalidValue`."""
    try:
        return FetchStrategy(strategy)
    except ValueError:
        hint = did_you_mean(str(strategy), list(FetchStrategy))
        raise InvalidValue("strategy", f"is {strategy!r}", hint=hint) from None


def _name_of(kind: WorkflowType) -> str:
    if isinstance(kind, str):
        return kind
    definition = kind if isinstance(kind, WorkflowDefinition) else getattr(kind, "definition", None)
    if not isinstance(definition, WorkflowDefinition):
        raise InvalidValue(
            "type", f"is {kind!r}", hint="pass the name of a workflow, its definition, or a class that has one"
        )
    return definition.name


def _told(names: tuple[str, ...]) -> str:
    return f"workflow {names[0]!r}" if len(names) == 1 else "any workflow here"
