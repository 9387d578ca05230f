"""What a runtime was not given, or was given in the wrong place: each says what to write."""

import re

import pytest

from detent import FlowService, InvalidValue, MemoryStore, UnknownWorkflow, WorkflowRuntime, WorkflowService
from detent.errors import DefinitionInvalid, RegistrationInvalid
from detent.flows import FlowBook, UnknownFlow
from detent.service.trigger_book import TriggerBook
from detent.service.triggers import TriggerService
from detent.triggers import EventTrigger, HttpTrigger
from packages.core.tests.service.trigger_world import ORDER, keep


def a_book() -> FlowBook:
    return FlowBook(flows=[ORDER], handlers=[keep])


def a_runtime(**given) -> WorkflowRuntime:
    return WorkflowRuntime(store=MemoryStore(), **{"definitions": [], **given})


@pytest.mark.parametrize("version", [None, "1"])
async def test_a_flow_that_only_the_book_has_says_so(version):
    async with a_runtime() as runtime:
        with pytest.raises(UnknownFlow, match=r"definitions=book\.definitions"):
            await FlowService(runtime, a_book()).start_flow("order", version=version)


async def test_a_flow_that_nobody_has_says_which_there_are():
    book = a_book()
    async with a_runtime(definitions=book.definitions, commands=book.commands) as runtime:
        with pytest.raises(UnknownFlow, match="did you mean 'order'"):
            await FlowService(runtime, book).start_flow("ordr")


async def test_the_commands_of_a_book_are_missed_once():
    with pytest.raises(DefinitionInvalid) as raised:
        await a_runtime(definitions=a_book().definitions).__aenter__()
    [problem] = raised.value.problems
    assert (problem.message, problem.hint) == (
        "no command flow.… is registered",
        "pass commands=book.commands, of the FlowBook",
    )


async def test_the_commands_of_both_books_are_missed_each_once():
    book, triggers = a_book(), TriggerBook()
    runtime = a_runtime(definitions=[*book.definitions, *triggers.definitions], commands=book.commands)
    with pytest.raises(DefinitionInvalid) as raised:
        await runtime.__aenter__()
    assert [problem.hint for problem in raised.value.problems] == [
        "pass commands=triggers.commands, of the TriggerBook"
    ]


async def test_a_handler_that_another_process_has_is_missed_by_its_name():
    book, other = a_book(), FlowBook()
    with pytest.raises(DefinitionInvalid) as raised:
        await a_runtime(definitions=book.definitions, commands=other.commands).__aenter__()
    assert [problem.message for problem in raised.value.problems] == ["no command 'flow.handler.keep' is registered"]


async def test_the_definition_of_triggers_is_missed_by_its_book():
    book, triggers = a_book(), TriggerBook()
    async with a_runtime(definitions=book.definitions, commands=book.commands) as runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers)
        with pytest.raises(UnknownWorkflow, match=r"\*triggers\.definitions"):
            await service.register(HttpTrigger(name="hook", flow="order"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"definitions": [ORDER]}, "holds Flow, .*definitions=book.definitions"),
        ({"definitions": ORDER}, "is a Flow .*definitions=book.definitions"),
        ({"definitions": FlowBook()}, "pass definitions=book.definitions"),
        ({"commands": FlowBook()}, "pass commands=book.commands"),
        ({"subscribers": TriggerBook()}, "pass subscribers=book.subscribers"),
    ],
)
def test_a_flow_or_a_book_in_the_place_of_what_it_has_says_what_to_pass(given, said):
    with pytest.raises(InvalidValue, match=said):
        a_runtime(**given)


def test_handlers_are_no_commands():
    with pytest.raises(RegistrationInvalid, match="it is a handler of flows") as raised:
        a_runtime(commands=[keep])
    assert "commands=book.commands" in (raised.value.hint or "")


async def test_an_event_trigger_whose_subscribers_were_not_given_is_warned_of(caplog):
    book, triggers = a_book(), TriggerBook(topics=["order.*"])
    runtime = a_runtime(
        definitions=[*book.definitions, *triggers.definitions], commands=[*book.commands, *triggers.commands]
    )
    async with runtime:
        service = TriggerService(WorkflowService(runtime), book, triggers)
        await service.register(EventTrigger(name="paid", flow="order", topics=["order.paid"]))
        assert "hears of nothing" in caplog.text
        [problem] = await service.check()
        assert (problem.path, problem.code) == ("paid", "no_subscriber")
        assert problem.hint == "WorkflowRuntime(subscribers=triggers.subscribers)"
        await service.disable("paid")
        assert await service.check() == []


@pytest.mark.parametrize("body", [{"a": 1}, "text", None])
async def test_a_body_that_is_not_bytes_is_refused(world, body):
    await world.service.register(HttpTrigger(name="hook", flow="order"))
    with pytest.raises(InvalidValue, match=re.escape("pass the bytes that came")) as raised:
        await world.service.receive("hook", body, {})
    assert raised.value.path == "body"


async def test_a_body_that_is_missing_is_called_empty(world):
    schema = {"type": "object", "required": ["id"]}
    await world.service.register(HttpTrigger(name="hook", flow="order", input_schema=schema))
    received = await world.service.receive("hook", b"", {})
    assert [(one.path, one.message, one.keyword) for one in received.errors] == [("", "the body is empty", "type")]
