"""Instruments: told of work while it is under way, because a span has to enclose what it tells of."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias
from uuid import UUID

from detent.json_values import JsonObject

By: TypeAlias = Literal["caller", "timer", "message", "run"]
"""Who takes a transition: whoever called a verb, a deadline that passed, a message that was sent, or a run that ends."""


class Span(Protocol):
    """One piece of work under way. What is raised out of its context made it fail; a refusal is an answer like others."""

    def began(self, *, workflow: str, from_state: str | None) -> None:
        """A transition is possible: the state declares the event. Called again where the step is taken anew."""
        ...

    def took(self, *, outcome: str, to_state: str, run_id: UUID | None = None, replayed: bool = False) -> None:
        """A transition ended without an error; see `TransitionResult`."""
        ...

    def answered(self, *, ok: bool, code: str | None) -> None:
        """A command answered."""
        ...

    def unrecoverable(self) -> None:
        """What is raised next ends the attempts of a run's command: it waits for an operator then."""
        ...


class Instrument(Protocol):
    """Opens spans around what a runtime does, and carries their context to where the work goes on.

    Its methods are called from the event loop, and while due timeouts fire from threads of the store too.
    """

    def transition(
        self, *, workflow: str | None, event: str, instance_id: UUID, by: By
    ) -> AbstractContextManager[Span]:
        """Around one transition, its commit included; around its decision alone where many are committed together.

        `workflow` is `None` while it is not known; `event` is what was asked for, declared or not.
        """
        ...

    def command(
        self,
        *,
        workflow: str,
        state: str,
        command: str,
        instance_id: UUID,
        run_id: UUID | None = None,
        attempt: int = 1,
    ) -> AbstractContextManager[Span]:
        """Around one attempt of one command, of the run `run_id` or inside a transition; `state` is the instance's.

        The carrier of an attempt of a run is kept in the run's journal, and goes on to the run that begins with the end of
        this one.
        """
        ...

    def delivery(
        self, *, workflow: str, topic: str, subscriber: str, delivery_id: UUID, attempt: int
    ) -> AbstractContextManager[Span]:
        """Around one attempt to deliver a published message."""
        ...

    def carrier(self) -> JsonObject:
        """The current trace context as W3C headers, to be stored with work that goes on elsewhere; empty where there is none."""
        ...

    def continued(self, trace: Mapping[str, str]) -> AbstractContextManager[None]:
        """Let the spans inside be children of the one that `trace`, a carrier, came from; an empty one changes nothing."""
        ...


class Silence:
    """A span that nobody hears of."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def began(self, *, workflow: str, from_state: str | None) -> None:
        return None

    def took(self, *, outcome: str, to_state: str, run_id: UUID | None = None, replayed: bool = False) -> None:
        return None

    def answered(self, *, ok: bool, code: str | None) -> None:
        return None

    def unrecoverable(self) -> None:
        return None


SILENCE = Silence()


class Silent:
    """The instrument of a runtime that was given none."""

    def transition(self, *, workflow: str | None, event: str, instance_id: UUID, by: By) -> Silence:
        return SILENCE

    def command(
        self,
        *,
        workflow: str,
        state: str,
        command: str,
        instance_id: UUID,
        run_id: UUID | None = None,
        attempt: int = 1,
    ) -> Silence:
        return SILENCE

    def delivery(self, *, workflow: str, topic: str, subscriber: str, delivery_id: UUID, attempt: int) -> Silence:
        return SILENCE

    def carrier(self) -> JsonObject:
        return {}

    def continued(self, trace: Mapping[str, str]) -> AbstractContextManager[None]:
        return _NOTHING


class _Nothing:
    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


_NOTHING = _Nothing()
