"""Spans: one per transition and per attempt of a command, chained across processes by what the store keeps."""

import asyncio

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from detent import Fail, Ok, Outcome, Retry, SqliteStore, command, subscriber
from detent.errors import EventNotAvailable, InstanceNotFound
from detent.ids import new_id
from detent.observe.otel import OpenTelemetry
from detent.store.messages import DeliveryQuery
from packages.core.tests.observe.orders import CHAIN, LETTER, ORDER, everything

ALLOWED = {
    "detent.attempt",
    "detent.by",
    "detent.code",
    "detent.command",
    "detent.delivery_id",
    "detent.event",
    "detent.from_state",
    "detent.instance_id",
    "detent.outcome",
    "detent.replayed",
    "detent.run_id",
    "detent.subscriber",
    "detent.to_state",
    "detent.topic",
    "detent.workflow",
    "error.type",
}


@pytest.fixture
def instrument(spans):
    return OpenTelemetry(spans.provider)


async def test_a_transition_is_one_span_that_says_where_it_led(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "settle")

    assert spans.tree() == ["order $created", "order settle"]
    created, settled = spans.all
    assert dict(settled.attributes) == {
        "detent.by": "caller",
        "detent.event": "settle",
        "detent.from_state": "new",
        "detent.instance_id": str(order.id),
        "detent.outcome": "success",
        "detent.to_state": "paid",
        "detent.workflow": "order",
    }
    assert (settled.kind, settled.status.status_code, settled.events) == (SpanKind.INTERNAL, StatusCode.UNSET, ())
    assert "detent.from_state" not in created.attributes
    assert created.attributes["detent.to_state"] == "new"


async def test_commands_of_a_transition_are_its_children(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "book")
    assert spans.tree() == ["order $created", "order book", "  order note"]
    assert spans.one("order note").attributes["detent.outcome"] == "success"


