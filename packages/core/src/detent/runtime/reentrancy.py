"""Notices a command that triggers the instance it runs for, which would wait for its own row lock for ever."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from uuid import UUID

from detent.errors import ReentrantTrigger


@dataclass(slots=True)
class _ActiveStep:
    runtime: object
    instance_id: UUID
    live: bool = True


_active: ContextVar[tuple[_ActiveStep, ...]] = ContextVar("detent_active_steps", default=())


def refuse_reentry(runtime: object, instance_id: UUID) -> None:
    """Raise `ReentrantTrigger` when a step of this very instance is under way around the caller."""
    around = _active.get()
    if around and any(step.live and step.runtime is runtime and step.instance_id == instance_id for step in around):
        raise ReentrantTrigger(instance_id)


def inside_a_step(runtime: object) -> bool:
    """Whether a step of this runtime is under way around the caller."""
    return any(step.live and step.runtime is runtime for step in _active.get())


def outside_steps() -> None:
    """The current task waits for no step, even if one is under way where it was started: an observer's."""
    _active.set(())


@contextmanager
def step_of(runtime: object, instance_id: UUID) -> Iterator[None]:
    """Marks the code inside as part of a step. A task started there that outlives the step is free again."""
    step = _ActiveStep(runtime, instance_id)
    token = _active.set((*_active.get(), step))
    try:
        yield
    finally:
        step.live = False
        _active.reset(token)
