"""Spans for OpenTelemetry: of transitions, of attempts of commands, and of deliveries."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from uuid import UUID

from opentelemetry import context as contexts
from opentelemetry import trace as tracing
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from detent.errors import DetentError
from detent.json_values import JsonObject
from detent.runtime.instrument import By

_W3C = TraceContextTextMapPropagator()

Attributes = dict[str, str | int | bool]


class OpenTelemetry:
    """An instrument that makes spans: `WorkflowRuntime(..., instrument=OpenTelemetry())`. Needs the extra `otel`.

    `tracer_provider` is the process's own by default, asked for when the first span is opened; without a configured SDK
    nothing is recorded. What is stored with work that goes on elsewhere are the headers of W3C Trace Context, whatever
    propagators the process has: baggage is never stored.
    """

    def __init__(self, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = tracing.get_tracer("detent", tracer_provider=tracer_provider)

    @contextmanager
    def transition(
        self, *, workflow: str | None, event: str, instance_id: UUID, by: By
    ) -> Iterator["OpenTelemetrySpan"]:
        """A span that is called `WORKFLOW EVENT` once the event is known to be one of the instance's state."""
        attributes: Attributes = {
            "detent.event": event,
            "detent.instance_id": str(instance_id),
            "detent.by": by,
        }
        if workflow is not None:
            attributes["detent.workflow"] = workflow
        kind = SpanKind.CONSUMER if by in ("run", "message") else SpanKind.INTERNAL
        with self._span("detent.transition", kind, attributes, event) as span:
            yield span

    @contextmanager
    def command(
        self,
        *,
        workflow: str,
        state: str,
        command: str,
        instance_id: UUID,
        run_id: UUID | None = None,
        attempt: int = 1,
    ) -> Iterator["OpenTelemetrySpan"]:
        """A span that is called `WORKFLOW.STATE` for an attempt of a run, and inside a transition `WORKFLOW COMMAND`.

        An attempt whose command succeeded has the status OK. Both are as gamgee has them.
        """
        attributes: Attributes = {
            "detent.workflow": workflow,
            "detent.from_state": state,
            "detent.command": command,
            "detent.instance_id": str(instance_id),
            "detent.attempt": attempt,
        }
        if run_id is None:
            with self._span(f"{workflow} {command}", SpanKind.INTERNAL, attributes, command) as span:
                yield span
            return
        attributes["detent.run_id"] = str(run_id)
        with self._span(f"{workflow}.{state}", SpanKind.CONSUMER, attributes, command) as span:
            yield span
            # Not before: a span that is OK stays so, whatever is raised then.
            span.succeeded()

    @contextmanager
    def delivery(
        self, *, workflow: str, topic: str, subscriber: str, delivery_id: UUID, attempt: int
    ) -> Iterator["OpenTelemetrySpan"]:
        """A span that is called `deliver SUBSCRIBER`."""
        attributes: Attributes = {
            "detent.workflow": workflow,
            "detent.topic": topic,
            "detent.subscriber": subscriber,
            "detent.delivery_id": str(delivery_id),
            "detent.attempt": attempt,
        }
        with self._span(f"deliver {subscriber}", SpanKind.CONSUMER, attributes, topic) as span:
            yield span

    def carrier(self) -> JsonObject:
        """`traceparent`, and `tracestate` where there is one, of the current span."""
        headers: dict[str, str] = {}
        _W3C.inject(headers)
        return headers

    @contextmanager
    def continued(self, trace: Mapping[str, str]) -> Iterator[None]:
        """Spans inside are children of the span that `trace` names, also where that has ended long ago."""
        if not trace:
            yield
            return
        token = contexts.attach(_W3C.extract(trace, contexts.get_current()))
        try:
            yield
        finally:
            contexts.detach(token)

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: Attributes, what: str) -> Iterator["OpenTelemetrySpan"]:
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            told = OpenTelemetrySpan(span, what)
            try:
                yield told
            except BaseException as error:
                told.failed(error)
                raise


class OpenTelemetrySpan:
    """A span under way."""

    def __init__(self, span: tracing.Span, what: str) -> None:
        self._span = span
        self._what = what
        self._ok = False
        self._failure = "failed"

    def began(self, *, workflow: str, from_state: str | None) -> None:
        """Give it its name; until now nobody knows whether there is such an event."""
        self._span.update_name(f"{workflow} {self._what}")
        self._span.set_attribute("detent.workflow", workflow)
        if from_state is not None:
            self._span.set_attribute("detent.from_state", from_state)

    def took(self, *, outcome: str, to_state: str, run_id: UUID | None = None, replayed: bool = False) -> None:
        """A refusal, or a command that failed into its `error` state, is an outcome and no error."""
        self._span.set_attribute("detent.outcome", str(outcome))
        self._span.set_attribute("detent.to_state", to_state)
        if run_id is not None:
            self._span.set_attribute("detent.run_id", str(run_id))
        if replayed:
            self._span.set_attribute("detent.replayed", True)

    def answered(self, *, ok: bool, code: str | None) -> None:
        """A command that answered `Fail` has done its work: that is no error either."""
        self._ok = ok
        self._span.set_attribute("detent.outcome", "success" if ok else "failure")
        if code is not None:
            self._span.set_attribute("detent.code", code)

    def unrecoverable(self) -> None:
        """Told apart from a failure that is tried again by its outcome, and by the description of its status."""
        self._failure = "unrecoverable"

    def succeeded(self) -> None:
        """An attempt has ended: it is OK if its command answered so."""
        if self._ok:
            self._span.set_status(StatusCode.OK)

    def failed(self, error: BaseException) -> None:
        """What was raised ends it."""
        kind = error.code if isinstance(error, DetentError) else _name(type(error))
        self._span.set_attribute("error.type", kind)
        self._span.set_attribute("detent.outcome", self._failure)
        told = kind if self._failure == "failed" else f"{self._failure}: {kind}"
        self._span.set_status(Status(StatusCode.ERROR, told))
        if isinstance(error, Exception):
            self._span.record_exception(error)


def _name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
