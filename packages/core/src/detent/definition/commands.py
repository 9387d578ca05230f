"""Commands: code that runs on a transition, referred to by name."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Field, StrictBool

from detent.definition.duration import Duration
from detent.definition.named import Named
from detent.definition.part import constructor
from detent.definition.retries import RetryField, RetryLike
from detent.definition.selectors import DotPath, Selector, SelectorLike


def _dropped(_: bool | None) -> None:
    return None


_Dropped = Annotated[StrictBool | None, AfterValidator(_dropped)]


class CommandRef(Named):
    """A command by the name it is registered under: `CommandRef("ship", input={"path": "order"})`."""

    input: Selector | None = None
    """Which part of the context the command is given; all of it where nothing is said."""
    output: DotPath | None = None
    """Where in the context its answer is put."""
    retry: RetryField | None = None
    """How a failed attempt is repeated where a worker runs it; instead of what the registered command says. `"never"` makes
    one attempt at most.
    """
    timeout: Duration | None = Field(default=None, gt=timedelta(0))
    """After what time an attempt by a worker is cancelled; instead of what the registered command says."""
    queue: str | None = Field(default=None, min_length=1, max_length=200)
    """Whose workers take it; instead of what the registered command says."""
    compensate: tuple["CommandRef", ...] = ()
    """Commands that undo this one when a later one of the same event or entry fails, on the way to its `error` target."""
    durable: StrictBool | None = None
    """Whether a worker runs it, outside of the transaction; instead of what the registered command says."""
    transactional: Annotated[StrictBool | None, AfterValidator(_dropped)] = Field(
        default=None, exclude=True, repr=False
    )
    """Read from duraflows definitions and dropped: it matters only for queued execution there."""

    @constructor
    def __init__(
        self,
        name: str,
        *,
        metadata: Mapping[str, Any] | None = None,
        input: SelectorLike | None = None,
        output: str | None = None,
        retry: RetryLike | None = None,
        timeout: timedelta | str | None = None,
        queue: str | None = None,
        compensate: "Sequence[CommandLike]" = (),
        durable: bool | None = None,
    ) -> None:
        super().__init__(
            name=name,
            metadata=metadata,
            input=input,
            output=output,
            retry=retry,
            timeout=timeout,
            queue=queue,
            compensate=compensate,
            durable=durable,
        )


CommandLike: TypeAlias = str | Mapping[str, Any] | CommandRef
"""What may be written where a command is wanted."""
