"""Triggers as they are written: what starts which flow, when, and with which context."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from detent.definition.duration import Duration
from detent.definition.json_schema import check_schema
from detent.definition.near_misses import NearMisses
from detent.definition.part import JsonObjectField, constructor
from detent.definition.selectors import DotPath
from detent.definition.shape import TAG, fault, shape_problems
from detent.errors import InvalidValue
from detent.json_values import JsonObject
from detent.triggers.cron import GRACE, Misfire, checked_schedule
from detent.triggers.errors import TriggerInvalid
from detent.triggers.signatures import TOLERANCE, Scheme

ContextKey = Annotated[str, Field(min_length=1, max_length=200)]
_NO_NAME = re.compile(r"[\s/\x00]")


def _name(written: str) -> str:
    if _NO_NAME.search(written):
        hint = f"write {_NO_NAME.sub('-', written)}"
        raise fault("bad_name", f"is {written!r}, and a name has neither blanks nor slashes", hint=hint)
    return written


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]


def _schema(written: JsonObject) -> JsonObject:
    reason = check_schema(written)
    if reason is not None:
        raise fault("bad_schema", f"is no JSON Schema: {reason}")
    return written


_InputSchema = Annotated[JsonObjectField, AfterValidator(_schema)]


class _Written(NearMisses):
    """Frozen, in either spelling, and without keys that mean nothing."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )


class Signature(_Written):
    """How callers prove who they are."""

    scheme: Scheme
    secret: Annotated[str, Field(min_length=1)]
    """The name of the secret; the secret itself is given to the `TriggerService`, and never stored."""
    tolerance: Duration = TOLERANCE
    """How far the time of signing may be from now. GitHub's scheme signs no time."""

    @field_validator("tolerance")
    @classmethod
    def _positive(cls, value: timedelta) -> timedelta:
        if value <= timedelta(0):
            raise fault("bad_tolerance", "must be longer than nothing")
        return value


class IdempotencyFrom(_Written):
    """Where a call says which event of the world it tells of: the same again starts nothing."""

    header: str | None = None
    """The name of a header, in any case: `X-GitHub-Delivery`, `webhook-id`."""
    path: DotPath | None = None
    """A path in the body: `event.id`."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.path is None):
            raise fault("idempotency_source", "must name either a header or a path in the body")
        return self


class _Trigger(_Written):
    name: Name
    """What it is called, once per tenant: registered again under its name it is the same trigger."""
    flow: str = Field(validation_alias=AliasChoices("flow", "flow_id", "flowId"), min_length=1)
    """The flow that it starts."""
    version: str | None = None
    """Of the flow; the newest where nothing is said."""
    static_context: JsonObjectField = Field(default_factory=dict)
    """What every execution begins with."""
    tenant: str | None = Field(default=None, validation_alias=AliasChoices("tenant", "tenant_id", "tenantId"))
    """Whose trigger it is, and whose its executions are."""
    enabled: bool = True
    """Whether it is enabled when it is first registered."""
    description: str | None = None
    """What it is for, for people."""

    def _make(self, **written: Any) -> None:
        """Be what was written, of which `None` says nothing. Raises `TriggerInvalid`."""
        try:
            super().__init__(**{key: value for key, value in written.items() if value is not None})
        except ValidationError as error:
            raise TriggerInvalid(_called(written), shape_problems(error)) from None


class HttpTrigger(_Trigger):
    """Starts a flow when a webhook calls."""

    kind: Literal["http"] = "http"
    context_key: ContextKey = "body"
    """Where the body stands in the context."""
    input_schema: _InputSchema | None = None
    """The JSON Schema (draft 2020-12) that a body must meet; needs `detent[schema]`."""
    signature: Signature | None = None
    """How callers prove who they are; without it, whoever reaches the address may call."""
    idempotency_from: IdempotencyFrom | None = None
    """Under which key a call starts one execution only, however often it comes."""
    log_bodies: bool = True
    """Whether the invocation log keeps the bodies of accepted calls."""
    log_rejections: bool = True
    """Whether the invocation log keeps calls that were turned away: each is one write."""

    @constructor
    def __init__(
        self,
        *,
        name: str,
        flow: str,
        context_key: str = "body",
        input_schema: JsonObject | None = None,
        signature: Signature | Mapping[str, Any] | None = None,
        idempotency_from: IdempotencyFrom | Mapping[str, Any] | None = None,
        log_bodies: bool = True,
        log_rejections: bool = True,
        version: str | None = None,
        static_context: JsonObject | None = None,
        tenant: str | None = None,
        enabled: bool = True,
        description: str | None = None,
    ) -> None:
        self._make(
            name=name,
            flow=flow,
            context_key=context_key,
            input_schema=input_schema,
            signature=signature,
            idempotency_from=idempotency_from,
            log_bodies=log_bodies,
            log_rejections=log_rejections,
            version=version,
            static_context=static_context,
            tenant=tenant,
            enabled=enabled,
            description=description,
        )


class CronTrigger(_Trigger):
    """Starts a flow by the clock: one execution per instant, whatever the number of workers."""

    kind: Literal["cron"] = "cron"
    expression: str = Field(validation_alias=AliasChoices("expression", "schedule", "cron"))
    """5 fields, or 6 with the seconds in front."""
    timezone: str | None = None
    """An IANA name; the book's where nothing is said."""
    misfire: Misfire = "once"
    """What becomes of instants that nobody fired in time."""
    grace: Duration = GRACE
    """How late counts as in time; longer than workers take to look."""
    context_key: ContextKey | None = None
    """Where `{"scheduled_at": …}` stands in the context, if anywhere."""

    @constructor
    def __init__(
        self,
        *,
        name: str,
        flow: str,
        expression: str,
        timezone: str | None = None,
        misfire: Misfire = "once",
        grace: timedelta | str = GRACE,
        context_key: str | None = None,
        version: str | None = None,
        static_context: JsonObject | None = None,
        tenant: str | None = None,
        enabled: bool = True,
        description: str | None = None,
    ) -> None:
        self._make(
            name=name,
            flow=flow,
            expression=expression,
            timezone=timezone,
            misfire=misfire,
            grace=grace,
            context_key=context_key,
            version=version,
            static_context=static_context,
            tenant=tenant,
            enabled=enabled,
            description=description,
        )

    @model_validator(mode="after")
    def _readable(self) -> Self:
        try:
            checked_schedule(self.expression, self.timezone or "UTC")
        except InvalidValue as error:
            code = "bad_timezone" if error.path == "timezone" else "bad_expression"
            raise fault(code, f"{error.path} {error.reason}", hint=error.hint) from None
        if self.grace < timedelta(0):
            raise fault("bad_grace", "grace must not be negative")
        return self


