"""What becomes of a trip: a saga of three bookings, an approval, and two vouchers, each a workflow of its own."""

from detent import Event, OnEnter, State, WorkflowDefinition

PARTS = ("flight", "hotel", "car")

trip = WorkflowDefinition(
    name="trip",
    initial_state="planned",
    publish="trip",
    states={
        "planned": State(
            events={
                "book": Event(
                    target="booked",
                    error="called_off",
                    commands=[
                        *({"name": f"book_{part}", "output": part, "compensate": [f"cancel_{part}"]} for part in PARTS),
                        "note_booking",
                    ],
                )
            }
        ),
        "booked": State(
            events={
                "approve": Event(target="issuing", commands=["order_vouchers"]),
                "lapse": Event(target="lapsed", timeout="3d", commands=["strike_booking", "cancel_everything"]),
            }
        ),
        "issuing": State(events={"vouchers_printed": Event(target="ready", commands=["collect_vouchers"])}),
        "ready": State(),
        "lapsed": State(outcome="cancelled"),
        "called_off": State(outcome="failure"),
    },
)

voucher = WorkflowDefinition(
    name="voucher",
    initial_state="ordered",
    states={
        "ordered": State(on_enter=OnEnter(commands=[{"name": "print_voucher", "output": "sheet"}], target="printed")),
        "printed": State(),
    },
)
