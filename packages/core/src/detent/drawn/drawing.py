"""A diagram as the generated class holds it, beside its definition: which method does the work of which state."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from detent.drawn.decision import Decision


@dataclass(frozen=True, slots=True)
class Step:
    """A state that does something, and the method that does it."""

    state: str
    command: str
    """The durable command of the definition that calls the method: `WORKFLOW.STATE`."""
    method: str
    payload: object
    """What the method is given: a pydantic model, which is validated, or another type, which is for type checkers alone."""
    answers: object = None
    """What it answers: the payload of the state it leads to, or its kind of `Decision`; `None` where that is the end."""

    @property
    def decides(self) -> type[Decision] | None:
        """The kind of decision it answers; `None` where there is one way on."""
        is_decision = isinstance(self.answers, type) and issubclass(self.answers, Decision)
        return self.answers if is_decision else None  # type: ignore[return-value]  # what `issubclass` has just said


@dataclass(frozen=True, slots=True)
class Drawing:
    """What methods a diagram asks for."""

    source: str
    """The file of the diagram, as seen from the generated one."""
    steps: tuple[Step, ...]
    idle: Mapping[str, str] = field(default_factory=dict)
    """The states that do nothing, by what a method for each would be called."""
