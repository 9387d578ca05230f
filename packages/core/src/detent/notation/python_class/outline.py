"""The class that a diagram asks for, before it is written down: its methods, its choices, its payloads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from detent.definition.model import WorkflowDefinition


@dataclass(frozen=True, slots=True)
class Option:
    """One way out of a choice."""

    method: str
    event: str | None
    """`None` for the way without a label."""
    target: str
    payload: str | None
    """The type of what it takes; `None` on the way to an end."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What some states decide on."""

    name: str
    attribute: str
    type: str
    """What the names of its types begin with."""
    options: tuple[Option, ...]

    @property
    def decision(self) -> str:
        """The type of a decision."""
        return f"{self.type}Decision"

    @property
    def options_type(self) -> str:
        """The type whose methods make them."""
        return f"{self.type}Options"


@dataclass(frozen=True, slots=True)
class StepOutline:
    """A state that does work."""

    state: str
    method: str
    payload: str
    choice: Choice | None
    answers: str | None
    """The type of what it answers; `None` where it leads to an end."""
    leads: str
    """What follows, in words."""
    description: str | None


@dataclass(frozen=True, slots=True)
class PayloadOutline:
    """A type of payload: of a state that is no end, or what a branch ends with."""

    type: str
    told: str
    """What it is for."""
    bases: tuple[str, ...] = ()
    """The types whose fields it has, too."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Fields that the diagram gives, each a type of payload."""


@dataclass(frozen=True, slots=True)
class Outline:
    """All of it, in order of reach from the start."""

    definition: WorkflowDefinition
    class_name: str
    """What the user's class is called."""
    first_payload: str
    steps: tuple[StepOutline, ...]
    choices: tuple[Choice, ...]
    payloads: tuple[PayloadOutline, ...]
    """Those that others are made of first."""
    idle: Mapping[str, str]
    """The states without work, by what a method of each would be called."""

    @property
    def base(self) -> str:
        """What the generated class is called."""
        return f"{self.class_name}Base"

    @property
    def decided(self) -> dict[str, frozenset[str]]:
        """The events that the work of each state decides for."""
        return {
            step.state: frozenset(option.event for option in step.choice.options if option.event is not None)
            for step in self.steps
            if step.choice is not None
        }
