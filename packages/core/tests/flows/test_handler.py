"""Handlers: how they are declared, found and described, and which cannot be served."""

import asyncio
import threading
from datetime import timedelta

import pytest
from pydantic import BaseModel

from detent.errors import InvalidValue, RegistrationInvalid
from detent.flows import HandlerContext, Handlers, handler
from detent.flows.checks import targets_of
from detent.flows.handler import any_step, spec_of
from packages.core.tests.flows.handlers import HANDLERS, Choose, PickConfig, free, pick


class Clock:
    """What a container provides."""


def test_a_handler_takes_its_name_and_its_description_from_its_code():
    spec = spec_of(pick)
    assert (spec.type, spec.name, spec.description) == ("pick", "pick", "Keeps some keys.")
    assert (spec.category, spec.stateful, spec.timeout, spec.targets) == ("data", False, None, None)
    assert (spec.config_model, spec.input_model) == (PickConfig, None)
    assert spec.takes == {"config", "input"}


def test_what_is_said_of_a_handler_goes_first():
    @handler("x", name="The X", description="Does x.", category="ai", stateful=True, timeout="30s", targets=False)
    def x(ctx):
        """Something else."""

    spec = spec_of(x)
    assert (spec.name, spec.description, spec.category) == ("The X", "Does x.", "ai")
    assert (spec.stateful, spec.timeout, spec.context_name) == (True, timedelta(seconds=30), "ctx")
    assert not spec.takes


@pytest.mark.parametrize("given", [Choose, Choose()])
def test_a_class_is_a_handler_as_its_object_is(given):
    spec = spec_of(given)
    assert (type(spec.target), spec.type, spec.name, spec.category) == (Choose, "choose", "Choose a step", "control")
    assert targets_of(spec, {"to": ["a"]}) == {"a"}


def test_a_handler_may_go_anywhere_unless_it_says_otherwise():
    assert spec_of(free).targets is any_step


def test_what_a_handler_asks_for_beside_its_own_comes_from_the_container():
    class Input(BaseModel):
        n: int

    @handler("x")
    def x(context: HandlerContext, input: Input, clock: Clock, *, again: Clock, n: int = 1):
        """Asks for much."""

    spec = spec_of(x)
    assert (spec.context_name, spec.input_model) == ("context", Input)
    assert spec.takes == {"input"}
    assert {name: one.annotation for name, one in spec.injected.items()} == {"clock": Clock, "again": Clock, "n": int}


def no_context():
    """Takes nothing."""


def many(*given):
    """Takes what comes."""


def keywords(ctx, **given):
    """Takes what comes by name."""


def config_first(config, ctx):
    """Takes its config first."""


def another_context(ctx: int):
    """Takes a number for its context."""


def untold(ctx, clock):
    """Does not say what a clock is."""


def by_place(ctx, config, /):
    """Takes all by place."""


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (no_context, "takes a context first"),
        (many, "takes a context first"),
        (keywords, "takes a context first"),
        (by_place, "takes a context first"),
        (config_first, "its first parameter is the context"),
        (another_context, "its first parameter is the context"),
        (untold, "nothing tells what to pass"),
    ],
)
def test_a_signature_that_cannot_be_served_is_refused(function, said):
    with pytest.raises(RegistrationInvalid, match=said) as refused:
        Handlers([handler("x")(function)])
    assert refused.value.name == "x"


def test_what_is_no_handler_is_refused():
    for given in (len, 5, Clock):
        with pytest.raises(RegistrationInvalid, match="it is no handler"):
            Handlers([given])


def test_a_class_that_needs_arguments_is_refused():
    @handler("x")
    class Needy:
        def __init__(self, clock: Clock) -> None:
            """Needs a clock."""

        def __call__(self, ctx):
            """Does nothing."""

    with pytest.raises(RegistrationInvalid, match="cannot be made without arguments"):
        Handlers([Needy])
    assert "x" in Handlers([Needy(Clock())])


def test_a_type_is_taken_once():
    @handler("pick")
    def other(ctx):
        """Another one."""

    handlers = Handlers([pick])
    with pytest.raises(RegistrationInvalid, match="already registered"):
        handlers.add([other])
    handlers.add([pick, HANDLERS])
    assert handlers.types.keys() == {"pick", "choose", "free"}


def test_a_handler_is_found_by_its_aliases_and_listed_once():
    @handler("ours", aliases=["theirs", "old"])
    def ours(ctx):
        """Ours."""

    handlers = Handlers([ours])
    assert handlers.types.keys() == {"ours", "theirs", "old"}
    assert handlers.get("old") is handlers.get("ours")
    assert "theirs" in handlers
    assert [spec.type for spec in handlers] == ["ours"]
    assert [(one["type"], one["aliases"]) for one in handlers.manifest()["handlers"]] == [("ours", ["theirs", "old"])]


