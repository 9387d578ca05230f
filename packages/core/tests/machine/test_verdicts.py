"""Guards composed: what a composition comes to, which guard it asks next, and what it says of itself."""

import pytest

from detent import Refuse, guard
from detent.definition.model import WorkflowDefinition
from detent.errors import DefinitionInvalid
from detent.runtime.runtime import WorkflowRuntime
from detent.store.memory import MemoryStore

CASES = [
    ({"all_of": ["a", "b"]}, {"a": True, "b": True}, None, "ab"),
    ({"all_of": ["a", "b"]}, {"a": False, "b": True}, "no a", "a"),
    ({"all_of": ["a", "b"]}, {"a": True, "b": False}, "no b", "ab"),
    ({"any_of": ["a", "b"]}, {"a": True, "b": False}, None, "a"),
    ({"any_of": ["a", "b"]}, {"a": False, "b": True}, None, "ab"),
    ({"any_of": ["a", "b"]}, {"a": False, "b": False}, "no a; no b", "ab"),
    ({"not_": "a"}, {"a": False}, None, "a"),
    ({"not_": "a"}, {"a": True}, "not allowed while a", "a"),
    ({"not_": {"all_of": ["a", {"not_": "b"}]}}, {"a": True, "b": False}, "not allowed while a and not b", "ab"),
    ({"not_": {"any_of": ["a", "b"]}}, {"a": False, "b": True}, "not allowed while a or b", "ab"),
    ({"any_of": [{"all_of": ["a", "b"]}, {"not_": "c"}]}, {"a": True, "b": False, "c": False}, None, "abc"),
    ({"all_of": [{"any_of": ["a", "b"]}, "c"]}, {"a": False, "b": True, "c": False}, "no c", "abc"),
]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["in place", "awaited"])
@pytest.mark.parametrize(("expression", "verdicts", "refusal", "asked"), CASES)
async def test_a_composition_asks_from_left_to_right_and_no_further_than_it_must(
    expression, verdicts, refusal, asked, asynchronous
):
    heard = []

    def judge(name):
        heard.append(name)
        return True if verdicts[name] else Refuse(f"no {name}")

    def made(name):
        if not asynchronous:
            return guard(name)(lambda ctx: judge(name))

        async def ask(ctx):
            return judge(name)

        return guard(name)(ask)

    definition = WorkflowDefinition.from_dict(
        {
            "name": "composed",
            "initial_state": "shut",
            "states": {"shut": {"events": {"open": {"target": "open", "guard": expression}}}, "open": {}},
        }
    )
    guards = [made(name) for name in verdicts]
    async with WorkflowRuntime(store=MemoryStore(), definitions=[definition], guards=guards) as runtime:
        shut = await runtime.create_instance("composed")
        result = await runtime.trigger_event(shut.id, "open")
        assert (result.outcome, result.reason) == (("success", None) if refusal is None else ("refused", refusal))
        assert "".join(heard) == asked


async def test_one_version_is_registered_once():
    twice = {"name": "twice", "initial_state": "a", "states": {"a": {}}}
    definitions = [WorkflowDefinition.from_dict(twice), WorkflowDefinition.from_dict(twice)]
    with pytest.raises(DefinitionInvalid, match="registered twice"):
        await WorkflowRuntime(store=MemoryStore(), definitions=definitions).__aenter__()
