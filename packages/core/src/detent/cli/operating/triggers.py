"""The triggers that a command of operators is about: those of the application's runtime, or those that a database keeps.

A trigger is an instance, so that what is stored is enough to look at it and to switch it. Only firing one starts a flow, and
for that there has to be its application.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import rich_click as click

from detent.cli.operating.connection import NAME_THE_APPLICATION, Connected, bare, connected
from detent.flows.book import FlowBook
from detent.runtime.runtime import WorkflowRuntime
from detent.service.operator_schemas import ScheduleView
from detent.service.registered_trigger import RegisteredTrigger
from detent.service.trigger_book import TriggerBook
from detent.service.trigger_statistics import TriggerStatistics
from detent.service.triggers import TriggerService
from detent.store.protocol import Store
from detent.triggers.definition import WORKFLOW
from detent.triggers.trigger import CronTrigger, EventTrigger

T = TypeVar("T")


def over_triggers(work: Callable[[Connected], Awaitable[T]]) -> T:
    """What `work` answers, given a runtime that knows triggers wherever some are kept."""
    return connected(work, over=_with_triggers)


@asynccontextmanager
async def _with_triggers(store: Store) -> AsyncIterator[WorkflowRuntime]:
    """A runtime that has nothing registered but triggers, and those only where they are stored: it leaves no trace of its own."""
    async with bare(store) as nothing:
        if not await store.list_definitions([WORKFLOW]):
            yield nothing
            return
        book = TriggerBook()
        async with WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands) as runtime:
            yield runtime


def triggers_of(
    runtime: Connected, tenant: str | None, *, actor: str | None = None, reason: str | None = None
) -> TriggerService:
    """The verbs of triggers. What they start, they start by what the application has bound; here nothing is bound."""
    service = runtime.service(actor=actor, reason=reason)
    bound = service if tenant is None else service.for_tenant(tenant)
    return TriggerService(bound, FlowBook(), TriggerBook(), bind=False)


def require_triggers(runtime: Connected) -> None:
    """Raise `ClickException` where the application's runtime does not know what triggers do."""
    if not runtime.database_alone and WORKFLOW not in runtime.runtime.workflows:
        raise click.ClickException(
            "the application's runtime has no triggers: give it the definitions and the commands of its TriggerBook, or "
            "name the database instead: --database URL"
        )


def require_application(runtime: Connected) -> None:
    """Raise `ClickException` where there is only the database."""
    if runtime.database_alone:
        raise click.ClickException(
            f"to fire a trigger starts a flow, and that is its application's ({NAME_THE_APPLICATION})"
        )


def view_of(found: RegisteredTrigger, counted: TriggerStatistics) -> ScheduleView:
    """A trigger as it is told to programs."""
    trigger = found.trigger
    cron = trigger if isinstance(trigger, CronTrigger) else None
    return ScheduleView(
        id=found.id,
        name=found.name,
        kind=trigger.kind,
        flow=trigger.flow,
        flow_version=trigger.version,
        expression=None if cron is None else cron.expression,
        timezone=None if cron is None else cron.timezone or "UTC",
        topics=list(trigger.topics) if isinstance(trigger, EventTrigger) else [],
        state=found.state,
        parked=found.parked,
        last_at=counted.last_at,
        next_at=found.next_at,
        invocations=counted.total,
        failures=counted.failed,
        turned_away=counted.turned_away,
        executions=counted.executions,
        tenant=found.tenant,
        created_at=found.created_at,
    )


def when_told(view: ScheduleView) -> str:
    """When a trigger fires, for people."""
    if view.kind == "cron":
        return f"{view.expression} {view.timezone}"
    return f"on {', '.join(view.topics)}" if view.kind == "event" else "when called"