def test_a_type_goes_before_the_same_word_as_an_alias_and_an_alias_is_taken_once():
    @handler("ours", aliases=["pick"])
    def ours(ctx):
        """Ours."""

    @handler("another", aliases=["pick"])
    def another(ctx):
        """Another one."""

    for order in ([ours, pick], [pick, ours]):
        handlers = Handlers(order)
        assert (handlers.types["pick"].target, handlers.types["ours"].target) == (pick, ours)
    with pytest.raises(RegistrationInvalid, match="already registered"):
        Handlers([ours, another])


@pytest.mark.parametrize("alias", ["x", " "])
def test_an_alias_is_another_word(alias):
    with pytest.raises(RegistrationInvalid, match="alias"):
        handler("x", aliases=[alias])


def in_a_function(event, ctx):
    return event.wait(10)


class InAnObject:
    def __call__(self, event, ctx):
        return event.wait(10)


@pytest.mark.parametrize("blocking", [in_a_function, InAnObject()])
async def test_a_plain_one_does_not_hold_up_the_event_loop(blocking):
    event = threading.Event()

    @handler("x")
    def blocks(ctx):
        return blocking(event, ctx)

    # It gets its event only if the loop goes on beside it.
    asyncio.get_running_loop().call_soon(event.set)
    assert await spec_of(blocks).call(ctx=None) is True


async def test_a_plain_one_that_answers_an_awaitable_is_awaited():
    async def later():
        return "done"

    assert await spec_of(handler("x")(lambda ctx: later())).call(ctx=None) == "done"


async def test_one_that_is_async_stays_in_the_event_loop():
    @handler("x")
    async def stays(ctx):
        return threading.get_ident()

    assert spec_of(stays).call is stays
    assert await spec_of(stays).call(ctx=None) == threading.get_ident()


def test_an_annotation_that_does_not_exist_is_refused():
    def astray(ctx, clock: "Nowhere"):  # type: ignore[name-defined]  # noqa: F821
        """Asks for what is not there."""

    with pytest.raises(RegistrationInvalid, match="'Nowhere'"):
        Handlers([handler("x")(astray)])


def test_a_handler_is_called_by_something():
    with pytest.raises(RegistrationInvalid, match="no type"):
        handler(" ")


@pytest.mark.parametrize("timeout", ["soon", "0s", timedelta(0)])
def test_a_timeout_is_a_length_of_time(timeout):
    with pytest.raises(InvalidValue):
        handler("x", timeout=timeout)


def test_handlers_are_found_by_type_and_by_category():
    assert HANDLERS.types["pick"].target is pick
    assert HANDLERS.get("nothing") is None
    assert "free" in HANDLERS
    assert "nothing" not in HANDLERS
    assert [spec.type for spec in HANDLERS.in_category("data")] == ["pick"]
    assert HANDLERS.in_category("ai") == []


def test_the_manifest_describes_all_with_the_schemas_of_what_they_take():
    manifest = HANDLERS.manifest()
    assert [one["type"] for one in manifest["handlers"]] == ["choose", "free", "pick"]
    assert manifest["handlers"][2] == {
        "type": "pick",
        "aliases": [],
        "name": "pick",
        "description": "Keeps some keys.",
        "category": "data",
        "stateful": False,
        "timeout_seconds": None,
        "config_schema": PickConfig.model_json_schema(),
        "input_schema": None,
    }


def test_handlers_may_stand_in_lists_within_the_list():
    assert [spec.type for spec in Handlers([[pick, (Choose,)], Handlers([free])])] == ["pick", "choose", "free"]


def all_of_them():
    """Answers a list."""
    return [pick]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        (all_of_them, "handlers=all_of_them()"),
        (pick, "handlers=[pick]"),
        ("pick", "handlers=[...]"),
        (None, "handlers=[...]"),
    ],
)
def test_what_is_no_list_of_handlers_says_what_to_write(given, hint):
    with pytest.raises(RegistrationInvalid, match="no list of handlers") as raised:
        Handlers(given)
    assert raised.value.hint is not None
    assert hint in raised.value.hint


def test_a_decorator_without_its_type_says_what_to_write():
    with pytest.raises(RegistrationInvalid) as raised:

        @handler  # type: ignore[arg-type]
        async def charge(ctx):
            """Has no type."""

    assert (raised.value.name, raised.value.hint) == ("charge", 'write @handler("charge")')
