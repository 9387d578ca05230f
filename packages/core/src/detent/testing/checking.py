"""The words by which a test says what its commands answer, and what it expects."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from detent.registry.context import CommandContext
from detent.registry.results import CommandAnswer
from detent.store.records import WorkflowInstance
from detent.store.run_records import Run
from detent.testing.bench import listed
from detent.testing.expectations import (
    ExpectedEntry,
    expect_available,
    expect_called,
    expect_context,
    expect_history,
    expect_refused,
    expect_state,
)
from detent.testing.misuse import check_known
from detent.testing.recorder import Call
from detent.testing.standing import HarnessStanding
from detent.testing.stubs import CommandStub, GuardStub, GuardStubLike, Raised


class HarnessChecks(HarnessStanding):
    """Stubs, and assertions."""

    # -- stubs, and what was called

    def stub(
        self,
        command: str,
        function: Callable[[CommandContext], Any] | None = None,
        *,
        answer: CommandAnswer = None,
        answers: Sequence[CommandAnswer | Raised] | None = None,
        raises: Raised | None = None,
    ) -> None:
        """From now on the command answers `answer`, or `answers` one after another, or what `function` answers, or raises.

        A function gets the `CommandContext`, may write to its context, and may be a coroutine function. An exception among
        `answers` is raised. A real command of that name is no longer called. Raises `HarnessMisused` for an unknown name.
        """
        self._bench.standins.stub_command(
            CommandStub(command, function, answer=answer, answers=answers, raises=raises), command
        )

    def stub_guard(self, guard: str, answer: GuardStubLike) -> None:
        """From now on the guard answers `answer`: `True`, `False`, `Refuse("why")`, an exception to raise, or a plain function
        of the `GuardContext`. Raises `HarnessMisused` for an unknown name.
        """
        self._bench.standins.stub_guard(GuardStub(guard, answer), guard)

    def calls(self, command: str | None = None) -> Sequence[Call]:
        """The calls of a command, real or stub, or of all commands, in the order they began.

        Calls of steps that were rolled back are among them, and each attempt of a durable command. Raises `HarnessMisused` for
        an unknown name.
        """
        if command is not None:
            self._bench.standins.check_command(command)
        return self._bench.standins.recorder.calls(command)

    def assert_called(self, command: str, *, times: int | None = None) -> Sequence[Call]:
        """The calls of a command, which are `times` many, or at least one where nothing is said."""
        calls = self.calls(command)
        expect_called(command, times, calls, self.calls())
        return calls

    def assert_not_called(self, command: str) -> None:
        """Raise `AssertionError` where the command was called."""
        self.assert_called(command, times=0)

    # -- what is expected

    async def assert_state(self, expected: str) -> None:
        """Raise `AssertionError` where the current instance is in another state; `HarnessMisused` for one that is declared
        nowhere. Where a run is under way, the message says what it waits for and why.
        """
        instance = await self.refresh()
        definition = self._bench.definition_of(instance)
        check_known("state", expected, definition.states, f"workflow {definition.name!r}")
        expect_state(expected, instance, self.history, self._run)

    async def assert_context(self, expected: Mapping[str, Any] | None = None, /, **values: Any) -> None:
        """Raise `AssertionError` where the context differs: `assert_context(paid=True)`, `assert_context({"a.b": 1})`.

        Keys are dotted paths, a number stepping into a list; what is not named does not matter.
        """
        instance = await self.refresh()
        expect_context({**(expected or {}), **values}, instance.context, self.history, self._run)

    async def assert_refused(self, event: str | None = None, *, reason: str | None = None) -> None:
        """Raise `AssertionError` unless the last thing that happened is that a guard refused `event`.

        `reason` is a part of the reason's text.
        """
        instance = await self.refresh()
        if event is not None:
            self._check_event(instance, event)
        expect_refused(event, reason, self.history)

    async def assert_history(self, expected: Sequence[ExpectedEntry]) -> None:
        """Raise `AssertionError` unless these events are the history, the oldest first: names, `(event, to_state)` pairs, or
        `(event, to_state, outcome)`.

        Refused and failed attempts are among them. Events whose names start with `$`, such as `$created` and `$on_enter`, are
        only where `expected` names one of them. An event that was accepted counts once it has ended; that it was accepted
        is an entry of its own only where `expected` names that outcome: `("pay", "new", "accepted")`.
        """
        await self.refresh()
        expect_history(listed("the expected history", expected), self.history, self._run)

    async def assert_available(self, *expected: str, only: bool = False) -> None:
        """Raise `AssertionError` where one of these events would not pass now; with `only`, also where another would.

        Guards are asked as for an event without payload and subject.
        """
        instance = await self.refresh()
        for event in expected:
            self._check_event(instance, event)
        found = await self._bench.runtime.get_available_events(instance.id)
        expect_available(expected, found, instance, only=only)

    # -- what is not said aloud

    @property
    def _run(self) -> Run | None:
        return self._bench.journal.run(self.instance.id)

    def _check_event(self, instance: WorkflowInstance, event: str) -> None:
        definition = self._bench.definition_of(instance)
        known = dict.fromkeys(name for state in definition.states.values() for name in state.events)
        check_known("event", event, known, f"workflow {definition.name!r}")
