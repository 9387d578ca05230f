import pytest

from detent import Branch, Event, Fail, OnEnter, Refuse, State, WorkflowDefinition, command, guard
from detent.errors import DefinitionInvalid
from detent.testing import GuardVerdict, HarnessMisused, How, Route, WorkflowHarness, simple_paths


def workflow(states, **more):
    return WorkflowDefinition(name="w", initial_state=next(iter(states)), states=states, **more)


def test_every_way_to_the_end_is_a_path_in_the_order_of_the_definition(order):
    assert [str(path) for path in simple_paths(order)] == [
        "pay if is_large, approve, close after 14d: closed",
        "pay if is_large, reject: cancelled",
        "pay otherwise, close after 14d: closed",
        "pay otherwise, on enter fails, reject: cancelled",
        "pay fails, cancel: cancelled",
    ]


def test_paths_to_one_state_end_there(order):
    assert [path.states for path in simple_paths(order, to="review")] == [
        ("new", "review"),
        ("new", "paid", "review"),
    ]
    (start,) = simple_paths(order, to="new")
    assert (str(start), start.steps, start.end) == ("start: new", (), "new")


def test_a_step_says_what_guards_and_commands_have_to_answer(order):
    by_name = {str(path): path for path in simple_paths(order)}
    large, approved, entered, closed = by_name["pay if is_large, approve, close after 14d: closed"].steps
    assert (large.event, large.how, large.route) == ("pay", How.EVENT, Route.BRANCH)
    assert large.guards == (GuardVerdict("is_open", True, {}), GuardVerdict("is_large", True, {}))
    assert (approved.event, approved.guards) == ("approve", ())
    assert (entered.event, entered.how, entered.fails) == ("$on_enter", How.ON_ENTER, False)
    assert (closed.event, closed.how) == ("close", How.TIMEOUT)
    failing = by_name["pay fails, cancel: cancelled"].steps[0]
    assert (failing.route, failing.fails, failing.commands) == (Route.ERROR, True, ("charge",))
    assert str(failing) == "new -pay fails-> declined"
    assert by_name["pay otherwise, close after 14d: closed"].events == ("pay", "close")


def test_guards_that_are_combined_are_solved():
    states = {
        "a": State(
            events={
                "go": Event(
                    guard={"any_of": ["x", "y"]},
                    branches=[
                        Branch(guard={"all_of": ["x", {"not": "y"}]}, target="b"),
                        Branch(guard={"name": "x", "metadata": {"n": 1}}, target="c"),
                        Branch(guard="x", target="d"),
                        Branch(guard={"not": "x"}, target="e"),
                    ],
                    target="f",
                )
            }
        ),
        **{name: State() for name in "bcdef"},
    }
    assert [path.end for path in simple_paths(workflow(states))] == ["b", "c", "d", "e"]


@pytest.mark.parametrize("path", ["b", "c", "d", "e"])
async def test_guards_that_are_combined_are_driven(path):
    (found,) = [found for found in simple_paths(COMBINED) if found.end == path]
    async with WorkflowHarness(COMBINED) as harness:
        await harness.run(found)
        await harness.assert_state(path)


COMBINED = workflow(
    {
        "a": State(
            events={
                "go": Event(
                    guard={"any_of": ["x", "y"]},
                    branches=[
                        Branch(guard={"all_of": ["x", {"not": "y"}]}, target="b"),
                        Branch(guard={"name": "x", "metadata": {"n": 1}}, target="c"),
                        Branch(guard="x", target="d"),
                    ],
                    target="e",
                )
            }
        ),
        **{name: State() for name in "bcde"},
    }
)


async def test_every_path_of_an_order_can_be_run(order):
    async with WorkflowHarness(order) as harness:
        for path in simple_paths(order):
            ended = await harness.run(path)
            assert ended.state == path.end == harness.state
            assert [entry.event for entry in harness.history[1:]] == [step.event for step in path.steps]


async def test_a_path_drives_real_guards_and_fails_real_commands_but_calls_the_others(order):
    @command("charge")
    def charge(ctx):
        ctx.context["charged"] = True

    @guard("is_large")
    async def is_large(ctx):
        raise AssertionError("asked")

    async with WorkflowHarness(order, commands=[charge], guards=[is_large]) as harness:
        harness.stub_guard("is_open", Refuse("closed"))
        large, _, otherwise, *_, failing = simple_paths(order)
        await harness.run(large)
        await harness.assert_context(charged=True)
        await harness.run(failing)
        assert "charged" not in harness.context
        await harness.run(otherwise, context={"total": 1}, metadata={"m": 1}, subject="ada")
        assert (harness.context["total"], harness.instance.metadata) == (1, {"m": 1})
        assert harness.calls("charge")[-1].subject == "ada"


async def test_a_path_that_is_left_says_at_which_step(order):
    async with WorkflowHarness(order) as harness:
        harness.stub("charge", answer=Fail("declined"))
        with pytest.raises(AssertionError) as caught:
            await harness.run(simple_paths(order)[0])
    first, *_, last = str(caught.value).splitlines()
    assert first == (
        "the path was left at the step new -pay if is_large-> review: expected new → review, found new → declined"
    )
    assert last == "  2. pay: new → declined  failure: declined"


async def test_what_a_command_raises_on_a_path_says_at_which_step(order):
    async with WorkflowHarness(order) as harness:
        harness.stub("ship", raises=ConnectionError("down"))
        with pytest.raises(ConnectionError) as caught:
            await harness.run(simple_paths(order)[2])
    assert caught.value.__notes__[-1] == "at the step new -pay otherwise-> paid of the path"


