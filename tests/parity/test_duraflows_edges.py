"""42 to 48 of what duraflows was measured by: texts, guards, subjects, diagrams, limits and costs. See `test_duraflows.py`."""

import asyncio
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any, get_args, is_typeddict

import pytest

from detent import (
    Outcome,
    WorkflowService,
    command,
    guard,
)
from detent.errors import (
    InstanceBusy,
    InvalidValue,
)
from tests.parity.ground import Watched
from tests.parity.workflows import STEADY, bill, count, waiting


async def test_42_the_text_of_an_error_is_stored_clean_and_short(running, clock, caplog):
    """No NUL, no lone surrogate, at most 2000 characters, none of them split in two."""

    @command("charge")
    def charge(ctx):
        raise ValueError("a\0b\ud800" + "🚀" * 3000)

    # The log has the text as it was raised, which pytest-xdist cannot hand on.
    caplog.set_level("CRITICAL", "detent.timeouts")

    runtime = await running(waiting(commands=["charge"]), commands=[charge], settings=STEADY)
    instance = await runtime.create_instance("wait")
    clock.advance("1h")
    assert (await runtime.process_timeouts()).failed == 1
    (timer,) = (await runtime.get_instance(instance.id)).timers
    newest = (await runtime.get_history(instance.id))[0]
    assert timer.reason == newest.reason == newest.error["message"]
    assert timer.reason == "a\ufffdb?" + "🚀" * 1996


async def test_43_a_guard_cannot_change_what_it_is_given_and_a_refusal_names_it(running):
    """It sees copies: what it writes into them is lost; in duraflows they are frozen. The context object itself is frozen.

    The refusal has the name by which the definition knows the guard, whatever its function is called, and a reason.
    """

    @guard("may_pay")
    def somebody_else(ctx):
        ctx.context["paid"] = True
        ctx.metadata["seen"] = True
        ctx.trigger_metadata["seen"] = True
        with pytest.raises(FrozenInstanceError):
            ctx.from_state = "paid"
        return False

    runtime = await running(bill(guard="may_pay"), guards=[somebody_else])
    instance = await runtime.create_instance("bill")
    refused = await runtime.trigger_event(instance.id, "pay", trigger_metadata={"actor": "ana"})
    assert (refused.outcome, refused.reason) == (Outcome.REFUSED, "guard 'may_pay' refused")
    assert (refused.from_state, refused.to_state, refused.commands) == ("open", "open", ())
    after = await runtime.get_instance(instance.id)
    assert (after.context, after.metadata) == ({}, {})
    assert (await runtime.get_history(instance.id))[0].trigger_metadata == {"actor": "ana"}
    (pay,) = [event for event in await runtime.get_available_events(instance.id) if event.name == "pay"]
    assert (pay.available, pay.reason) == (False, "guard 'may_pay' refused")


async def test_44_the_subject_reaches_all_that_the_event_causes_and_is_never_stored(running, clock):
    """Guard, command and `on_enter` get the very object; creations and timeouts have none, and `None` means none.

    duraflows tells an omitted subject from null. Ours tells an omitted payload, `None`, from an empty one.
    """
    seen = []

    @guard("look")
    def look(ctx):
        seen.append(("guard", ctx.event, ctx.subject, ctx.payload))
        return True

    @command("tell")
    def tell(ctx):
        seen.append(("command", ctx.event, ctx.subject, ctx.payload))

    definition = waiting(guard="look", commands=["tell"])
    definition["states"]["waiting"]["on_enter"] = definition["states"]["done"]["on_enter"] = {"commands": ["tell"]}
    runtime = await running(definition, commands=[tell], guards=[look])

    def told(subject: object, payload: object) -> list[tuple[str, str, object, object]]:
        return [
            ("guard", "expire", subject, payload),
            ("command", "expire", subject, payload),
            ("command", "$on_enter", subject, payload),
        ]

    subject = object()
    for given, payload in ((subject, {}), (None, None), (0, [])):
        instance = await runtime.create_instance("wait")
        assert seen == [("command", "$on_enter", None, None)]
        seen.clear()
        await runtime.trigger_event(instance.id, "expire", subject=given, payload=payload)
        assert seen == told(given, payload)
        assert seen[0][2] is given
        entry = (await runtime.get_history(instance.id, limit=2))[1]
        assert (entry.event, entry.payload) == ("expire", payload)
        seen.clear()

    await runtime.create_instance("wait")
    seen.clear()
    clock.advance("1h")
    await runtime.process_timeouts()
    assert seen == told(None, None)


