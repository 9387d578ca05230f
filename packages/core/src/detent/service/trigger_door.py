"""The door of HTTP triggers: a call taken in, judged, and answered."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic_core import from_json

from detent.errors import InstancePaused, InvalidValue
from detent.flows.errors import ContextTooLarge
from detent.json_values import JsonObject, JsonValue, json_object
from detent.service.registered_trigger import state_of
from detent.service.trigger_calls import Call
from detent.service.trigger_firing import Fired, TriggerFiring
from detent.service.trigger_secrets import Secrets, verify_call
from detent.store.records import WorkflowInstance
from detent.triggers.definition import DISABLED, PAUSED
from detent.triggers.errors import InputError, TriggerDisabled, TriggerUnavailable
from detent.triggers.input_schema import input_errors
from detent.triggers.keys import key_of
from detent.triggers.signatures import SignatureRefused
from detent.triggers.trigger import HttpTrigger

logger = logging.getLogger("detent.triggers")


class Answer(StrEnum):
    """What a web door answers a call; which status that is over HTTP, the web packages say."""

    STARTED = "started"
    KNOWN = "known"
    """Its idempotency key was seen before: the execution is the one of then."""
    UNKNOWN_TRIGGER = "unknown_trigger"
    NOT_HTTP = "not_http"
    """The trigger is there, and has no door: it is fired by the clock or by messages."""
    UNAUTHORIZED = "unauthorized"
    DISABLED = "disabled"
    PAUSED = "paused"
    INVALID = "validation_failed"
    TOO_LARGE = "too_large"
    FLOW_NOT_FOUND = "flow_not_found"


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a call."""

    answer: Answer
    execution_id: UUID | None = None
    errors: tuple[InputError, ...] = ()
    """What is wrong with the body, each with its path, message and keyword."""
    detail: str | None = None
    """What else the caller may know."""


class TriggerDoor:
    """Takes calls in: is it signed, is the trigger at work, is the body what it takes? Then it fires."""

    def __init__(self, firing: TriggerFiring, secrets: Secrets) -> None:
        self._firing = firing
        self._secrets = secrets

    async def receive(
        self, instance: WorkflowInstance, read: HttpTrigger, body: bytes, headers: Mapping[str, str], now: datetime
    ) -> Received:
        """What the call is answered, once it stands in the log."""
        try:
            verify_call(read, self._secrets, body, headers, now)
        except SignatureRefused as error:
            told = {"code": str(error.fault), "message": error.message}
            return await self._turned_away(
                instance, read, Received(Answer.UNAUTHORIZED, detail=error.message), error=told
            )
        value, unread = _parsed(body)
        if shut := _shut(instance, read):
            return await self._turned_away(instance, read, shut, body=value)
        key, keyless = key_of(read.idempotency_from, headers, value)
        wrong = [unread] if unread else [*_unfit(read, body, value), *([keyless] if keyless else [])]
        if wrong:
            return await self._turned_away(instance, read, Received(Answer.INVALID, errors=tuple(wrong)), body=value)
        return await self._fired(instance, read, Call("http", value, key))

    async def _fired(self, instance: WorkflowInstance, read: HttpTrigger, call: Call) -> Received:
        try:
            fired = await self._firing.fire(instance, read, call, body=call.value if read.log_bodies else None)
        except TriggerDisabled:
            return _is(DISABLED, Answer.DISABLED, read)
        except InstancePaused:
            return _is(PAUSED, Answer.PAUSED, read)
        except ContextTooLarge as error:
            return Received(Answer.TOO_LARGE, detail=error.message)
        except TriggerUnavailable as error:
            logger.error("%s", error)
            return Received(Answer.FLOW_NOT_FOUND, detail=f"trigger {read.name!r} has no flow to start now")
        return _started(fired)

    async def _turned_away(
        self,
        instance: WorkflowInstance,
        read: HttpTrigger,
        received: Received,
        *,
        error: JsonObject | None = None,
        body: JsonValue = None,
    ) -> Received:
        """The same answer, once it stands in the log."""
        if not read.log_rejections:
            return received
        try:
            await self._firing.turn_away(instance, read, received.answer.value, received.errors, error=error, body=body)
        except (TriggerDisabled, InstancePaused):
            logger.info("a call of trigger %r was turned away: %s", read.name, received.answer)
        return received


def _shut(instance: WorkflowInstance, read: HttpTrigger) -> Received | None:
    """What is answered while the trigger is switched off or held."""
    state = state_of(instance)
    if state == PAUSED:
        return _is(PAUSED, Answer.PAUSED, read)
    return _is(DISABLED, Answer.DISABLED, read) if state == DISABLED else None


def _is(state: str, answer: Answer, read: HttpTrigger) -> Received:
    return Received(answer, detail=f"trigger {read.name!r} is {state}")


def _started(fired: Fired) -> Received:
    return Received(Answer.STARTED if fired.created else Answer.KNOWN, execution_id=fired.execution_id)


def _unfit(read: HttpTrigger, body: bytes, value: JsonValue) -> tuple[InputError, ...]:
    """In what a body is not what the trigger takes."""
    errors = input_errors(read.input_schema, value)
    if errors and not body:
        return (InputError("", "the body is empty", errors[0].keyword),)
    return errors


def _parsed(body: bytes) -> tuple[JsonValue, InputError | None]:
    """The JSON of a body, which is `None` where it is empty, or what is wrong with it."""
    if not body:
        return None, None
    try:
        # As deep as it will stand in the log and in the context.
        read = json_object({"body": from_json(body, allow_inf_nan=False, cache_strings="none")}, "")
    except InvalidValue as error:
        return None, InputError(error.path.lstrip(".").removeprefix("body").removeprefix("."), error.reason, "json")
    except ValueError as error:
        return None, InputError("", f"is not well-formed JSON: {error}", "json")
    return read["body"], None
