# Made by `detent generate` from conditions.mmd: do not edit, it is made again when the diagram changes.
# ruff: noqa
# fmt: off
"""The class that runs the workflow `ConditionsWorkflow`; inherit from it and write its methods."""

from abc import abstractmethod
from typing import ClassVar, final

from detent import WorkflowDefinition
from detent.drawn import Decision, Drawing, DrawnWorkflow, Options, Step

from examples.conditions.conditions_payloads import DecidePayload, LeftPayload, RightPayload


@final
class ChoiceDecision(Decision):
    """What was decided on at `choice`. Only `self.choice` makes one."""


@final
class ChoiceOptions(Options):
    """The ways out of `choice`."""

    def choose_left(self, payload: LeftPayload, /) -> ChoiceDecision:
        """`chooseLeft`: go on to `left`."""
        return self._decided(ChoiceDecision, "chooseLeft", payload)

    def choose_right(self, payload: RightPayload, /) -> ChoiceDecision:
        """`chooseRight`: go on to `right`."""
        return self._decided(ChoiceDecision, "chooseRight", payload)


class ConditionsBase(DrawnWorkflow[DecidePayload]):
    """The workflow `ConditionsWorkflow`."""

    choice: ClassVar[ChoiceOptions] = ChoiceOptions()
    """What the work before `choice` decides by."""

    @abstractmethod
    async def decide(self, payload: DecidePayload, /) -> ChoiceDecision:
        """The work of `decide`; it decides by `self.choice`."""
        ...

    @abstractmethod
    async def left(self, payload: LeftPayload, /) -> None:
        """The work of `left`; then the workflow ends."""
        ...

    @abstractmethod
    async def right(self, payload: RightPayload, /) -> None:
        """The work of `right`; then the workflow ends."""
        ...

    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(
        {
            "name": "ConditionsWorkflow",
            "initial_state": "decide",
            "states": {
                "decide": {
                    "events": {"chooseLeft": {"target": "left"}, "chooseRight": {"target": "right"}},
                    "on_enter": {"commands": [{"name": "ConditionsWorkflow.decide", "durable": True}]},
                },
                "left": {
                    "on_enter": {"target": "end", "commands": [{"name": "ConditionsWorkflow.left", "durable": True}]},
                },
                "right": {
                    "on_enter": {"target": "end", "commands": [{"name": "ConditionsWorkflow.right", "durable": True}]},
                },
                "end": {},
            },
        }
    )

    drawing: ClassVar[Drawing] = Drawing(
        source="conditions.mmd",
        steps=(
            Step("decide", "ConditionsWorkflow.decide", "decide", payload=DecidePayload, answers=ChoiceDecision),
            Step("left", "ConditionsWorkflow.left", "left", payload=LeftPayload),
            Step("right", "ConditionsWorkflow.right", "right", payload=RightPayload),
        ),
    )
