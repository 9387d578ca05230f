"""What keeps triggers from firing, told by their names before anybody waits for them in vain."""

import logging
from collections.abc import Iterator
from datetime import datetime

from detent.problems import Problem
from detent.service.registered_trigger import state_of
from detent.service.service import WorkflowService
from detent.service.trigger_book import SUBSCRIBER, TriggerBook
from detent.service.trigger_commands import trigger_in
from detent.service.trigger_secrets import Secrets, secrets_of
from detent.store.records import WorkflowInstance
from detent.triggers.definition import ENABLED, NEXT_AT, TICK
from detent.triggers.errors import SecretMissing, TriggerInvalid
from detent.triggers.trigger import CronTrigger, EventTrigger, HttpTrigger, Trigger

logger = logging.getLogger("detent.triggers")


class TriggerChecks:
    """Looks at triggers from this process: its doors, its secrets, its flows, its topics and its worker."""

    def __init__(self, service: WorkflowService, book: TriggerBook, secrets: Secrets) -> None:
        self._service = service
        self._book = book
        self._secrets = secrets

    def problems(self, instance: WorkflowInstance, now: datetime, *, worker: bool | None) -> list[Problem]:
        """What keeps one trigger from firing; nothing where it is not enabled."""
        if state_of(instance) != ENABLED:
            return []
        try:
            read = trigger_in(instance.context)
        except TriggerInvalid as error:
            said = f"trigger {error.name!r} cannot be read by this process: {error.problems[0].message}"
            return [_warning(error.name, "unreadable", said, "register it anew, or install what this process lacks")]
        return [
            *self._without_flow(read),
            *self._without_door(read),
            *self.unheard(read),
            *_unfired(instance, read, now),
            *_without_worker(read, worker),
        ]

    def unheard(self, read: Trigger) -> list[Problem]:
        """The topics that it waits for and nobody hears of."""
        if not isinstance(read, EventTrigger):
            return []
        if self._book.topics and SUBSCRIBER not in self._service.running().parts.outgoing.subscribers.names:
            said = f"trigger {read.name!r} hears of nothing: the runtime was not given the subscribers of the book of triggers"
            return [_warning(read.name, "no_subscriber", said, "WorkflowRuntime(subscribers=triggers.subscribers)")]
        return [
            _warning(
                read.name,
                "topic_not_heard",
                f"trigger {read.name!r} waits for {topic!r}, and the book of triggers does not hear of that",
                f"TriggerBook(topics=[{topic!r}])",
            )
            for topic in read.topics
            if not self._book.hears(topic)
        ]

    def _without_flow(self, read: Trigger) -> Iterator[Problem]:
        if read.flow not in self._service.running().parts.machines.workflows:
            said = f"trigger {read.name!r} starts {read.flow!r}, which this process does not know"
            yield _warning(read.name, "unknown_flow", said, "register or save the flow")

    def _without_door(self, read: Trigger) -> Iterator[Problem]:
        if not isinstance(read, HttpTrigger):
            return
        if "http" not in self._book.doors:
            said = f"trigger {read.name!r} is called over HTTP, and this process has no door for it"
            yield _warning(read.name, "no_door", said, "mount the webhooks, or see to it that another process does")
        if read.signature is not None:
            try:
                secrets_of(read, read.signature, self._secrets)
            except SecretMissing as error:
                yield _warning(read.name, error.code, error.message, error.hint)


def log_problems(problems: list[Problem]) -> list[Problem]:
    """The same, each logged as a warning."""
    for problem in problems:
        logger.warning("%s (%s)", problem.message, problem.hint)
    return problems


def _without_worker(read: Trigger, worker: bool | None) -> Iterator[Problem]:
    if worker is False and not isinstance(read, HttpTrigger):
        said = f"trigger {read.name!r} is fired by a worker, and this process has none"
        yield _warning(read.name, "no_worker", said, "see to it that one runs elsewhere")


def _unfired(instance: WorkflowInstance, read: Trigger, now: datetime) -> Iterator[Problem]:
    """A schedule that waits for an operator, or whose tick is long due: a timer that was put off hides no delay."""
    timer = next((timer for timer in instance.timers if timer.event == TICK), None)
    next_at = instance.context.get(NEXT_AT)
    if not isinstance(read, CronTrigger) or timer is None or next_at is None:
        return
    if timer.parked:
        said = f"trigger {read.name!r} is given up: {timer.reason}"
        yield _warning(read.name, "parked", said, "mend the cause, then enable it")
    elif datetime.fromisoformat(next_at) < now - read.grace:
        why = f"it was tried in vain: {timer.reason}" if timer.attempts else "no worker has fired it"
        said = f"trigger {read.name!r} was due at {next_at}, and {why}"
        yield _warning(read.name, "overdue", said, "does a worker run that fires timeouts, and knows the flow?")


def _warning(name: str, code: str, said: str, hint: str | None) -> Problem:
    return Problem(name, code, said, hint, "warning")
