"""A class made of a diagram in an application: registered by its lists, made by the container, submitted by a handler."""

from collections.abc import Callable

from dishka import Provider, Scope
from litestar import Litestar, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from detent import MemoryStore, WorkflowService
from detent_litestar import WorkflowConfig, WorkflowPlugin
from examples.conditions.conditions_base import ChoiceDecision, ConditionsBase
from examples.conditions.conditions_payloads import DecidePayload, LeftPayload, RightPayload
from packages.litestar.tests.conftest import Serve


class Ledger:
    """Where the steps write what they did."""

    def __init__(self) -> None:
        self.lines: list[str] = []


class Conditions(ConditionsBase):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def decide(self, payload: DecidePayload) -> ChoiceDecision:
        self._ledger.lines.append("decide")
        return self.choice.choose_left({"even": payload["number"]})

    async def left(self, payload: LeftPayload) -> None:
        self._ledger.lines.append(f"left {payload['even']}")

    async def right(self, payload: RightPayload) -> None:
        raise AssertionError(payload)


@post("/numbers/{number:int}")
async def submit(number: FromPath[int], workflows: NamedDependency[WorkflowService]) -> str:
    handle = await Conditions.submit(workflows, {"number": number}, key=f"number {number}")
    return str(handle.id)


async def test_a_drawn_class_runs_in_an_application(serve: Serve, configured: Callable[..., WorkflowConfig]) -> None:
    ledger = Ledger()
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: ledger, provides=Ledger)
    provider.provide(Conditions, scope=Scope.REQUEST)
    plugin = WorkflowPlugin(
        configured(
            store=MemoryStore(),
            definitions=Conditions.definitions,
            commands=Conditions.commands,
            guards=[],
            providers=[provider],
            controllers=None,
        )
    )
    app = Litestar(route_handlers=[submit], logging_config=None, plugins=[plugin])
    async with serve(app) as client:
        first, again = [(await client.post("/numbers/4")).text for _ in range(2)]
        assert first == again
        await plugin.runtime.process_runs()
        await plugin.runtime.process_runs()
        assert (await plugin.runtime.get_handle(first).get_instance()).status == "completed"
    assert ledger.lines == ["decide", "left 4"]
