"""The shop as a Litestar application: its own routes for customers, Detent's for everything else, and pages for the staff."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from dishka import FromDishka, Provider, Scope, provide
from dishka.integrations.litestar import inject
from litestar import Litestar, asgi, get, post, put
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import ASGIRouteHandler, BaseRouteHandler
from litestar.params import FromPath, JSONBody
from litestar.types import Receive, Send
from litestar.types import Scope as AsgiScope
from starlette.requests import Request

from detent import Clock, Retry, Settings, TriggerService, WorkflowInstance, WorkflowService
from detent_dashboard import dashboard
from detent_litestar import Controllers, WorkerConfig, WorkflowConfig, WorkflowPlugin
from examples.orders.commands import SendOrderToWarehouse, notify_customer
from examples.orders.gateway import CustomerGateway, RecordingGateway
from examples.orders.returns import gate_open, inspected, note_arrival, returned
from examples.orders.rounds import flow_book, morning_rounds, trigger_book
from examples.orders.shipments import Shipment, Shipments
from examples.orders.storage import Storage
from examples.orders.warehouse import Warehouse
from examples.orders.workflow import order


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a customer sends."""

    customer: str
    address: str


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer sees."""

    id: UUID
    state: str
    customer: str
    payment_status: str
    is_active: bool

    @classmethod
    def of(cls, instance: WorkflowInstance) -> "Order":
        known = instance.context
        return cls(
            instance.id,
            instance.state,
            str(known["customer"]),
            str(known["payment_status"]),
            bool(known["is_active"]),
        )


@post("/orders")
async def place_order(data: JSONBody[NewOrder], workflows: NamedDependency[WorkflowService]) -> Order:
    """Take an order. It waits for its payment."""
    context = {"customer": data.customer, "address": data.address}
    return Order.of(await workflows.create_instance("order", context=context))


@get("/orders/{order_id:uuid}")
async def show_order(order_id: FromPath[UUID], workflows: NamedDependency[WorkflowService]) -> Order:
    """One order as it stands."""
    return Order.of(await workflows.get_instance(order_id))


@post("/orders/{order_id:uuid}/pay")
async def pay_order(order_id: FromPath[UUID], workflows: NamedDependency[WorkflowService]) -> Order:
    """Note that the money has come."""
    result = await workflows.acting(actor="bank").trigger_event(order_id, "PaymentReceived")
    return Order.of(result.instance)


@get("/shipments")
@inject
async def list_shipments(shipments: FromDishka[Shipments]) -> list[Shipment]:
    """Everything that has left the warehouse."""
    return await shipments.all()


@put("/warehouse")
@inject
async def set_warehouse(data: JSONBody[Warehouse], warehouse: FromDishka[Warehouse]) -> Warehouse:
    """Open or close the warehouse. A closed one refuses orders."""
    warehouse.open = data.open
    return warehouse


_THIS_MACHINE = ("127.0.0.1", "::1")


def this_machine_only(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Who may use Detent's own routes. A real shop would ask who is logged in."""
    if connection.client is None or connection.client.host not in _THIS_MACHINE:
        raise PermissionDeniedException("only from the machine that the shop runs on")


def staff_of_this_machine(request: Request, action: str, instance: WorkflowInstance | None) -> bool:
    """Who may use the dashboard, and for what: the same, for all of it."""
    return request.client is not None and request.client.host in _THIS_MACHINE


@dataclass(frozen=True, slots=True)
class Partners:
    """Whom the shop works with."""

    warehouse: Warehouse = field(default_factory=Warehouse)
    gateway: CustomerGateway = field(default_factory=RecordingGateway)


class ShopProvider(Provider):
    """What the shop's commands and routes ask for, besides the database."""

    export = provide(SendOrderToWarehouse, scope=Scope.ACTION)

    def __init__(self, partners: Partners) -> None:
        super().__init__(scope=Scope.APP)
        self._partners = partners

    @provide
    def warehouse(self) -> Warehouse:
        return self._partners.warehouse

    @provide
    def gateway(self) -> CustomerGateway:
        return self._partners.gateway


def create_app(
    storage: Storage,
    *,
    partners: Partners | None = None,
    clock: Clock | None = None,
    sweep_every: timedelta | None = timedelta(seconds=1),
    mermaid: Path | None = None,
) -> Litestar:
    """The application over `storage`. `clock` is for tests. It looks for due timeouts `sweep_every` so often, or never.
    `mermaid` is the file of Mermaid's script, which draws the diagrams of the dashboard.
    """
    flows, triggers = flow_book(), trigger_book()
    plugin = WorkflowPlugin(
        WorkflowConfig(
            store=storage.store,
            definitions=[order, returned, inspected, *triggers.definitions],
            commands=[SendOrderToWarehouse, notify_customer, note_arrival, *triggers.commands],
            guards=[gate_open],
            flows=flows,
            triggers=lambda workflows: TriggerService(workflows, flows, triggers),
            providers=[ShopProvider(partners or Partners()), *storage.providers],
            setup_dishka=True,
            controllers=Controllers(guards=[this_machine_only]),
            worker=WorkerConfig(poll=sweep_every) if sweep_every else "external",
            # A courier who finds the gate closed three times waits for somebody.
            # History shows what each step changed. These customers are made up: real ones may demand to be forgotten.
            settings=Settings(timeout_retry=Retry(attempts=3, initial=timedelta(minutes=1)), record_changes=True),
            clock=clock,
        )
    )

    async def register_rounds() -> None:
        await plugin.triggers.register(morning_rounds)

    return Litestar(
        route_handlers=[place_order, show_order, pay_order, list_shipments, set_warehouse, _pages(plugin, mermaid)],
        plugins=[plugin],
        # Where nothing is looked for, nobody makes rounds.
        on_startup=[register_rounds] if sweep_every else [],
        # How to log is the business of whoever serves it.
        logging_config=None,
    )


def _pages(plugin: WorkflowPlugin, mermaid: Path | None) -> ASGIRouteHandler:
    """The dashboard, under `/ops`."""
    pages = dashboard(
        lambda: plugin.runtime,
        policy=staff_of_this_machine,
        triggers=lambda: plugin.triggers,
        title="The shop",
        mermaid=mermaid,
    )

    @asgi("/ops", is_mount=True, copy_scope=True)
    async def operators(scope: AsgiScope, receive: Receive, send: Send) -> None:
        await pages(scope, receive, send)  # type: ignore[arg-type]  # Litestar spells out what ASGI messages hold

    return operators