async def test_after_a_path_guards_answer_for_themselves_again(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_large", False)
        await harness.run(simple_paths(order, to="review")[0])
        await harness.run(["pay"], context={"total": 1})
        await harness.assert_state("shipped")


async def test_single_steps_can_be_run_among_events(order):
    (step,) = simple_paths(order, to="declined")[0].steps
    async with WorkflowHarness(order) as harness:
        await harness.run(["note", step, "retry"])
        assert [entry.to_state for entry in harness.history] == ["new", "new", "declined", "new"]


async def test_the_first_command_that_counts_is_the_one_that_fails():
    @command("log", best_effort=True)
    def log(ctx): ...

    states = {
        "a": State(events={"go": Event(target="b", error="c", commands=["log", "work"])}),
        "b": State(),
        "c": State(),
    }
    definition = workflow(states)
    async with WorkflowHarness(definition, commands=[log]) as harness:
        (path,) = simple_paths(definition, to="c")
        await harness.run(path)
        assert [call.name for call in harness.calls()] == ["log", "work"]

    @command("work", best_effort=True)
    def work(ctx): ...

    async with WorkflowHarness(definition, commands=[log, work]) as harness:
        with pytest.raises(HarnessMisused, match="all its commands are best-effort"):
            await harness.run(path)


async def test_a_choice_of_an_entry_is_a_step():
    states = {
        "a": State(on_enter=OnEnter(commands=["choose"], target="c"), events={"b": Event(target="b", guard="may")}),
        "b": State(),
        "c": State(),
    }
    definition = workflow(states)
    hop, goto = simple_paths(definition)
    assert (str(hop), str(goto), goto.steps[0].chooses) == ("start: c", "goto b: b", "choose")
    async with WorkflowHarness(definition) as harness:
        for path in (goto, hop):
            await harness.run(path)
            await harness.assert_state(path.end)


async def test_a_timeout_behind_another_is_triggered_by_hand():
    states = {
        "a": State(
            events={
                "first": Event(target="b", timeout="1d"),
                "second": Event(target="c", timeout="2d"),
                "nag": Event(internal=True, timeout="12h"),
            }
        ),
        "b": State(),
        "c": State(),
    }
    definition = workflow(states)
    first, second = simple_paths(definition)
    assert [path.steps[0].how for path in (first, second)] == [How.TIMEOUT, How.EVENT]
    async with WorkflowHarness(definition) as harness:
        began = harness.now
        await harness.run(first)
        assert ((harness.now - began).days, [entry.event for entry in harness.history]) == (
            1,
            ["$created", "nag", "first"],
        )
        await harness.run(second)
        assert harness.state == "c"


async def test_a_deadline_that_the_context_lacks_is_filled_in():
    states = {
        "a": State(context={"x": {"y": 1}}, events={"go": Event(target="b", timeout={"at": "x.until"})}),
        "b": State(events={"go": Event(target="c", timeout={"at": "never"})}),
        "c": State(),
    }
    definition = workflow(states)
    (path,) = simple_paths(definition)
    async with WorkflowHarness(definition) as harness:
        began = harness.now
        await harness.run(path, context={"never": None})
        assert (harness.state, (harness.now - began).days) == ("c", 30)
        assert harness.context == {"x": {"y": 1, "until": "30d"}, "never": None}


async def test_payloads_are_looked_up_by_event():
    schema = {"type": "object", "required": ["n"]}
    definition = workflow({"a": State(events={"go": Event(target="b", payload=schema)}), "b": State()})
    (path,) = simple_paths(definition)
    async with WorkflowHarness(definition) as harness:
        await harness.run(path, payloads={"go": {"n": 1}})
        await harness.run(["go"], context={"x": 1}, payloads={"go": {"n": 2}})
        assert harness.history[-1].payload == {"n": 2}


def test_what_can_never_happen_is_no_path():
    states = {
        "a": State(on_enter=OnEnter(target="b"), events={"never": Event(target="c")}),
        "b": State(events={"go": Event(target="c", error="d"), "loop": Event(target="b", commands=["x"])}),
        "c": State(),
        "d": State(),
    }
    assert [str(path) for path in simple_paths(workflow(states))] == ["go: c"]


def test_no_path_and_too_many_paths_are_told(order):
    circle = workflow({"a": State(events={"go": Event(target="b")}), "b": State(events={"go": Event(target="a")})})
    with pytest.raises(HarnessMisused, match="no path from 'a' to a terminal state"):
        simple_paths(circle)
    with pytest.raises(HarnessMisused, match="more than 2 simple paths"):
        simple_paths(order, limit=2)
    with pytest.raises(HarnessMisused, match="did you mean 'closed'"):
        simple_paths(order, to="clozed")
    with pytest.raises(DefinitionInvalid, match="there is no state 'x'"):
        simple_paths(workflow({"a": State(events={"go": Event(target="x")})}))


def test_a_dense_definition_without_an_end_is_searched_in_no_time():
    names = [f"s{index}" for index in range(30)]
    states = {name: State(events={other: Event(target=other) for other in names}) for name in names}
    states["end"] = State()
    with pytest.raises(HarnessMisused, match="no path"):
        simple_paths(workflow(states))
    states["s29"] = State(events={"end": Event(target="end")})
    with pytest.raises(HarnessMisused, match="more than 1000"):
        simple_paths(workflow(states))
