"""A book: what it registers of its handlers, and which stored flows it takes on."""

import pytest

from detent.flows import Flow, FlowBook, FlowInvalid, Handlers, handler, lower
from detent.json_values import JsonObject


@handler("ours", aliases=["theirs"], targets=False)
async def ours(ctx):
    """Has another name."""


@handler("all", targets=False, performs=["each"])
async def for_all(ctx, config: JsonObject):
    """Performs a handler for many."""


def stored(steps):
    flow = Flow("flow", initial_step_id="a", steps=steps)
    return lower(flow, Handlers([ours, for_all]).types).to_dict()


def test_a_flow_under_an_alias_is_run_by_the_handler_and_goes_by_what_was_written():
    book = FlowBook(flows=[Flow("flow", initial_step_id="a", steps={"a": {"type": "theirs"}})], handlers=[ours])
    [definition] = book.definitions
    on_enter = definition.states["a"].on_enter
    assert on_enter is not None
    [command] = on_enter.commands
    assert command.name == "flow.handler.theirs"
    assert {"flow.handler.ours", "flow.handler.theirs"} <= set(book.commands[0].commands)


def test_a_stored_flow_is_taken_on_where_all_of_its_handlers_are_here():
    known = FlowBook(handlers=[ours, for_all])
    assert known.adopts(stored({"a": {"type": "theirs"}}))
    assert known.adopts(stored({"a": {"type": "all", "config": {"each": "theirs"}}}))
    assert not known.adopts(stored({"a": {"type": "all", "config": {"each": "another"}}}))
    assert not FlowBook(handlers=[for_all]).adopts(stored({"a": {"type": "all", "config": {"each": "ours"}}}))
    assert not known.adopts({"metadata": {}})


def test_a_flow_that_performs_an_unknown_handler_is_not_registered():
    steps = {"a": {"type": "all", "config": {"each": "another"}}}
    with pytest.raises(FlowInvalid) as refused:
        FlowBook(flows=[Flow("flow", initial_step_id="a", steps=steps)], handlers=[ours, for_all])
    assert [one.path for one in refused.value.problems] == ["steps.a.config.each.type"]
