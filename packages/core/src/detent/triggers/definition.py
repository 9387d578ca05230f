"""The workflow whose instances are triggers: what may happen to one, and when its next tick is due.

A trigger is an instance, so that nothing else has to be kept or kept going: what it does is its context, a tick is its timeout,
which fires once however many workers look for it, and the log of its invocations is its history.
"""

from detent.definition.commands import CommandRef
from detent.definition.event import Event
from detent.definition.model import WorkflowDefinition
from detent.definition.state import OnEnter, State
from detent.definition.timeout import Timeout

WORKFLOW = "detent.trigger"
"""The name of the workflow."""
NEW, ENABLED, PAUSED, DISABLED, DELETED = "new", "enabled", "paused", "disabled", "deleted"
"""The states of a trigger."""
FIRE, TICK, BACKFILL, REJECT = "fire", "tick", "backfill", "reject"
"""What the invocation log is made of: a call or a message, an instant that is due, instants made up for, a call turned away."""
CONFIGURE, ENABLE, PAUSE, RESUME, DISABLE, DELETE = "configure", "enable", "pause", "resume", "disable", "delete"
"""What an operator does."""
CONFIG, LAST_AT, NEXT_AT, TALLY = "trigger", "last_at", "next_at", "tally"
"""Keys of its context: what was written; up to when its instants are done with; when the next one is due; its invocations,
counted.
"""
BEGIN, ARM = "begin", "arm"


def command_of(name: str) -> str:
    """The command that does what an event of this name stands for."""
    return f"{WORKFLOW}.{name}"


def trigger_definition() -> WorkflowDefinition:
    """The definition. Every firing starts its executions in the commit of its own step."""
    rejected = Event(internal=True, commands=[_ref(REJECT)], description="a call was turned away")
    made_up = Event(internal=True, commands=[_ref(BACKFILL)], description="instants of the past are made up for")
    deleted = Event(target=DELETED)
    armed = Event(target=ENABLED, commands=[_ref(ARM)])
    return WorkflowDefinition(
        name=WORKFLOW,
        initial_state=NEW,
        description="A trigger, which starts a flow.",
        states={
            NEW: State(
                on_enter=OnEnter(commands=[_ref(BEGIN)]), events={ENABLE: armed, DISABLE: Event(target=DISABLED)}
            ),
            ENABLED: State(
                events={
                    TICK: Event(target=ENABLED, commands=[_ref(TICK)], timeout=Timeout(at=NEXT_AT)),
                    FIRE: Event(internal=True, commands=[_ref(FIRE)], description="it was called"),
                    BACKFILL: made_up,
                    REJECT: rejected,
                    CONFIGURE: Event(target=ENABLED, commands=[_ref(CONFIGURE)]),
                    PAUSE: Event(target=PAUSED),
                    DISABLE: Event(target=DISABLED),
                    DELETE: deleted,
                }
            ),
            # The next tick stays where it is: resumed, it is due at once where it has passed.
            PAUSED: State(
                events={
                    BACKFILL: made_up,
                    REJECT: rejected,
                    CONFIGURE: Event(target=PAUSED, commands=[_ref(CONFIGURE)]),
                    RESUME: Event(target=ENABLED),
                    ENABLE: armed,
                    DISABLE: Event(target=DISABLED),
                    DELETE: deleted,
                }
            ),
            DISABLED: State(
                events={
                    BACKFILL: made_up,
                    REJECT: rejected,
                    CONFIGURE: Event(target=DISABLED, commands=[_ref(CONFIGURE)]),
                    ENABLE: armed,
                    DELETE: deleted,
                }
            ),
            DELETED: State(),
        },
    )


def _ref(name: str) -> CommandRef:
    return CommandRef(command_of(name))