async def test_a_transition_is_a_child_of_its_callers_span(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    with spans.provider.get_tracer("app").start_as_current_span("POST /orders"):
        order = await runtime.create_instance("order")
        await runtime.trigger_event(order.id, "settle")
    assert spans.tree() == ["POST /orders", "  order $created", "  order settle"]


async def test_a_refusal_is_an_outcome_and_no_error(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "approve")
    span = spans.one("order approve")
    assert (span.attributes["detent.outcome"], span.attributes["detent.to_state"]) == ("refused", "new")
    assert (span.status.status_code, "error.type" in span.attributes) == (StatusCode.UNSET, False)


async def test_a_declared_failure_is_an_outcome_and_no_error(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "decline")
    span, answered = spans.one("order decline"), spans.one("order refuse_card")
    assert (span.attributes["detent.outcome"], span.attributes["detent.to_state"]) == ("failure", "failed")
    assert (answered.attributes["detent.outcome"], answered.attributes["detent.code"]) == ("failure", "card_declined")
    assert {span.status.status_code, answered.status.status_code} == {StatusCode.UNSET}


async def test_what_is_raised_is_recorded_on_the_command_and_on_its_transition(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    with pytest.raises(RuntimeError):
        await runtime.trigger_event(order.id, "burst")
    assert [span.name for span in spans.all[1:]] == ["order burst", "order burst"]
    for span in spans.all[1:]:
        assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "RuntimeError")
        [event] = span.events
        assert (event.name, event.attributes["exception.message"]) == ("exception", "a pipe burst")


async def test_an_event_that_nobody_declared_gives_no_name(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    with pytest.raises(EventNotAvailable):
        await runtime.trigger_event(order.id, "../../etc/passwd")
    with pytest.raises(InstanceNotFound):
        await runtime.pause(new_id())
    assert [span.name for span in spans.all] == ["order $created", "detent.transition", "detent.transition"]
    assert [span.attributes["error.type"] for span in spans.all[1:]] == [EventNotAvailable.code, InstanceNotFound.code]


async def test_what_operators_do_is_a_transition_too(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.pause(order.id)
    assert spans.one("order $paused").attributes["detent.outcome"] == "success"


async def test_a_repeated_request_says_that_nothing_ran(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    for _ in range(2):
        order = await runtime.create_instance("order", idempotency_key="o")
        await runtime.trigger_event(order.id, "settle", idempotency_key="s")
    assert [span.attributes.get("detent.replayed", False) for span in spans.all] == [False, False, True, True]
    assert spans.all[3].attributes["detent.outcome"] == "success"


async def test_timeouts_say_that_nobody_called(starting, spans, instrument, clock):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    clock.advance("31m")
    await runtime.process_timeouts()
    clock.advance("31m")
    await runtime.process_timeouts()
    assert spans.tree() == ["order $created", "order remind", "  order note", "order lapse"]
    for span in (spans.one("order remind"), spans.one("order lapse")):
        assert (span.attributes["detent.by"], span.attributes["detent.outcome"]) == ("timer", "success")
        assert span.attributes["detent.instance_id"] == str(order.id)


async def test_a_run_that_another_process_finishes_hangs_under_the_span_that_accepted_it(
    starting, spans, instrument, store
):
    web = await starting(ORDER, **everything(), instrument=instrument)
    worker = await starting(ORDER, **everything(Ok()), instrument=OpenTelemetry(spans.provider))
    order = await web.create_instance("order")
    with spans.provider.get_tracer("app").start_as_current_span("POST /pay"):
        accepted = await web.trigger_event(order.id, "pay")
    assert (await worker.process_runs()).completed == 1

    assert spans.tree() == [
        "order $created",
        "POST /pay",
        "  order pay",
        "    order.new",
        "    order.new",
        "    order pay",
    ]
    charged, noted = [span for span in spans.all if span.name == "order.new"]
    assert (charged.attributes["detent.command"], noted.attributes["detent.command"]) == ("charge", "note")
    assert {s.attributes["detent.from_state"] for s in (charged, noted)} == {"new"}
    assert {s.status.status_code for s in (charged, noted)} == {StatusCode.OK}
    begun, ended = [span for span in spans.all if span.name == "order pay"]
    assert (begun.attributes["detent.outcome"], ended.attributes["detent.outcome"]) == ("accepted", "success")
    assert (ended.attributes["detent.by"], ended.attributes["detent.to_state"]) == ("run", "paid")
    run_id = str(accepted.run_id)
    assert {s.attributes["detent.run_id"] for s in spans.all[2:]} == {run_id}
    assert {s.kind for s in spans.all[3:]} == {SpanKind.CONSUMER}
    assert len({s.context.trace_id for s in spans.all[1:]}) == 1


async def test_spans_chain_through_a_file_and_its_threads_too(starting, spans, instrument, clock, tmp_path):
    store = SqliteStore(tmp_path / "orders.db")
    runtime = await starting(ORDER, **everything(Ok()), instrument=instrument, store=store)
    paid, left = [await runtime.create_instance("order") for _ in range(2)]
    spans.forget()
    await runtime.trigger_event(paid.id, "pay")
    await runtime.process_runs()
    clock.advance("2h")
    assert (await runtime.process_timeouts()).processed == 2
    assert spans.tree() == [
        "order pay",
        "  order.new",
        "  order.new",
        "  order pay",
        "order remind",
        "  order note",
        "order lapse",
    ]
    assert spans.one("order lapse").attributes["detent.instance_id"] == str(left.id)


async def test_every_attempt_of_a_command_is_a_span(starting, spans, instrument, clock):
    runtime = await starting(ORDER, **everything(ConnectionError("gone"), TimeoutError(), Ok()), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    for _ in range(3):
        await runtime.process_runs()
        clock.advance("5m")

    attempts = [
        span for span in spans.all if span.name == "order.new" and span.attributes["detent.command"] == "charge"
    ]
    assert [span.attributes["detent.attempt"] for span in attempts] == [1, 2, 3]
    assert [span.attributes.get("error.type") for span in attempts] == ["ConnectionError", "TimeoutError", None]
    assert [span.status.status_code for span in attempts] == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.OK]
    assert [span.attributes["detent.outcome"] for span in attempts] == ["failed", "failed", "success"]
    assert {span.parent.span_id for span in attempts} == {spans.all[1].context.span_id}
    assert (await runtime.get_instance(order.id)).state == "paid"


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "transactional"])
async def test_the_attempt_that_parks_a_run_says_that_it_was_the_last(starting, spans, instrument, clock, durable):
    @command("send", durable=durable, retry=Retry(attempts=2, jitter=0))
    async def send(ctx):
        raise ConnectionError("gone")

    runtime = await starting(LETTER, commands=[send], instrument=instrument)
    letter = await runtime.create_instance("letter")
    await runtime.enqueue_event(letter.id, "post")
    for _ in range(2):
        await runtime.process_runs()
        clock.advance("5m")
    failed, last = [span for span in spans.all if span.name == "letter.new"]
    assert [span.attributes["detent.outcome"] for span in (failed, last)] == ["failed", "unrecoverable"]
    assert [span.status.description for span in (failed, last)] == ["ConnectionError", "unrecoverable: ConnectionError"]
    assert [[event.name for event in span.events] for span in (failed, last)] == [["exception"], ["exception"]]


async def test_a_last_attempt_whose_failure_is_taken_is_not_called_unrecoverable(starting, spans, instrument, clock):
    runtime = await starting(ORDER, **everything(*[OSError("gone")] * 3), instrument=instrument)
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    for _ in range(3):
        await runtime.process_runs()
        clock.advance("5m")
    assert (await runtime.get_instance(order.id)).state == "failed"
    attempts = [span for span in spans.all if span.name == "order.new"]
    assert [span.attributes["detent.outcome"] for span in attempts] == ["failed"] * 3


async def test_an_answer_that_leads_nowhere_is_an_error_of_its_attempt(starting, spans, instrument):
    runtime = await starting(
        LETTER, commands=[command("send", durable=True)(lambda ctx: Fail("torn", "in two"))], instrument=instrument
    )
    letter = await runtime.create_instance("letter")
    await runtime.trigger_event(letter.id, "post")
    assert (await runtime.process_runs()).parked == 1
    attempt = spans.one("letter.new")
    assert (attempt.status.status_code, attempt.attributes["detent.outcome"]) == (StatusCode.ERROR, "unrecoverable")
    assert (attempt.attributes["detent.code"], attempt.attributes["error.type"]) == ("torn", "command_failed")


@pytest.mark.parametrize("stays", [True, False], ids=["one worker", "another worker for each step"])
async def test_the_steps_of_a_chain_hang_under_each_other(starting, spans, instrument, clock, stays):
    left = {"one": [OSError("gone")], "two": [], "three": []}

    def made(name, queue):
        @command(name, durable=True, queue=queue, retry=Retry(attempts=3, jitter=0))
        async def work(ctx):
            if left[name]:
                raise left[name].pop()

        return work

    commands = [made(name, "default" if stays else name) for name in left]
    runtime = await starting(CHAIN, commands=commands, instrument=instrument)
    other = await starting(CHAIN, commands=commands, instrument=OpenTelemetry(spans.provider))
    created = await runtime.create_instance("chain")
    for each in (runtime, other, runtime, other):
        await each.process_runs(limit=100 if stays else 1)
        clock.advance("5m")

    assert (await runtime.get_instance(created.id)).state == "done"
    assert [line for line in spans.tree() if "chain." in line] == [
        "  chain.one",
        "  chain.one",
        "    chain.two",
        "      chain.three",
    ]
    assert len({span.context.trace_id for span in spans.all}) == 1


async def test_a_step_hangs_under_the_one_before_whoever_committed_its_end(starting, spans, instrument, monkeypatch):
    """The answer is kept with its trace context; the process that gave it ends before the step does."""

    commands = [command(name, durable=True)(lambda ctx: None) for name in ("one", "two", "three")]
    died = await starting(CHAIN, commands=commands, instrument=instrument)
    created = await died.create_instance("chain")
    [claimed] = await died.running().runs.claim(1)
    reached = asyncio.Event()

    async def stuck(*given, **named):
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(died.store, "apply", stuck)
        working = asyncio.create_task(died.running().runs.work_on(claimed, serves=lambda _: True))
        async with asyncio.timeout(5):
            await reached.wait()
        working.cancel()
        await asyncio.wait([working])
    other = await starting(CHAIN, commands=commands, instrument=OpenTelemetry(spans.provider))
    await other.process_runs()
    assert (await other.get_instance(created.id)).state == "done"
    assert [line for line in spans.tree() if "chain." in line] == ["  chain.one", "    chain.two", "      chain.three"]


async def test_what_is_published_carries_the_span_of_its_transition(starting, spans, instrument, store):
    @subscriber("order.*", name="mail")
    async def mail(delivery):
        return None

    runtime = await starting(ORDER, **everything(Ok()), instrument=instrument, subscribers=[mail])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "pay")
    await runtime.process_runs()
    deliveries = await store.outbox.find(DeliveryQuery(instance_id=order.id), limit=10)
    finished = spans.all[-1]
    assert [d.trace["traceparent"].split("-")[2] for d in deliveries] == [
        trace.format_span_id(span.context.span_id) for span in (spans.all[0], finished)
    ]


async def test_a_process_with_no_sdk_stores_no_trace(starting, store):
    runtime = await starting(ORDER, **everything(), instrument=OpenTelemetry())
    order = await runtime.create_instance("order")
    accepted = await runtime.trigger_event(order.id, "pay")
    assert (await runtime.runs.get(accepted.run_id)).trace == {}


async def test_without_an_instrument_nothing_is_recorded_or_stored(starting, spans):
    runtime = await starting(ORDER, **everything())
    with spans.provider.get_tracer("app").start_as_current_span("app"):
        order = await runtime.create_instance("order")
        accepted = await runtime.trigger_event(order.id, "pay")
    assert accepted.outcome is Outcome.ACCEPTED
    assert (await runtime.runs.get(accepted.run_id)).trace == {}
    assert spans.tree() == ["app"]


async def test_a_caller_that_goes_away_does_not_cut_the_span_of_its_step(starting, spans, instrument):
    entered, go_on = asyncio.Event(), asyncio.Event()

    @command("note")
    async def slow(ctx):
        entered.set()
        await go_on.wait()

    given = everything()
    given["commands"][0] = slow
    runtime = await starting(ORDER, **given, instrument=instrument)
    order = await runtime.create_instance("order")
    asked = asyncio.create_task(runtime.trigger_event(order.id, "book"))
    async with asyncio.timeout(5):
        await entered.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        go_on.set()
        while runtime.running().parts.tasks:
            await asyncio.wait(set(runtime.running().parts.tasks))
    assert spans.one("order book").attributes["detent.outcome"] == "success"


async def test_attributes_are_a_closed_set_without_payload_context_or_subject(starting, spans, instrument, clock):
    runtime = await starting(ORDER, **everything(ValueError("no"), Ok()), instrument=instrument)
    order = await runtime.create_instance("order", context={"secret": "s3cret"}, metadata={"secret": "s3cret"})
    await runtime.trigger_event(
        order.id, "pay", payload={"secret": "s3cret"}, subject="s3cret", trigger_metadata={"actor": "s3cret"}
    )
    await runtime.process_runs()
    clock.advance("5m")
    await runtime.process_runs()
    assert {key for span in spans.all for key in span.attributes} <= ALLOWED
    assert "s3cret" not in str([dict(span.attributes) for span in spans.all])


async def test_a_broken_trace_in_the_store_is_passed_over(instrument, spans):
    with instrument.continued({"traceparent": "nonsense"}):
        assert instrument.carrier() == {}
    with spans.provider.get_tracer("app").start_as_current_span("app") as span, instrument.continued({}):
        assert trace.get_current_span() is span


async def test_a_message_is_taken_under_the_span_of_its_sender(starting, spans, instrument):
    runtime = await starting(ORDER, **everything(), instrument=instrument)
    order = await runtime.create_instance("order")
    with spans.provider.get_tracer("app").start_as_current_span("POST /webhook"):
        await runtime.send(order.id, "book")
    assert (await runtime.process_inbox()).applied == 1
    assert spans.tree() == ["order $created", "POST /webhook", "  order book", "    order note"]
    taken = spans.one("order book")
    assert (taken.attributes["detent.by"], taken.attributes["detent.outcome"]) == ("message", "success")
    assert taken.kind is SpanKind.CONSUMER


async def test_attempts_of_a_delivery_are_spans_under_the_transition_that_published_it(
    starting, spans, instrument, clock
):
    answers = [OSError("gone"), None]

    @subscriber("order.settle", name="mail")
    async def mail(delivery):
        answer = answers.pop(0)
        if answer is not None:
            raise answer

    runtime = await starting(ORDER, **everything(), instrument=instrument, subscribers=[mail])
    order = await runtime.create_instance("order")
    await runtime.trigger_event(order.id, "settle")
    for _ in range(2):
        await runtime.process_outbox()
        clock.advance("5m")
    assert spans.tree() == ["order $created", "order settle", "  deliver mail", "  deliver mail"]
    failed, made = spans.all[2:]
    assert (failed.attributes["error.type"], failed.status.status_code) == ("OSError", StatusCode.ERROR)
    assert (made.attributes["detent.attempt"], made.status.status_code) == (2, StatusCode.UNSET)
    assert (made.attributes["detent.topic"], made.kind) == ("order.settle", SpanKind.CONSUMER)
    assert {key for span in spans.all for key in span.attributes} <= ALLOWED
