# Made by `detent generate` from report.mmd: do not edit, it is made again when the diagram changes.
# ruff: noqa
# fmt: off
"""The class that runs the workflow `report`; inherit from it and write its methods."""

from abc import abstractmethod
from typing import ClassVar

from detent import WorkflowDefinition
from detent.drawn import Drawing, DrawnWorkflow, Step

from examples.drawn.ex1_retry.report_payloads import FetchPayload, SendPayload


class ReportBase(DrawnWorkflow[FetchPayload]):
    """The workflow `report`."""

    @abstractmethod
    async def fetch(self, payload: FetchPayload, /) -> SendPayload:
        """The work of `fetch`; it answers the payload of `send`."""
        ...

    @abstractmethod
    async def send(self, payload: SendPayload, /) -> None:
        """The work of `send`; then the workflow ends."""
        ...

    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(
        {
            "name": "report",
            "initial_state": "fetch",
            "states": {
                "fetch": {
                    "on_enter": {
                        "target": "send",
                        "commands": [
                            {
                                "name": "report.fetch",
                                "retry": {"attempts": 5, "initial": "0.1s"},
                                "durable": True,
                            },
                        ],
                    },
                },
                "send": {"on_enter": {"target": "end", "commands": [{"name": "report.send", "durable": True}]}},
                "end": {},
            },
        }
    )

    drawing: ClassVar[Drawing] = Drawing(
        source="report.mmd",
        steps=(
            Step("fetch", "report.fetch", "fetch", payload=FetchPayload, answers=SendPayload),
            Step("send", "report.send", "send", payload=SendPayload),
        ),
    )
