# Made by `detent generate` from countdown.mmd: do not edit, it is made again when the diagram changes.
# ruff: noqa
# fmt: off
"""The class that runs the workflow `countdown`; inherit from it and write its methods."""

from abc import abstractmethod
from typing import ClassVar, final

from detent import WorkflowDefinition
from detent.drawn import Decision, Drawing, DrawnWorkflow, Options, Step

from examples.drawn.ex2_loop.countdown_payloads import CountDownPayload, LiftOffPayload


@final
class DecisionDecision(Decision):
    """What was decided on at `decision`. Only `self.decision` makes one."""


@final
class DecisionOptions(Options):
    """The ways out of `decision`."""

    def not_yet(self, payload: CountDownPayload, /) -> DecisionDecision:
        """`not yet`: go on to `countDown`."""
        return self._decided(DecisionDecision, "not yet", payload)

    def zero(self, payload: LiftOffPayload, /) -> DecisionDecision:
        """`zero`: go on to `liftOff`."""
        return self._decided(DecisionDecision, "zero", payload)


class CountdownBase(DrawnWorkflow[CountDownPayload]):
    """The workflow `countdown`."""

    decision: ClassVar[DecisionOptions] = DecisionOptions()
    """What the work before `decision` decides by."""

    @abstractmethod
    async def count_down(self, payload: CountDownPayload, /) -> DecisionDecision:
        """The work of `countDown`; it decides by `self.decision`."""
        ...

    @abstractmethod
    async def lift_off(self, payload: LiftOffPayload, /) -> None:
        """The work of `liftOff`; then the workflow ends."""
        ...

    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(
        {
            "name": "countdown",
            "initial_state": "countDown",
            "states": {
                "countDown": {
                    "events": {"not yet": {"target": "countDown"}, "zero": {"target": "liftOff"}},
                    "on_enter": {"commands": [{"name": "countdown.countDown", "durable": True}]},
                },
                "liftOff": {"on_enter": {"target": "end", "commands": [{"name": "countdown.liftOff", "durable": True}]}},
                "end": {},
            },
        }
    )

    drawing: ClassVar[Drawing] = Drawing(
        source="countdown.mmd",
        steps=(
            Step("countDown", "countdown.countDown", "count_down", payload=CountDownPayload, answers=DecisionDecision),
            Step("liftOff", "countdown.liftOff", "lift_off", payload=LiftOffPayload),
        ),
    )
