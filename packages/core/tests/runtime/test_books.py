"""What a runtime is given as a whole: definitions with their commands, and what else comes with them."""

from typing import Any

import pytest

from detent import MemoryStore, TriggerBook, WorkflowRuntime, command
from detent.errors import AlreadyStarted, InvalidValue, RegistrationInvalid
from detent.flows import Flow, FlowBook, Step, handler, success


@handler("greet", targets=False)
async def greet(ctx):
    return success("hello")


FLOW = Flow("greeting", version="1.0.0", initial_step_id="say", steps={"say": Step("greet")})


def flow_book():
    return FlowBook(flows=[FLOW], handlers=[greet])


async def test_a_runtime_may_be_made_of_books_alone():
    runtime = WorkflowRuntime(store=MemoryStore())
    triggers = TriggerBook(topics=["order.*"])
    runtime.register(flow_book(), triggers)
    async with runtime:
        assert {"greeting", *(one.name for one in triggers.definitions)} == set(runtime.workflows)
        assert runtime.adopts
        assert runtime.subscribers.names == ("detent.triggers",)
        with pytest.raises(AlreadyStarted):
            runtime.register(flow_book())


async def test_a_book_is_taken_once_also_where_its_contents_were_given_before():
    book = flow_book()
    runtime = WorkflowRuntime(store=MemoryStore(), definitions=book.definitions, commands=book.commands)
    runtime.register(book)
    runtime.register(book)
    async with runtime:
        assert len(runtime.definitions) == 1


async def test_what_one_of_two_books_adopts_is_adopted():
    asked = []

    class Adopting:
        definitions = ()
        commands = ()

        def __init__(self, name):
            self.name = name

        def adopts(self, definition):
            asked.append(self.name)
            return False

    store = MemoryStore()
    async with store_with_flow(store):
        pass
    runtime = WorkflowRuntime(store=store)
    runtime.register(Adopting("one"), Adopting("two"), flow_book())
    async with runtime:
        assert set(asked) <= {"one", "two"}
        assert "greeting" in runtime.workflows


def store_with_flow(store):
    book = flow_book()
    return WorkflowRuntime(store=store, definitions=book.definitions, commands=book.commands)


def test_what_has_no_definitions_and_commands_is_refused():
    runtime = WorkflowRuntime(store=MemoryStore())
    things: Any = ((FLOW, "a Flow"), (greet, "a function"), (dict, "the class dict"))
    for thing, named in things:
        with pytest.raises(InvalidValue, match=f"is {named}, which has no definitions and commands"):
            runtime.register(thing)


def test_a_name_that_another_command_has_is_refused():
    @command("flow.resumed")
    def mine(ctx): ...

    runtime = WorkflowRuntime(store=MemoryStore(), commands=[mine])
    with pytest.raises(RegistrationInvalid, match="another command of this name"):
        runtime.register(flow_book())
