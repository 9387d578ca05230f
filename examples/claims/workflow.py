"""What becomes of a claim."""

from detent import Event, GuardContext, OnEnter, Refuse, State, WorkflowDefinition, guard

LIMIT = 10_000
"""Up to how many euros one assessor may approve."""


@guard("within_limit")
def within_limit(ctx: GuardContext) -> bool | Refuse:
    """Whether one assessor may approve it alone."""
    return ctx.context["amount"] <= LIMIT or Refuse(f"claims over {LIMIT} euros need a second assessor")


claim = WorkflowDefinition(
    name="claim",
    initial_state="received",
    states={
        "received": State(on_enter=OnEnter(commands=["assign_assessor"], target="filed")),
        "filed": State(
            events={
                "approve": Event(
                    target="approved",
                    guard="within_limit",
                    commands=["book_payment"],
                    payload={
                        "type": "object",
                        "properties": {"reference": {"type": "string"}},
                        "required": ["reference"],
                    },
                ),
                "reject": Event(target="rejected"),
            }
        ),
        "approved": State(on_enter=OnEnter(commands=["transfer_money", "settle_payment"], target="paid")),
        "paid": State(),
        "rejected": State(outcome="failure"),
    },
)