class EventTrigger(_Trigger):
    """Starts a flow for each message that is published under a topic, of its tenant if it has one."""

    kind: Literal["event"] = "event"
    topics: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    """Which; `*` stands for any characters: `order.*`."""
    context_key: ContextKey = "event"
    """Where the payload of the message stands in the context."""
    input_schema: _InputSchema | None = None
    """The JSON Schema that a payload must meet; others are logged and start nothing."""

    @constructor
    def __init__(
        self,
        *,
        name: str,
        flow: str,
        topics: Sequence[str],
        context_key: str = "event",
        input_schema: JsonObject | None = None,
        version: str | None = None,
        static_context: JsonObject | None = None,
        tenant: str | None = None,
        enabled: bool = True,
        description: str | None = None,
    ) -> None:
        self._make(
            name=name,
            flow=flow,
            topics=topics,
            context_key=context_key,
            input_schema=input_schema,
            version=version,
            static_context=static_context,
            tenant=tenant,
            enabled=enabled,
            description=description,
        )


Trigger: TypeAlias = HttpTrigger | CronTrigger | EventTrigger


def _kind(written: Mapping[str, Any]) -> str | None:
    kind = written.get("kind")
    return TAG + kind if isinstance(kind, str) else None


class Triggers:
    """Reads triggers: `Triggers.read(data)`."""

    _reader: ClassVar[TypeAdapter[Trigger]] = TypeAdapter(
        Annotated[
            Annotated[HttpTrigger, Tag(TAG + "http")]
            | Annotated[CronTrigger, Tag(TAG + "cron")]
            | Annotated[EventTrigger, Tag(TAG + "event")],
            Discriminator(
                _kind,
                custom_error_type="bad_kind",
                custom_error_message="must have a kind, which is 'http', 'cron' or 'event'",
            ),
        ]
    )

    @classmethod
    def read(cls, written: Trigger | Mapping[str, Any]) -> Trigger:
        """The trigger that `written` is or says. Raises `TriggerInvalid` with all problems."""
        if isinstance(written, BaseModel):
            return written
        try:
            return cls._reader.validate_python(dict(written))
        except ValidationError as error:
            raise TriggerInvalid(_called(written), shape_problems(error)) from None


def _called(written: Mapping[str, Any]) -> str:
    name = written.get("name")
    return name if isinstance(name, str) else "?"