async def test_45_a_diagram_of_any_names_can_be_read(running, mermaid):
    """Keywords of Mermaid, names that differ in a sign, quotes and angle brackets: it parses, with a box for each state.

    duraflows' diagrams break on the keywords.
    """
    names = ["a b", "a_b", "_start", "end", "class", "graph", 'say "hi"', "<b>bold</b>", "a;b", "%% gone"]
    following = zip(names, [*names[1:], names[0]], strict=True)
    states = {name: {"events": {"end": {"target": after}, name: {"target": name}}} for name, after in following}
    runtime = await running({"name": "graph TD", "initial_state": "a b", "states": states})
    service = WorkflowService(runtime)
    instance = await service.create_instance("graph TD")
    await service.trigger_event(instance, "end")
    for style, kind in (("state", "stateDiagram"), ("flowchart", "flowchart-v2")):
        for text in (
            service.to_mermaid("graph TD", style=style),
            await service.instance_to_mermaid(instance, style=style),
        ):
            drawn = mermaid(text)
            assert (drawn.ok, drawn.type) == (True, kind), f"{drawn.error}\n{text}"
            shown = [node["texts"][0] for node in drawn.nodes if node["texts"]]
            assert [shown.count(name) >= 1 for name in names] == [True] * len(names), shown
            assert len({node["id"] for node in drawn.nodes}) == len(drawn.nodes)


MALFORMED = [0, -1, 1.5, float("nan"), 2**53, True, "5"]


def verbs_with_a_limit() -> Iterator[tuple[str, list[str]]]:
    """Every public verb that takes one, with the names of the arguments it must be given."""
    for name, verb in inspect.getmembers(WorkflowService, inspect.iscoroutinefunction):
        if name.startswith("_"):
            continue
        _, *parameters = inspect.signature(verb).parameters.values()
        listed = {p.name: p.default is p.empty for p in parameters if p.kind is not p.VAR_KEYWORD}
        gathered = [kind.__annotations__ for p in parameters for kind in get_args(p.annotation) if is_typeddict(kind)]
        if "limit" in {*listed, *itertools.chain(*gathered)}:
            yield name, [name for name, needed in listed.items() if needed]


async def test_46_a_malformed_limit_is_refused_before_the_store_is_asked(running, store):
    """By every public verb that takes one, and so are a cursor and a place in history that are none."""
    watched = Watched(store)
    runtime = await running(waiting(), store=watched)
    service = WorkflowService(runtime)
    instance = await service.create_instance("wait")
    verbs = dict(verbs_with_a_limit())
    assert verbs.keys() >= {"get_history", "process_timeouts", "find_instances", "find_parked", "cancel_instances"}
    known = {"instance_id": instance.id, "state": "done", "workflow": "wait", "before": instance.created_at}
    watched.asked.clear()
    for name, needed in verbs.items():
        for limit in MALFORMED:
            with pytest.raises(InvalidValue, match="limit"):
                await getattr(service, name)(**{key: known[key] for key in needed}, limit=limit)
    no_sequence: Any = (0, -1, 1.5, "1")
    for before in no_sequence:
        with pytest.raises(InvalidValue, match="before"):
            await service.get_history(instance.id, before=before)
    with pytest.raises(InvalidValue, match="cursor"):
        await service.find_instances(cursor="no cursor")
    assert watched.asked.total() == 0


@pytest.mark.parametrize("event", ["see", "pay"], ids=["without commands", "with a command"])
async def test_47_a_row_that_somebody_holds_is_busy_after_the_lock_timeout(running, backend, event):
    """The step gives up in time, leaves nothing behind, and gives its connection back in order."""
    hasty = await backend.store(lock_timeout=0.25)
    runtime = await running(bill(commands=["count"]), commands=[count], store=hasty)
    instance = await runtime.create_instance("bill")
    async with hasty.transaction(instance.id):
        for _ in range(2):
            async with asyncio.timeout(2):
                calls = [runtime.trigger_event(instance, event) for _ in range(4)]
                refused = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(error) for error in refused] == [InstanceBusy] * 4
        assert (await runtime.get_instance(instance.id)).version == 1
    assert (await runtime.trigger_event(instance, event)).history_sequence == 2
    assert [entry.event for entry in await runtime.get_history(instance.id)] == [event, "$created"]


async def test_48_what_a_transition_costs(running, backend, wire):
    """Counted over many: round trips on PostgreSQL, calls of the store on the others. duraflows takes five round trips each."""
    definition = bill()
    definition["states"]["open"]["events"]["count"] = {"target": "open", "commands": ["count"]}
    many = 200
    async with backend.metered(wire) as (metered, asked):
        runtime = await running(definition, commands=[count], store=metered)

        async def cost(step):
            # Statements are prepared once for each connection, and a runtime has to have seen the instance.
            await step()
            before = asked()
            for _ in range(many):
                await step()
            return (asked() - before) / many

        instance = await runtime.create_instance("bill")
        handle = runtime.get_handle(instance)
        keys = map(str, itertools.count())
        calls = {
            "creation": lambda: runtime.create_instance("bill"),
            "event": lambda: runtime.trigger_event(instance.id, "see"),
            "keyed event": lambda: handle.trigger_event("see", idempotency_key=next(keys)),
            "command": lambda: handle.trigger_event("count"),
        }
        assert {name: await cost(call) for name, call in calls.items()} == backend.cost
        keyed = await cost(lambda: handle.trigger_event("count", idempotency_key=next(keys)))
        assert keyed == backend.cost["command"]
        assert (await runtime.get_instance(instance.id)).version == 1 + 4 * (1 + many)
