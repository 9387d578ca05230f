import pytest

from detent import Branch, Event, Fail, State, WorkflowDefinition
from detent.testing import HarnessMisused, TransitionCoverage, WorkflowHarness, simple_paths

WAYS = [
    "new -pay if is_large-> review",
    "new -pay otherwise-> paid",
    "new -pay fails-> declined",
    "new -note-> new",
    "review -approve-> paid",
    "review -reject-> cancelled",
    "paid -on enter-> shipped",
    "paid -on enter fails-> review",
    "shipped -close-> closed",
    "shipped -close after 14d, by itself",
    "declined -retry-> new",
    "declined -cancel-> cancelled",
]


def taken(coverage):
    return {str(way): count for way, count in coverage.taken.items() if count}


def test_every_branch_error_timeout_and_hop_is_a_way(order):
    coverage = TransitionCoverage(order)
    assert [str(way) for way in coverage.ways] == WAYS
    assert (coverage.percent, len(coverage.missing)) == (0, 12)


async def test_a_harness_counts_what_is_taken(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_large", False)
        harness.stub("charge", answers=[Fail("declined"), None])
        await harness.run(["note", "note", "pay", "retry", "pay", "14d"])
        assert taken(harness.coverage) == {
            "new -pay otherwise-> paid": 1,
            "new -pay fails-> declined": 1,
            "new -note-> new": 2,
            "paid -on enter-> shipped": 1,
            "shipped -close-> closed": 1,
            "shipped -close after 14d, by itself": 1,
            "declined -retry-> new": 1,
        }
        assert round(harness.coverage.percent, 1) == 58.3


async def test_an_event_that_was_triggered_by_hand_has_not_fired_by_itself(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_large", False)
        await harness.run(["pay", "close"])
        assert "shipped -close after 14d, by itself" in map(str, harness.coverage.missing)


async def test_refused_and_failed_attempts_take_no_way(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_open", False)
        await harness.run(["pay"])
        assert taken(harness.coverage) == {}


async def test_branches_to_the_same_state_are_told_apart_by_their_guards():
    states = {
        "a": State(
            events={
                "go": Event(
                    target="b", branches=[Branch(guard="x", target="b"), Branch(guard={"not": "y"}, target="b")]
                )
            }
        ),
        "b": State(),
    }
    definition = WorkflowDefinition(name="w", initial_state="a", states=states)
    async with WorkflowHarness(definition) as harness:
        for x, y in ((False, False), (False, True), (True, True)):
            harness.stub_guard("x", x)
            harness.stub_guard("y", y)
            await harness.start()
            await harness.assert_available("go")
            await harness.trigger("go")
            assert len(harness.coverage.missing) == 2 - [(0, 0), (0, 1), (1, 1)].index((x, y))


async def test_coverage_of_several_harnesses_is_merged(order):
    total = TransitionCoverage(order)
    for path in (*simple_paths(order), *simple_paths(order, to="declined")):
        async with WorkflowHarness(order) as harness:
            await harness.run(path)
            total.merge(harness.coverage)
    assert [str(way) for way in total.missing] == ["new -note-> new", "declined -retry-> new"]
    total.assert_complete(at_least=80)
    with pytest.raises(AssertionError) as caught:
        total.assert_complete()
    assert str(caught.value).splitlines() == [
        "order v1: 10 of 12 transitions taken (83 %), and 100 % are asked for. Never taken:",
        "  new -note-> new",
        "  declined -retry-> new",
    ]


def test_coverage_of_another_definition_is_not_merged(order):
    other = order.model_copy(update={"version": "2"})
    with pytest.raises(HarnessMisused, match="order v2 cannot be merged into that of order v1"):
        TransitionCoverage(order).merge(TransitionCoverage(other))


async def test_it_is_reported_as_a_table_and_survives_as_json(order):
    async with WorkflowHarness(order) as harness:
        harness.stub_guard("is_large", False)
        await harness.run(["pay"])
        coverage = harness.coverage
    summary, *rows = coverage.report().splitlines()
    assert summary == "order v1: 2 of 12 transitions taken (16 %)"
    assert rows[:2] == ["    -  new -pay if is_large-> review", "    1  new -pay otherwise-> paid"]
    assert TransitionCoverage.from_dict(coverage.to_dict()).report() == coverage.report()


def test_what_no_instance_can_do_does_not_count():
    states = {
        "a": State(events={"go": Event(target="b", error="c"), "split": Event(guard="x", target="b", branches=[DEAD])}),
        "b": State(),
        "c": State(events={"on": Event(target="b")}),
    }
    coverage = TransitionCoverage(WorkflowDefinition(name="w", initial_state="a", states=states))
    assert [str(way) for way in coverage.ways] == ["a -go-> b", "a -split otherwise-> b"]


DEAD = Branch(guard={"not": "x"}, target="c")


def test_a_definition_without_ways_is_covered():
    coverage = TransitionCoverage(WorkflowDefinition(name="w", initial_state="a", states={"a": State()}))
    assert coverage.percent == 100
    coverage.assert_complete()
