"""The life of an order, from the first click to the file that is closed two weeks after delivery."""

from detent import Event, OnEnter, State, WorkflowDefinition

order = WorkflowDefinition(
    name="order",
    initial_state="new",
    states={
        "new": State(
            context={"payment_status": "pending", "is_active": True},
            events={"PaymentReceived": Event(target="exportable"), "Cancel": Event(target="cancelled")},
        ),
        "exportable": State(
            context={"payment_status": "paid"},
            events={
                "Export": Event(target="exported", error="export_failed", commands=["send_order_to_warehouse"]),
            },
        ),
        "exported": State(
            context={"shipment_status": "shipped"},
            on_enter=OnEnter(commands=["notify_customer"], target="in_transit"),
        ),
        "in_transit": State(events={"Deliver": Event(target="delivered")}),
        "delivered": State(
            context={"shipment_status": "delivered", "is_active": False},
            events={"TimeOut": Event(target="closed", timeout="14d")},
        ),
        "export_failed": State(events={"RetryExport": Event(target="exportable")}),
        "closed": State(),
        "cancelled": State(context={"is_active": False}, outcome="cancelled"),
    },
)
