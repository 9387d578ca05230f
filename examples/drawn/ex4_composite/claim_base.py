# Made by `detent generate` from claim.mmd: do not edit, it is made again when the diagram changes.
# ruff: noqa
# fmt: off
"""The class that runs the workflow `claim`; inherit from it and write its methods."""

from abc import abstractmethod
from typing import ClassVar, final

from detent import WorkflowDefinition
from detent.drawn import Decision, Drawing, DrawnWorkflow, Options, Step

from examples.drawn.ex4_composite.claim_payloads import (
    AnswerPayload,
    ExpertPayload,
    FormalPayload,
    RegisterPayload,
    SettlePayload,
)


@final
class FoundDecision(Decision):
    """What was decided on at `found`. Only `self.found` makes one."""


@final
class FoundOptions(Options):
    """The ways out of `found`."""

    def large(self, payload: AnswerPayload, /) -> FoundDecision:
        """`large`: go on to `answer`."""
        return self._decided(FoundDecision, "large", payload)

    def small(self, payload: SettlePayload, /) -> FoundDecision:
        """`small`: go on to `settle`."""
        return self._decided(FoundDecision, "small", payload)


class ClaimBase(DrawnWorkflow[RegisterPayload]):
    """The workflow `claim`."""

    found: ClassVar[FoundOptions] = FoundOptions()
    """What the work before `found` decides by."""

    @abstractmethod
    async def register(self, payload: RegisterPayload, /) -> FormalPayload:
        """The work of `register`; it answers the payload of `formal`."""
        ...

    @abstractmethod
    async def formal(self, payload: FormalPayload, /) -> ExpertPayload:
        """The work of `formal`; it answers the payload of `expert`."""
        ...

    @abstractmethod
    async def expert(self, payload: ExpertPayload, /) -> FoundDecision:
        """The work of `expert`; it decides by `self.found`."""
        ...

    @abstractmethod
    async def answer(self, payload: AnswerPayload, /) -> None:
        """The work of `answer`; then the workflow ends."""
        ...

    @abstractmethod
    async def settle(self, payload: SettlePayload, /) -> AnswerPayload:
        """The work of `settle`; it answers the payload of `answer`."""
        ...

    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(
        {
            "name": "claim",
            "initial_state": "register",
            "states": {
                "register": {"on_enter": {"target": "formal", "commands": [{"name": "claim.register", "durable": True}]}},
                "formal": {"on_enter": {"target": "expert", "commands": [{"name": "claim.formal", "durable": True}]}},
                "expert": {
                    "events": {"large": {"target": "answer"}, "small": {"target": "settle"}},
                    "on_enter": {"commands": [{"name": "claim.expert", "durable": True}]},
                },
                "answer": {"on_enter": {"target": "end", "commands": [{"name": "claim.answer", "durable": True}]}},
                "settle": {"on_enter": {"target": "answer", "commands": [{"name": "claim.settle", "durable": True}]}},
                "end": {},
            },
        }
    )

    drawing: ClassVar[Drawing] = Drawing(
        source="claim.mmd",
        steps=(
            Step("register", "claim.register", "register", payload=RegisterPayload, answers=FormalPayload),
            Step("formal", "claim.formal", "formal", payload=FormalPayload, answers=ExpertPayload),
            Step("expert", "claim.expert", "expert", payload=ExpertPayload, answers=FoundDecision),
            Step("answer", "claim.answer", "answer", payload=AnswerPayload),
            Step("settle", "claim.settle", "settle", payload=SettlePayload, answers=AnswerPayload),
        ),
    )
