"""Stubs: what a command or guard answers in a test instead of doing its work."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from detent.registry.context import CommandContext, GuardContext
from detent.registry.results import CommandAnswer, GuardAnswer, Refuse
from detent.testing.misuse import HarnessMisused

Raised: TypeAlias = BaseException | type[BaseException]
"""An exception or its class."""
GuardStubLike: TypeAlias = bool | Refuse | Raised | Callable[[GuardContext], GuardAnswer]
"""What a stubbed guard may be told to answer."""


class CommandStub:
    """Answers for a command: always one thing, several in order, a function's, or an exception. Exactly one of them."""

    def __init__(
        self,
        name: str,
        function: Callable[[CommandContext], Any] | None = None,
        *,
        answer: CommandAnswer = None,
        answers: Sequence[CommandAnswer | Raised] | None = None,
        raises: Raised | None = None,
    ) -> None:
        if sum(given is not None for given in (function, answer, answers, raises)) > 1:
            raise HarnessMisused(f"the stub of {name!r} is told several things", hint="give one of them")
        if function is not None and not callable(function):
            raise HarnessMisused(
                f"the stub of {name!r} is a {type(function).__name__}, not a function", hint="write answer=..."
            )
        self._name = name
        self._function = function
        self._always: CommandAnswer | Raised = raises if raises is not None else answer
        self._answers = None if answers is None else list(answers)
        self._asked = 0

    async def __call__(self, ctx: CommandContext) -> Any:
        """The answer that is due; raised where it is an exception."""
        if self._function is not None:
            answer = self._function(ctx)
            return await answer if inspect.isawaitable(answer) else answer
        return _given(self._always if self._answers is None else self._next())

    def _next(self) -> CommandAnswer | Raised:
        answers = self._answers or []
        self._asked += 1
        if self._asked > len(answers):
            raise HarnessMisused(
                f"the stub of {self._name!r} is asked for the {self._asked}. time and has {len(answers)} answers",
                hint="give it more answers, or answer= for always the same",
            )
        return answers[self._asked - 1]


class GuardStub:
    """Answers for a guard, always the same or a plain function's."""

    def __init__(self, name: str, answer: GuardStubLike) -> None:
        if inspect.iscoroutinefunction(answer):
            raise HarnessMisused(f"the stub of guard {name!r} is a coroutine function", hint="use a plain function")
        if not isinstance(answer, bool | Refuse | BaseException) and not callable(answer):
            raise HarnessMisused(f"guard {name!r} cannot answer {answer!r}", hint="give True, False or Refuse('why')")
        self._answer: Any = answer

    def __call__(self, ctx: GuardContext) -> Any:
        """The answer; raised where it is an exception."""
        answer = _given(self._answer)
        return answer(ctx) if callable(answer) else answer


def _given(answer: Any) -> Any:
    if isinstance(answer, BaseException) or (isinstance(answer, type) and issubclass(answer, BaseException)):
        raise answer
    return answer
