"""A workflow with a bit of everything."""

from datetime import timedelta

from detent import Fail, Refuse, Retry, WorkflowDefinition, command, guard

ORDER = WorkflowDefinition.from_dict(
    {
        "name": "order",
        "initial_state": "new",
        "publish": "order",
        "states": {
            "new": {
                "events": {
                    "pay": {"target": "paid", "error": "failed", "commands": ["charge", "note"]},
                    "book_later": {"target": "paid", "commands": ["charge"]},
                    "settle": {"target": "paid"},
                    "book": {"target": "paid", "commands": ["note"]},
                    "decline": {"target": "paid", "error": "failed", "commands": ["refuse_card"]},
                    "burst": {"target": "paid", "commands": ["burst"]},
                    "approve": {"target": "paid", "guard": "never"},
                    "lapse": {"target": "failed", "timeout": "1h"},
                    "remind": {"commands": ["note"], "timeout": "30m", "internal": True},
                }
            },
            "paid": {"outcome": "success"},
            "failed": {"outcome": "failure"},
        },
    }
)

CHAIN = WorkflowDefinition.from_dict(
    {
        "name": "chain",
        "initial_state": "one",
        "states": {
            "one": {"on_enter": {"target": "two", "commands": ["one"]}},
            "two": {"on_enter": {"target": "three", "commands": ["two"]}},
            "three": {"on_enter": {"target": "done", "commands": ["three"]}},
            "done": {},
        },
    }
)
LETTER = WorkflowDefinition.from_dict(
    {
        "name": "letter",
        "initial_state": "new",
        "states": {"new": {"events": {"post": {"target": "posted", "commands": ["send"]}}}, "posted": {}},
    }
)


@command("note")
async def note(ctx):
    ctx.context["noted"] = True


@command("refuse_card")
async def refuse_card(ctx):
    return Fail("card_declined", "no money")


@command("burst")
async def burst(ctx):
    raise RuntimeError("a pipe burst")


@guard("never")
def never(ctx):
    return Refuse("not today")


def charging(*answers):
    """A durable command that answers or raises these, one per attempt."""
    left = list(answers)

    @command("charge", durable=True, retry=Retry(attempts=3, initial=timedelta(minutes=1), jitter=0))
    async def charge(ctx):
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return charge


def everything(*answers):
    return {"commands": [note, refuse_card, burst, charging(*answers)], "guards": [never]}
