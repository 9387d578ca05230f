"""What the routes of triggers answer: the schedules among them are those of the kind `cron`."""

from typing import Annotated, TypeAlias

from detent.service.http.admission import readable_ids
from detent.service.http.answers import Answer
from detent.service.http.ask import Ask
from detent.service.http.headers import key_in
from detent.service.http.parameters import USUAL_PAGE, Before, KeyOfEvent, Limit, Named, Parameter
from detent.service.http.trigger_views import (
    Fire,
    FiredView,
    Held,
    InvocationView,
    TriggerDetailsView,
    TriggerStateView,
    TriggerStatisticsView,
)

NOTHING_BROUGHT = Fire()
"""What an empty body brings along."""
HELD = Held()

Kind: TypeAlias = Annotated[str | None, Parameter("query", description="`http`, `cron` or `event`.")]
OfFlow: TypeAlias = Annotated[str | None, Parameter("query", description="Only those that start this flow.")]
InState: TypeAlias = Annotated[
    str | None, Parameter("query", "state", description="`enabled`, `disabled`, `paused` or `deleted`.")
]


async def list_triggers(
    ask: Ask, kind: Kind = None, flow: OfFlow = None, in_state: InState = None
) -> Answer[list[TriggerStateView]]:
    """The triggers, by name, those that are deleted only where that is asked for; `kind=cron` for the schedules."""
    found = await ask.triggers.list(kind=kind, flow=flow, state=in_state)
    seen = await readable_ids(ask, {one.id for one in found})
    return Answer([TriggerStateView.of(one) for one in found if one.id in seen])


async def get_trigger(ask: Ask, trigger: Named) -> Answer[TriggerDetailsView]:
    """A trigger with what was written, when it fires next, and how often it was invoked."""
    found = await ask.triggers.get(trigger)
    counted = TriggerStatisticsView.model_validate(await ask.triggers.statistics(found.id))
    return Answer(TriggerDetailsView.counted(found, counted))


async def get_invocations(
    ask: Ask, trigger: Named, limit: Limit = USUAL_PAGE, before: Before = None
) -> Answer[list[InvocationView]]:
    """Each time that a trigger was fired, or called in vain, the newest first."""
    found = await ask.triggers.history(trigger, limit=limit, before=before)
    return Answer([InvocationView.model_validate(one) for one in found])


async def enable_trigger(ask: Ask, trigger: Named) -> Answer[TriggerStateView]:
    """Put a trigger to work from now on; what fell due meanwhile is not made up for."""
    return Answer(TriggerStateView.of(await ask.triggers.enable(trigger)))


async def disable_trigger(ask: Ask, trigger: Named) -> Answer[TriggerStateView]:
    """Switch a trigger off: calls are turned away, messages and instants pass by."""
    return Answer(TriggerStateView.of(await ask.triggers.disable(trigger)))


async def pause_trigger(ask: Ask, trigger: Named, asked: Held = HELD) -> Answer[TriggerStateView]:
    """Hold a trigger: calls and messages are to come again later, and what falls due meanwhile is missed, not forgotten."""
    return Answer(TriggerStateView.of(await ask.triggers.pause(trigger, asked.reason)))


async def resume_trigger(ask: Ask, trigger: Named) -> Answer[TriggerStateView]:
    """Put a paused trigger to work again; for what it missed, its misfire policy says what becomes of it."""
    return Answer(TriggerStateView.of(await ask.triggers.resume(trigger)))


async def fire_trigger(
    ask: Ask, trigger: Named, asked: Fire = NOTHING_BROUGHT, idempotency_key: KeyOfEvent = None
) -> Answer[FiredView]:
    """Start the trigger's flow now, whatever kind it is; under a key that is known, the execution that it started before."""
    fired = await ask.triggers.fire(trigger, asked.payload, idempotency_key=key_in(idempotency_key))
    return Answer(FiredView.model_validate(fired), 201 if fired.created else 200)
